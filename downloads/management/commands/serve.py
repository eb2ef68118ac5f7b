"""`manage.py serve`: the whole service in one process, or the web's part of it."""

import gc
import os
import socket
import sys
from argparse import ArgumentParser
from typing import Any

# Its own compiler of C costs 2 MiB and gains nothing: what clients say is a `ping`
os.environ.setdefault("AUTOBAHN_USE_NVX", "0")
# Nor does Twisted need its TLS, which ends at a reverse proxy: 4 MiB
sys.modules.setdefault("OpenSSL", None)  # type: ignore[arg-type]  # which is how Python is told that there is none

import daphne.server  # noqa: F401  installs Twisted's reactor, which must come before anything else of Twisted
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection
from twisted.internet import reactor

from downie_project.asgi import application
from downie_project.environment import LOOPBACK_HOSTS
from downie_project.version import VERSION
from downloads import live, readiness
from downloads.management import processes
from downloads.models import ApiKey
from downloads.server import run_server


class Command(BaseCommand):
    """Web and worker in one process, or the web alone, until Ctrl-C."""

    help = "Start the service: web and worker in one process."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take --host and --port; the environment says the defaults."""
        parser.add_argument("--host", default=settings.ENVIRONMENT.host, help="the address to listen on")
        parser.add_argument("--port", type=int, default=settings.ENVIRONMENT.port, help="the port to listen on")
        parser.add_argument(
            "--web-only",
            action="store_true",
            help="download nothing here: `manage.py worker` does, as often as it runs",
        )

    def handle(self, *_: Any, host: str, port: int, web_only: bool, **__: Any) -> None:  # noqa: ANN401  Django's interface
        """Migrate, recover, serve, and stop everything in order."""
        if web_only:
            processes.refuse_unless_scaled("serve --web-only")
        self._check_address(host, port)
        with processes.prepared():
            if web_only:
                self._serve(host, port)
            else:
                with processes.worker(self.stdout):
                    self._serve(host, port)
        self.stdout.write("Stopped.")

    def _serve(self, host: str, port: int) -> None:
        def ready() -> None:
            live.use_loop(reactor._asyncioEventloop)  # noqa: SLF001  Daphne does so too
            self._announce(host, port)
            gc.freeze()  # what is here now stays: no collection has to look at it again

        run_server(application, host, port, ready)

    def _check_address(self, host: str, port: int) -> None:
        if host not in LOOPBACK_HOSTS and not settings.ALLOW_ANONYMOUS and not _has_keys():
            raise CommandError(
                f"There is no API key yet, so the service listens on this machine only, not on {host}. "
                "Make a key with: manage.py apikey create NAME. "
                "If everybody who can reach that address may use it, set DOWNIE_ALLOW_ANONYMOUS=true."
            )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            with socket.socket(family) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Port {port} on {host} cannot be used ({os.strerror(error.errno or 0)}): "
                f"choose another, for example with: make run PORT={port + 1 if port < 65535 else 8000}"  # noqa: PLR2004  the last port
            ) from None

    def _announce(self, host: str, port: int) -> None:
        name = f"[{host}]" if ":" in host else host
        base = f"http://{name}:{port}"
        administrators = get_user_model().objects.filter(is_superuser=True)
        self.stdout.write(
            f"Downie Enhanced {VERSION} is running. Stop it with Ctrl-C.\n"
            f"  The page       {base}/\n"
            f"  The API docs   {base}/api/docs  (and {base}/api/redoc)\n"
            f"  The admin      {base}/admin/\n"
            f"  The library    {f's3://{settings.S3_BUCKET}' if settings.S3_BUCKET else settings.LIBRARY_DIR}"
        )
        engine = readiness.yt_dlp()
        if engine.status == "warning":
            self.stdout.write(engine.detail)
        if not administrators.exists():
            self.stdout.write("Make an administrator with: .venv/bin/python manage.py createsuperuser")


def _has_keys() -> bool:
    """Whether there are API keys; before the first start there is no table of them either."""
    is_there = ApiKey._meta.db_table in connection.introspection.table_names()  # noqa: SLF001
    return is_there and ApiKey.objects.configured().exists()
