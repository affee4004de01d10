"""Texts of tenants: what they may say, and that none can hang, swell, or stop what sends the others'."""

import time
import tracemalloc

import pytest

from clarion.lib.texts import LONGEST_TEXT, MOST_LOOPS, MOST_OUTPUT, BadText, CannotRender, compile_text

ANN = {"id": 7, "phone": "70000001234", "operator_code": "900", "tag": "Ann", "timezone": "UTC"}


def render(source: str, **values: object) -> str:
    return compile_text(source).render({**ANN, **values})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("Hello {{ tag }}, {{phone}}", "Hello Ann, 70000001234"),
        ("{{ tag | upcase }} {{ tag | downcase | append: '!' }}", "ANN ann!"),
        ("{% if operator_code == '900' %}yes{% else %}no{% endif %}", "yes"),
        ("{% for n in (1..3) %}{{ n }}{% endfor %}", "123"),
        ("{% assign x = 'a b' | split: ' ' %}{{ x | join: '-' }}", "a-b"),
        ("{{ tag | replace: 'n', 'mm' }}", "Ammmm"),
        ("{% raw %}{{ tag }}{% endraw %}", "{{ tag }}"),
        ("{{ '<b>' }} {{ tag }} & co", "<b> Ann & co"),
        ("{{ 'Привет' }} 👋", "Привет 👋"),
    ],
)
def test_a_text_is_made_for_its_values(source, text):
    assert render(source) == text


@pytest.mark.parametrize(
    "source",
    ["", "Hello", "{ tag }", "a } b { c", "100 %} off", "}} {", "{ {tag} }", "{#no comment#}", "{\n{"],
)
def test_a_text_without_a_tag_is_sent_as_it_is(source):
    assert render(source) == source


def test_nothing_in_a_value_is_taken_for_a_tag():
    assert render("{{ tag }}", tag="{{ phone }} {% if %}") == "{{ phone }} {% if %}"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ tag", "line 1: expected '}}'"),
        ("one\ntwo\nthree {{ tag | 3 }}", "line 3: "),
        ("{{ tag | }}", "expected word"),
        ("\n{% if tag %}{{ tag }", "line 2: "),
        ("\n\n{% nonsense %}", "line 3: unexpected tag 'nonsense'"),
        ("{% if tag %}", "expected tag endif"),
        ("\n{{ tag | shout }}", "line 2: unknown filter 'shout'"),
        ("{% if tag %}{{ tag | upcase | shout }}{% endif %}", "line 1: unknown filter 'shout'"),
        ("{% include 'another' %}", "line 1: unexpected tag 'include'"),
        ("{% render 'another' %}", "line 1: unexpected tag 'render'"),
        ("\n{% for n in (1..101) %}{% endfor %}", f"line 2: a range has at most {MOST_LOOPS} numbers"),
        ("{{ (1..30000000) | join: '' }}", "a range has at most"),
        ("{% assign x = (1..99999999999999999999) %}", "a range has at most"),
        ("{% if (1..30000000) contains 'x' %}{% endif %}", "a range has at most"),
        ("{% for n in (1..id) %}{% endfor %}", "from one written number to another"),
        ("{% if true %}" * 99 + "{% endif %}" * 99, "nesting limit"),
    ],
)
def test_a_bad_text_is_refused_while_it_is_written_with_line_and_reason(source, words):
    with pytest.raises(BadText) as caught:
        compile_text(source)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{{ discount }}", "'discount' is undefined"),
        ("{{ tag.length }}", "tag.length is undefined"),
        ("\n{{ tag.__class__.__mro__ }}", "line 2: tag.__class__"),
        ("{{ tag | divided_by: 0 }}", "divide by 0"),
        ("{{ tag | slice: 'x' }}", "slice"),
        # Mistakes of arithmetic that the library lets through as Python's own.
        ("{{ '1e999' | times: 1 | ceil }}", "OverflowError"),
        ("{{ 'nan' | plus: 1 | floor }}", "ValueError"),
        ("{{ tag | sum }}", "InvalidOperation"),
        # No database takes a NUL.
        ("{{ '%00' | url_decode }}", "NUL"),
        ("{{ 'AA==' | base64_decode }}", "NUL"),
    ],
)
def test_a_text_without_a_result_says_why(source, words):
    with pytest.raises(CannotRender) as caught:
        render(source)

    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_text_that_fails_for_one_is_made_for_the_next():
    text = compile_text("{{ tag | sum }}")

    with pytest.raises(CannotRender):
        text.render({"tag": "x"})
    assert text.render({"tag": [1, 2]}) == "3"


