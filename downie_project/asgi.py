"""The ASGI application: what proxies say of a request, static files, Django, finished files, and the feed."""

import os
from typing import TYPE_CHECKING, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "downie_project.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
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
    from starlette.types import ASGIApp
    from uvicorn._types import ASGI3Application

# From where they are installed: nothing to collect, and whatever is served is checked by its ETag.
static_files = StaticFiles(
    directory=settings.STATICFILES_DIRS[0], packages=[("django.contrib.admin", "static"), ("ninja", "static")]
)

routes = ProtocolTypeRouter(
    {
        "http": Router(
            [Mount("/static", ExceptionMiddleware(static_files))],
            default=FileSender(cast("ASGIApp", django_application)),
        ),
        "websocket": URLRouter([path("api/downloads/ws", counted_sockets(FeedConsumer.as_asgi()))]),
    }
)

# Whose word counts for the address and the scheme of a client: nobody's, unless the settings name proxies
application = ProxyHeadersMiddleware(
    cast("ASGI3Application", Prefixed(routes, settings.PATH_PREFIX)),
    [str(network) for network in settings.TRUSTED_PROXIES],
)
