"""Whether the text of a mailing can be made for anybody at all."""

from functools import lru_cache

from clarion.lib.text_checks import check_text

# A customer who has everything. Labels may be numbers, so they are here: what counts with them is not refused.
SAMPLE = {
    "id": 1,
    "phone": "70000000001",
    "operator_code": "900",
    "tag": "1",
    "timezone": "UTC",
    "external_id": "1",
    "attributes": {},
}


# Kept, because the door asks beside whatever else is wrong and the flow asks for itself: a few writers at a time.
@lru_cache(maxsize=64)
def check_wording(text: str) -> None:
    """Refuse a text that could be made for no customer, whatever is known of them.

    :raises BadText:
    """
    check_text(text, SAMPLE)
