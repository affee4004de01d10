"""`make fuzz` in small: requests made up from the API's own description, of which none may be a fault of ours."""

from pathlib import Path

import pytest

from tests.faults.strangers import MOST_GROWTH, ask, running_web

pytestmark = pytest.mark.thorough
CASES = 500


@pytest.mark.timeout(120)  # a busy machine takes a minute to find out what may be sent
def test_no_made_up_request_is_answered_with_a_fault_of_ours(tmp_path: Path) -> None:
    with running_web(tmp_path) as port:
        found = ask(port, CASES, 1)

    assert found.faults == []
    assert found.cases > CASES * 0.8  # routes that cannot be asked wrongly are asked half as often
    # Right ones, wrong ones, and those of what is not there.
    assert {200, 201, 400, 404} <= set(found.statuses)
    assert found.growth < MOST_GROWTH


def test_a_mistake_would_be_noticed(tmp_path: Path) -> None:
    with running_web(tmp_path, "limits") as port:
        found = ask(port, 50, 1, under="/api/v1/clients")

    assert any(fault.startswith("500") for fault in found.faults)
