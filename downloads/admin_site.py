"""The admin as a whole; its first page says how the service is."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext_lazy as _

from downloads.dashboard import dashboard


class AdminSite(admin.AdminSite):
    """Django's own, with a dashboard before the list of what can be administered."""

    site_header = site_title = "Downie Enhanced"
    index_title = _("Administration")
    enable_nav_sidebar = False  # it says nothing that the first page does not

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> TemplateResponse:
        """Show the dashboard to whoever may see tasks."""
        shown = {"dashboard": dashboard()} if request.user.has_perm("downloads.view_task") else {}
        return super().index(request, {**shown, **(extra_context or {})})
