"""Where the addresses that subscribers name may lead: the public internet, and what the operator opened."""

from collections.abc import Iterator

from django.conf import settings

from clarion.cli.remarks import Remark, ok, warning


def look() -> Iterator[Remark]:
    """Say what is open, and warn of what only strangers gain from. In development mode this machine is open on purpose."""
    clarion = settings.CLARION
    opened = ", ".join(clarion.egress_allow)
    if not clarion.dev:
        for danger in clarion.egress.dangers():
            yield warning(
                f"CLARION_EGRESS_ALLOW lets subscribers reach {danger}", "env | grep CLARION_EGRESS_ALLOW"
            )
        if clarion.egress_http:
            yield warning("what goes to subscribers may go unencrypted", "unset CLARION_EGRESS_HTTP")
    yield ok(
        f"subscribers' addresses lead to the public internet{f', and to {opened}' if opened else ' only'}"
    )
