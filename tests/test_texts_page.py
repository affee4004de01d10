"""docs/texts.md, taken by its word: every example is made, refused or measured as the page says."""

import json
import re

import pytest

from clarion.flows.test_sends import SHOWN_WITHIN
from clarion.flows.wording import check_wording
from clarion.lib import texts
from clarion.lib.segments import measure
from clarion.lib.texts import BadText, compile_text
from clarion.models.customers import TEXT_NAMES
from tests.test_docs import DOCS, FENCED, fenced

PAGE = (DOCS / "texts.md").read_text()
CLIENT = json.loads(fenced(PAGE, "json"))


def examples(heading: str) -> list[tuple[str, str]]:
    """Return the lines of the first block of examples under a heading: what is written, and what comes of it."""
    section = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.split("  →  ") for line in fenced(section, "text").splitlines()]
    return [(written, result) for written, result in lines]


@pytest.mark.parametrize(("text", "result"), examples("What a text may name"))
def test_a_text_becomes_what_the_page_says(text, result):
    check_wording(text)

    assert compile_text(text).render(CLIENT).strip() == result


@pytest.mark.parametrize(("text", "sentence"), examples("What is refused"))
def test_a_text_is_refused_in_the_words_of_the_page(text, sentence):
    with pytest.raises(BadText) as caught:
        check_wording(text)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(("written", "result"), examples("How many messages it is"))
def test_a_text_is_as_many_segments_as_the_page_says(written, result):
    count, _, character = written.partition(" × ")
    measured = measure(character * int(count))

    assert f"{measured.encoding}, {measured.segments}" == result


def test_the_page_names_what_a_text_may_name():
    named = re.findall(r"^\| `(\w+)`", PAGE.partition("## What a text may name")[2], re.MULTILINE)

    assert tuple(named) == (*TEXT_NAMES, "now")
    assert tuple(CLIENT) == TEXT_NAMES


def test_the_limits_are_those_of_the_program():
    limits = [int(number.replace(",", "")) for number in re.findall(r"\| ([\d,]+) \|$", PAGE, re.MULTILINE)]

    assert limits == [texts.LONGEST_TEXT, texts.MOST_PLACES, texts.MOST_LOOPS, texts.MOST_OUTPUT]
    assert SHOWN_WITHIN.total_seconds() == 600
    assert "within ten minutes" in PAGE


def test_every_block_of_the_page_is_one_that_is_asked_about():
    assert len(FENCED.findall(PAGE)) == 5
