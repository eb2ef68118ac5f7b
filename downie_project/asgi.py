"""The ASGI application: static files, Django, finished files, and the feed."""

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

from downloads.consumers import FeedConsumer
from downloads.files import FileSender
from downloads.metrics import counted_sockets

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# From where they are installed: nothing to collect, and whatever is served is checked by its ETag.
static_files = StaticFiles(
    directory=settings.STATICFILES_DIRS[0], packages=[("django.contrib.admin", "static"), ("ninja", "static")]
)

application = ProtocolTypeRouter(
    {
        "http": Router(
            [Mount("/static", ExceptionMiddleware(static_files))],
            default=FileSender(cast("ASGIApp", django_application)),
        ),
        "websocket": URLRouter([path("api/downloads/ws", counted_sockets(FeedConsumer.as_asgi()))]),
    }
)
