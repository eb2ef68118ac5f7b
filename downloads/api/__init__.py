"""The REST API: its document, its documentation pages, its errors."""

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.http import HttpRequest, HttpResponse
from ninja.openapi.docs import Redoc

from downie_project.version import VERSION
from downloads.api import batches, extract, health, keys, presets, service, tasks, webhooks
from downloads.api.envelope import EnvelopedApi
from downloads.api.errors import handle_errors
from downloads.api.parsing import JsonParser

# Swagger UI and ReDoc bring inline scripts, inline styles and a worker; both come from our own files all the same.
for_documentation = csp_update(
    {"script-src": [UNSAFE_INLINE], "style-src": [UNSAFE_INLINE], "worker-src": [SELF, "blob:"]}
)

api = EnvelopedApi(
    title="Downie Enhanced",
    version=VERSION,
    description="Paste a link, get a finished file: add downloads, follow them, fetch what came of them.",
    parser=JsonParser(),
    docs_url="/docs",
    openapi_url="/openapi.json",
    docs_decorator=for_documentation,
    urls_namespace="api",
)
api.add_router("", service.router)
api.add_router("", extract.router)
api.add_router("", tasks.router)
api.add_router("", batches.router)
api.add_router("", presets.router)
api.add_router("", keys.router)
api.add_router("", health.router)
api.add_router("", webhooks.router)
handle_errors(api)


@api.get("/redoc", include_in_schema=False)
@for_documentation
def redoc(request: HttpRequest) -> HttpResponse:
    """Show the documentation by ReDoc."""
    return Redoc().render_page(request, api)
