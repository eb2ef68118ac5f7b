"""The ASGI application: what proxies say of a request, static files, Django, finished files, and the feed."""

import os
from typing import TYPE_CHECKING, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "downie_project.settings")

import django

django.setup(set_prefix=False)

from asgiref.sync import sync_to_async
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.urls import path
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from downloads.consumers import FeedConsumer
from downloads.files import FileSender
from downloads.metrics import counted_sockets
from downloads.prefix import Prefixed

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase
    from starlette.types import ASGIApp
    from uvicorn._types import ASGI3Application


class OneThreadHandler(ASGIHandler):
    """Django, with one thread from the first middleware to the view and back.

    None of ours is asynchronous. Django itself goes back to the event loop between middleware and view, and from there
    into the thread once more, which takes a third of a small request.
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  Django's interface
        """Make a chain of synchronous calls."""
        super().load_middleware(is_async=False)

    async def get_response_async(self, request: "HttpRequest") -> "HttpResponseBase":
        """Go through it in the thread of this request."""
        return await sync_to_async(self.get_response, thread_sensitive=True)(request)


# From where they are installed: nothing to collect, and whatever is served is checked by its ETag.
static_files = StaticFiles(
    directory=settings.STATICFILES_DIRS[0], packages=[("django.contrib.admin", "static"), ("ninja", "static")]
)

routes = ProtocolTypeRouter(
    {
        "http": Router(
            [Mount("/static", ExceptionMiddleware(static_files))],
            default=FileSender(cast("ASGIApp", OneThreadHandler())),
        ),
        "websocket": URLRouter([path("api/downloads/ws", counted_sockets(FeedConsumer.as_asgi()))]),
    }
)

# Whose word counts for the address and the scheme of a client: nobody's, unless the settings name proxies
application = ProxyHeadersMiddleware(
    cast("ASGI3Application", Prefixed(routes, settings.PATH_PREFIX)),
    [str(network) for network in settings.TRUSTED_PROXIES],
)
