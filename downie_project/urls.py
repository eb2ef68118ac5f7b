"""Every address of the service but the feed's, which is in `asgi.py`."""

from django.contrib import admin
from django.urls import include, path

from downloads.api import api
from downloads.metrics import metrics

urlpatterns = [
    path("api/", api.urls),
    path("admin/", admin.site.urls),
    path("metrics", metrics),
    path("", include("downloads.urls")),
]
