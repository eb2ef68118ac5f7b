"""How Django calls this app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DownloadsConfig(AppConfig):
    """The app, with a name that the admin shows."""

    name = "downloads"
    verbose_name = _("Downloads")
