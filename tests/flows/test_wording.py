"""What the text of a mailing may name."""

import pytest

from clarion.flows.wording import SAMPLE, check_wording
from clarion.lib.texts import BadText
from clarion.models.customers import TEXT_NAMES


def test_what_a_text_may_name_is_what_it_is_checked_with():
    assert tuple(SAMPLE) == TEXT_NAMES


@pytest.mark.parametrize("name", [*TEXT_NAMES, "attributes.city", "attributes['first name']"])
def test_everything_that_is_known_of_a_customer_may_be_named(name):
    check_wording("Hello {{ " + name + " }}")


def test_what_no_customer_has_is_refused():
    with pytest.raises(BadText) as caught:
        check_wording("Hello\n{{ city }}")

    assert str(caught.value) == "line 2, column 4: 'city' is not known here; did you mean 'attributes.city'?"
