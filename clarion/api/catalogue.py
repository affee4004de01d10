"""What each `code` of a problem means and what to do about it; the page that a problem's `type` leads to.

Said here and nowhere else: docs/problems.md is drawn from it, and a test finds every code that the program uses.
"""

from html import escape
from typing import NamedTuple

from django.http import HttpRequest, HttpResponse
from ninja import Router

from clarion.lib.problems import PAGE

# Open to anybody: it says what the documentation says.
router = Router(auth=None)


class Meaning(NamedTuple):
    """One code: the statuses it comes with, what happened, and what the caller can do."""

    statuses: tuple[int, ...]
    means: str
    remedy: str


CATALOGUE = {
    "already_over": Meaning(
        (409,), "The mailing or the import has ended or was cancelled.", "Make a new one."
    ),
    "already_sent": Meaning(
        (409,),
        "The receiver took this delivery.",
        "To send its event once more, ask for a replay of its number: `detail` says how.",
    ),
    "already_started": Meaning(
        (409,),
        "The mailing has started; what it is cannot change any more.",
        "Pause or cancel it, and make another.",
    ),
    "bad_idempotency_key": Meaning(
        (400,), "The Idempotency-Key cannot be one.", "Send 1 to 255 visible ASCII characters, no blank."
    ),
    "body_too_long": Meaning(
        (413,),
        "The body is longer than this installation takes.",
        "Send less, or raise CLARION_MAX_BODY_BYTES (of a file of clients CLARION_MAX_IMPORT_BYTES). Events: at most "
        "10,000 and 16 MiB at once, unpacked, one of them 1 MiB.",
    ),
    "body_too_slow": Meaning(
        (408,), "The body was not whole in time.", "Send it again, or raise CLARION_BODY_SECONDS."
    ),
    "busy": Meaning(
        (503,),
        "Half of this process's threads are sending files to slow readers.",
        "Try again in a moment, or raise CLARION_WEB_THREADS.",
    ),
    "cannot_render": Meaning(
        (400,),
        "The mailing's text has no result for this client; nothing was sent. The mailing itself is as it was.",
        "`detail` names the place; give one for everybody with the filter `default`, or name another client.",
    ),
    "cross_site": Meaning(
        (403,),
        "A page of another site called, and development mode asks nobody for a key.",
        "Call from this machine without an Origin, or leave development mode.",
    ),
    "database_unavailable": Meaning(
        (503,),
        "The database is away or busy; nothing was stored.",
        "Repeat after Retry-After, a POST under an Idempotency-Key. Operators: is the server up?",
    ),
    "delivery_open": Meaning(
        (409,), "The delivery is on its way.", "Wait: `due` says when it is tried next."
    ),
    "empty_audience": Meaning(
        (409,),
        "No client was named to show the mailing for, and it is for nobody.",
        "Name a client, or widen the mailing's filters.",
    ),
    "empty_file": Meaning((400,), "There is nothing in the file.", "Send the file itself as the body."),
    "event_gone": Meaning(
        (409,),
        "The log no longer has the event of this delivery.",
        "Nothing can send it any more; `clarion tenants keep` says for how long events are kept.",
    ),
    "external_id_taken": Meaning(
        (409,),
        "Another client of the tenant has this external_id.",
        "Change that one: `GET /api/v1/clients?external_id=` finds it.",
    ),
    "file_gone": Meaning(
        (410,), "The file has served its time.", "Send or ask for it again; files are kept for a week."
    ),
    "host_not_allowed": Meaning(
        (400,),
        "The Host header is not a name of this installation.",
        "Use its own name, or add yours to CLARION_ALLOWED_HOSTS.",
    ),
    "id_differs": Meaning(
        (400,), "The body has another id than the path.", "Leave the id out, or send the path's."
    ),
    "id_taken": Meaning(
        (409,),
        "Another event, or another subscription, of the tenant has this id.",
        "Events do not change: send a new one under a new id. A subscription is replaced by PUT.",
    ),
    "idempotency_key_reused": Meaning(
        (422,), "The key was used for a request with another body or query.", "Take a new key."
    ),
    "idempotency_key_running": Meaning(
        (409,), "A request under the same key is being answered.", "Repeat after Retry-After."
    ),
    "intake_full": Meaning(
        (503,),
        "More events wait to be stored than may wait; these were not stored.",
        "Send them again after Retry-After; more at once in one body is faster.",
    ),
    "internal_error": Meaning(
        (500,),
        "A mistake of Clarion's.",
        "Look for the request_id in the log; a POST is safe to repeat under its Idempotency-Key.",
    ),
    "invalid_request": Meaning(
        (400,),
        "Members are missing or wrong; `errors` names every one. Nothing was stored.",
        "Correct them all and send it again.",
    ),
    "live_client": Meaning(
        (403,),
        "A test key asked to make, change or delete a client. Clients are shared by test and live.",
        "Use a live key; a test key may read clients.",
    ),
    "live_mailing": Meaning(
        (403,),
        "A test key asked to change a mailing that reaches people.",
        "Use a live key, or a mailing that was made with a test key.",
    ),
    "live_subscription": Meaning(
        (403,),
        "A test key asked to touch a subscription that was made with a live key.",
        "Use a live key, or a subscription that was made with a test key.",
    ),
    "log_pruned": Meaning(
        (410,),
        "The log no longer goes back to this number.",
        "Read from the number in `Clarion-First-Seq` on; `detail` names it too.",
    ),
    "messages_gone": Meaning(
        (410,),
        "The mailing's messages have served their time.",
        "`GET /api/v1/mailings/{id}/report` has their counts; `clarion tenants keep` says for how long they are kept.",
    ),
    "method_not_served": Meaning((405,), "The path has no such method.", "Use one of those in Allow."),
    "no_room": Meaning(
        (507,), "The server has no room to keep the file.", "Try later. Operators: is the disk full?"
    ),
    "no_secret": Meaning(
        (409,),
        "The subscription's destination has no secret that is made here.",
        "Send the new credentials with PUT.",
    ),
    "not_a_table": Meaning(
        (415,),
        "The body is no CSV and no JSON lines, or it is packed or wrapped into something.",
        "Send the plain file as the body, as `text/csv` or `application/x-ndjson`.",
    ),
    "not_found": Meaning(
        (404,),
        "No such path or row, or the row is another tenant's.",
        "Check the id, and whose key was used.",
    ),
    "not_identified": Meaning(
        (401,),
        "No key, or one that is unknown or revoked.",
        "Send `Authorization: Bearer ck_live_…`; `clarion keys add` makes one.",
    ),
    "not_json": Meaning(
        (400, 415),
        "The body is not JSON, names a member twice, or has another Content-Type.",
        "Send strict JSON as `application/json`.",
    ),
    "not_migrated": Meaning((503,), "The tables are older than the program.", "Run `clarion migrate`."),
    "not_ready": Meaning(
        (409,), "The file is not whole yet, or never will be: `detail` says which.", "Ask for its status."
    ),
    "refused": Meaning((400,), "The request cannot be read.", "`detail` says what was expected."),
    "scope_missing": Meaning(
        (403,), "The key is good and may not do this.", "Use a key with the scope that `detail` names."
    ),
    "subscription_inactive": Meaning(
        (409,),
        "The subscription was deactivated, or Clarion ended it.",
        "PUT it with `active` true, then ask again.",
    ),
    "too_deep": Meaning((400,), "The JSON is nested too deeply.", "Flatten it."),
    "too_much_at_once": Meaning(
        (503,),
        "The bodies that are being sent hold all the memory that bodies may have; this one was not taken.",
        "Send it again after Retry-After. A body of up to 64 KiB is taken whatever others send.",
    ),
    "tried_once": Meaning(
        (409,), "This delivery is an example, and is tried once.", "Ask for another test of the subscription."
    ),
    "unknown_encoding": Meaning(
        (415,), "The body is packed in a way that is not known here.", "Send it plain, or as gzip."
    ),
    "wrong_tenant": Meaning(
        (403,),
        "X-TWC-Tenant names another tenant than the key's, or what cannot be a tenant's name.",
        "Leave the header out, or name the key's tenant.",
    ),
}


@router.get(PAGE, include_in_schema=False)
def problems_page(request: HttpRequest) -> HttpResponse:
    """Every code with its anchor, for whoever follows a `type`."""
    entries = "\n".join(
        f"<dt id={code}><b>{code}</b> {' '.join(map(str, meaning.statuses))}"
        f"<dd>{escape(meaning.means)} {escape(meaning.remedy)}"
        for code, meaning in CATALOGUE.items()
    )
    head = (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Clarion: problems</title><h1>Problems</h1>"
    )
    return HttpResponse(f"{head}\n<dl>\n{entries}\n</dl>\n")
