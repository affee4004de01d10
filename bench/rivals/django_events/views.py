"""The same call in the two frameworks."""

from typing import Any

from django.http import HttpRequest
from ninja import NinjaAPI, Schema, Status
from rest_framework import generics, serializers

from bench.rivals.django_events.models import Event


class EventSerializer(serializers.ModelSerializer):
    """What django-rest-framework takes."""

    id = serializers.CharField(source="event_id")
    customer_id = serializers.CharField(required=False, default="")

    class Meta:
        model = Event
        fields = [
            "id",
            "event_type",
            "event_source",
            "entity_name",
            "entity_id",
            "customer_id",
            "event_payload",
        ]


class Create(generics.CreateAPIView):
    """django-rest-framework's own view for it."""

    queryset = Event.objects.all()
    serializer_class = EventSerializer


class EventIn(Schema):
    """What django-ninja takes."""

    id: str
    event_type: str
    event_source: str
    entity_name: str
    entity_id: str
    customer_id: str = ""
    event_payload: dict[str, Any]


ninja = NinjaAPI()


@ninja.post("/events", response={201: EventIn})
def create(request: HttpRequest, event: EventIn) -> Status[EventIn]:
    """Save one event."""
    members = event.dict()
    Event.objects.create(event_id=members.pop("id"), **members)
    return Status(201, event)
