"""The ASGI application: what proxies say of a request, static files, Django, finished files, and the feed."""

import asyncio
import contextvars
import os
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any, cast

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "downie_project.settings")

import django

django.setup(set_prefix=False)

from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.signals import request_started
from django.urls import path, set_script_prefix
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.routing import Mount, Router
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from downloads import lookups
from downloads.consumers import FeedConsumer
from downloads.files import FileSender
from downloads.metrics import counted_sockets
from downloads.prefix import Prefixed

if TYPE_CHECKING:
    from django.http.response import HttpResponseBase
    from starlette.types import ASGIApp
    from uvicorn._types import ASGI3Application

OTHERS = 40  # requests at once; more wait for each other
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class ThreadedHandler(ASGIHandler):
    """Django, with one thread from the first middleware to the end of the request, and the threads kept.

    None of ours is asynchronous. Django itself makes a thread for each request, goes back and forth between it and the
    event loop a few times, and opens the database in it anew: most of what a small request costs. No answer is
    streamed: what is long, a file, is sent by FileSender.
    """

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002  Django's interface
        """Make a chain of synchronous calls."""
        super().load_middleware(is_async=False)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        run = contextvars.copy_context().run
        response = await asyncio.get_running_loop().run_in_executor(threads, run, self._answer, scope, body)
        await self.send_response(response, send)

    def _answer(self, scope: dict[str, Any], body: IO[bytes]) -> "HttpResponseBase":
        set_script_prefix(get_script_prefix(scope))
        request_started.send(sender=type(self), scope=scope)
        with body:
            request, refusal = self.create_request(scope, body)
            response = self.get_response(request) if request else cast("HttpResponseBase", refusal)
            response.close()
        return response


# As many as may wait for sites, when links are looked up, and OTHERS beside them
threads = ThreadPoolExecutor(lookups.WAITING_AT_MOST + settings.MAX_CONCURRENT_EXTRACTS + OTHERS, "request")

# From where they are installed: nothing to collect, and whatever is served is checked by its ETag.
static_files = StaticFiles(
    directory=settings.STATICFILES_DIRS[0], packages=[("django.contrib.admin", "static"), ("ninja", "static")]
)

routes = ProtocolTypeRouter(
    {
        "http": Router(
            [Mount("/static", ExceptionMiddleware(static_files))],
            default=FileSender(cast("ASGIApp", ThreadedHandler())),
        ),
        "websocket": URLRouter([path("api/downloads/ws", counted_sockets(FeedConsumer.as_asgi()))]),
    }
)

# Whose word counts for the address and the scheme of a client: nobody's, unless the settings name proxies
application = ProxyHeadersMiddleware(
    cast("ASGI3Application", Prefixed(routes, settings.PATH_PREFIX)),
    [str(network) for network in settings.TRUSTED_PROXIES],
)
