"""The doors that have a URL."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path

from clarion.api import problems
from clarion.api.build import build

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("", build().urls),
]

handler404 = problems.not_found
handler500 = problems.failed