HUGE = "a" * 4_000
BOMBS = {
    "loops in loops": "{% for a in (1..100) %}{% for b in (1..100) %}{% endfor %}{% endfor %}",
    "loops over a split text": "{% assign x = '"
    + HUGE
    + "' | split: '' %}{% for a in x %}{% for b in x %}{% endfor %}{% endfor %}",
    "rows of a table": "{% tablerow a in (1..100) %}{% for b in (1..100) %}{% endfor %}{% endtablerow %}",
    "output": "{% capture a %}" + HUGE + "{% endcapture %}" + "{{ a }}" * 6,
    "output in a loop": "{% for a in (1..100) %}" + "x" * 999 + "{% endfor %}",
    "doubling": "{% assign a = 'xx' %}{% for n in (1..99) %}{% assign a = a | append: a %}{% endfor %}",
    "doubling by capture": "{% assign a = 'xx' %}{% for n in (1..99) %}"
    "{% capture a %}{{ a }}{{ a }}{% endcapture %}{% endfor %}",
    "one replaced by many": "{% assign a = '" + HUGE + "' %}{{ a | replace: 'a', a | size }}",
    "many by many by many": "{% assign a = '"
    + HUGE
    + "' %}{{ a | replace: 'a', a | replace: 'a', a | replace: 'a', a }}",
    "nothing replaced by many": "{% assign a = '" + HUGE + "' %}{{ a | replace: '', a | size }}",
    "joined by many": "{% assign a = '" + HUGE + "' %}{{ a | split: '' | join: a | size }}",
    "a list doubled": "{% assign a = 'a,b' | split: ',' %}{{ a" + " | concat: a" * 500 + " | size }}"
    "{% for n in (1..99) %}{% assign a = a | concat: a %}{% endfor %}",
    "escaped again and again": "{% assign a = '"
    + "&" * 4_000
    + "' %}{{ a"
    + " | escape" * 400
    + " | size }}",
    "encoded again and again": "{% assign a = '" + "%" * 4_000 + "' %}{{ a" + " | url_encode" * 400 + " }}",
    "a number with a million digits": "{% assign n = 9999999999 %}{% for i in (1..99) %}"
    "{% assign n = n | times: n %}{% endfor %}{{ n }}",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_what_was_written_to_hang_or_to_fill_the_memory_is_stopped(bomb):
    assert len(bomb) <= LONGEST_TEXT
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises((BadText, CannotRender)):
            render(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 50_000_000  # bytes; the biggest of these would ask for gigabytes
    assert time.process_time() - began < 5  # s; none takes a tenth of it


def test_the_longest_text_that_is_allowed_is_made():
    assert len(render("x" * (LONGEST_TEXT - 9) + "{{ tag }}")) == LONGEST_TEXT - 6
    assert len(render("{% for n in (1..100) %}" + "x" * 200 + "{% endfor %}")) == MOST_OUTPUT


def test_a_text_is_compiled_once():
    assert compile_text("Hello {{ tag }}") is compile_text("Hello {{ tag }}")


def test_a_text_with_more_places_than_anybody_needs_is_refused_before_it_is_read():
    with pytest.raises(BadText, match="at most 200 places"):
        compile_text("{{" * 5_000)
