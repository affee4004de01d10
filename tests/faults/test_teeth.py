"""The fault runs can fail: protections are switched off, one at a time, and the auditor has to notice.

The first four of them here; `make faults` does all.
"""

import pytest
from msgspec.structs import replace

from tests.faults.runner import carry_out
from tests.faults.teeth import TEETH, Tooth

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("tooth", TEETH[:4], ids=lambda tooth: tooth.protection)
def test_a_protection_that_is_switched_off_is_missed(tooth: Tooth) -> None:
    figures = carry_out(replace(tooth.plan, without=tooth.protection), timeout=50)

    assert tooth.bites(figures), figures
