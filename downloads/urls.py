"""The pages."""

from django.templatetags.static import static
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from downloads import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("", views.home, name="home"),
    path("add", views.add, name="add"),
    path("tasks/<str:task_id>", views.task, name="task"),
    path("tasks/<str:task_id>/<str:verb>", views.act, name="act"),
    path("theme", views.theme, name="theme"),
    path("send-here", views.send_here, name="send-here"),
    path("manifest.webmanifest", views.manifest, name="manifest"),
    path("service-worker.js", views.service_worker, name="service-worker"),
    path("favicon.ico", RedirectView.as_view(url=static("downloads/icon-192.png"))),  # for pages that name no icon
    path("i18n/", include("django.conf.urls.i18n")),
]
