"""Django's admin as we use it."""

from django.contrib.admin import apps


class AdminConfig(apps.AdminConfig):
    """With a first page of our own."""

    default_site = "downloads.admin_site.AdminSite"
