"""Batches in which a lot is wrong: what is answered stays short."""

from django.test import Client

from tests.api.calls import ask


def test_an_answer_to_many_bad_events_stays_short(api: Client) -> None:
    bad = f'{{"{"n" * 5_000}": [{"1e999," * 30}1]}}'

    answer = ask(api, "POST", "/api/v1/events", f"[{','.join([bad] * 1_000)}]")

    errors = answer.json()["errors"]
    assert [error["index"] for error in errors] == list(range(1_000))
    assert (bool(errors[0]["errors"]), errors[-1]["errors"]) == (True, [])
    assert len(answer.content) < 2 * 1024 * 1024
