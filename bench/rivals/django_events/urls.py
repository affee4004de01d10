"""Where the two listen."""

from django.urls import path

from bench.rivals.django_events.views import Create, ninja

urlpatterns = [path("drf/events", Create.as_view()), path("ninja/", ninja.urls)]
