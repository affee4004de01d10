"""`POST /api/v1/mailings/{id}/test`: the mailing, shown to one person."""

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from clarion.api.auth import Requires, caller_of
from clarion.api.clock import now
from clarion.api.faces import message_of_test
from clarion.api.wire import Body, Id, Phone, find, tenant_of
from clarion.flows import mailings, test_sends
from clarion.models import Mailing

router = Router(auth=Requires("mailings"), tags=["mailings"])


class TestSend(Body):
    """Whose values fill the text, and where it goes. Without a client the first of the audience, to their own phone."""

    client: Id | None = None
    phone: Phone = ""


FIRST_OF_AUDIENCE = TestSend()


@router.post("/api/v1/mailings/{int:mailing_id}/test", response={202: dict[str, Any]})
def send_a_test(request: HttpRequest, mailing_id: int, payload: TestSend = FIRST_OF_AUDIENCE) -> Any:
    """Show a mailing to one person, at once: before it starts, while it is paused, outside of local hours.

    It counts in no accounts. The message is found under its id at `/api/v1/messages/{id}`.
    """
    rows = Mailing.objects.of(tenant_of(request)).alive().select_related("account__lane", "tenant")
    row = find(rows, mailing_id)
    mailings.check_may_change(row, is_test=caller_of(request).is_test)
    message = test_sends.show(row, client_id=payload.client, phone=payload.phone, now=now())
    return Status(202, message_of_test(message))
