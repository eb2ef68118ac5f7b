"""How Django calls this app."""

from importlib import import_module

from django.apps import AppConfig
from django.db import connection
from django.utils.translation import gettext_lazy as _


class DownloadsConfig(AppConfig):
    """The app, with a name that the admin shows."""

    name = "downloads"
    verbose_name = _("Downloads")

    def ready(self) -> None:
        """Prepare the database's driver."""
        if connection.vendor == "postgresql":
            import_module("downie_project.moments").read_quickly()  # its libraries are of no use with SQLite
