"""The pages."""

from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from downloads import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("tasks/<str:task_id>/start", views.start, name="start"),
    path("tasks/<str:task_id>/cancel", views.cancel, name="cancel"),
    path("tasks/<str:task_id>/delete", views.delete, name="delete"),
    path("favicon.ico", RedirectView.as_view(url=static("downloads/icon-180.png"))),  # for pages that name no icon
    path("i18n/", include("django.conf.urls.i18n")),
]
