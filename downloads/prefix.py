"""The service under a path of a reverse proxy, such as `/downie`."""

from starlette.types import ASGIApp, Receive, Scope, Send


class Prefixed:
    """Wraps an ASGI application; tells it where it is.

    Proxies may cut the prefix off or leave it: both arrive at the same place, and so does who asks without a proxy.
    """

    def __init__(self, application: ASGIApp, prefix: str) -> None:
        """Wrap this application. `prefix` begins with a slash and does not end with one, or is empty."""
        self._application = application
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Set the path with the prefix, and `root_path`, whatever the server believed of them.

        Daphne takes `root_path` from a header that anybody can send: what depends on the path would not hold then.
        """
        if "path" in scope:
            is_whole = f"{scope['path']}/".startswith(f"{self._prefix}/")
            path = scope["path"] if is_whole else self._prefix + scope["path"]
            scope = {**scope, "path": path, "root_path": self._prefix}
        await self._application(scope, receive, send)
