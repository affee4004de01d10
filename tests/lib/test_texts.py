"""Texts of tenants: what they may say, and that none can hang, swell, or stop what sends the others'."""

import re
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    ("source", "sentence"),
    [
        ("{{ tag", "line 1, column 1: expected '}}', found end of file"),
        ("one\ntwo\nthree {{ tag | 3 }}", "line 3, column 16: expected word, found integer"),
        ("Hello {{ tag | }}", "line 1, column 7: expected word, found end of expression"),
        ("\n{% if tag %}{{ tag }", "line 2, column 13: expected '}}', found end of file"),
        ("\n\n  {% nonsense %}", "line 3, column 6: unexpected tag 'nonsense'"),
        ("a\n b {% if tag %}{{ tag }}", "line 2, column 7: expected tag endif, found end of expression"),
        (
            "{% if tag == %}{% endif %}",
            "line 1, column 4: expected a primitive expression, found end of expression",
        ),
        ("{% liquid\n if tag\n%}", "line 2, column 2: expected tag endif, found end of expression"),
        ("{% comment %} {{ tag }}", "line 1, column 4: comment tag was never closed"),
        ("\r\nПривет 👋 {{ tag | shout }}", "line 2, column 19: unknown filter 'shout'"),
        ("{% if tag %}{{ tag | upcase | shout }}{% endif %}", "line 1, column 31: unknown filter 'shout'"),
        ("{% include 'another' %}", "line 1, column 4: unexpected tag 'include'"),
        ("{% render 'another' %}", "line 1, column 4: unexpected tag 'render'"),
        (
            "\n{% for n in (1..101) %}{% endfor %}",
            f"line 2, column 13: a range has at most {MOST_LOOPS} numbers",
        ),
        ("{{ (1..30000000) | join: '' }}", f"line 1, column 4: a range has at most {MOST_LOOPS} numbers"),
        ("{% assign x = (1..99999999999999999999) %}", "line 1, column 15: a range has at most 100 numbers"),
        (
            "{% if (1..30000000) contains 'x' %}{% endif %}",
            "line 1, column 7: a range has at most 100 numbers",
        ),
        (
            "{% for n in (1..id) %}{% endfor %}",
            "line 1, column 13: a range goes from one written number to another",
        ),
        ("{% if true %}" * 99 + "{% endif %}" * 99, "line 1, column 394: block nesting limit reached"),
        ("x {{ a" + "[a" * 3_000 + "]" * 3_000 + "}}", "line 1, column 3: is nested too deeply"),
        ("\n" + "{{" * 201, "line 2, column 401: a text has at most 200 places to fill in, it has 201"),
    ],
)
def test_a_bad_text_is_refused_while_it_is_written_with_line_column_and_reason(source, sentence):
    with pytest.raises(BadText) as caught:
        compile_text(source)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ discount }}", "line 1, column 4: 'discount' is undefined"),
        ("{{ tag.length }}", "line 1, column 4: tag.length is undefined"),
        ("\n{{ tag.__class__.__mro__ }}", "line 2, column 4: tag.__class__ is undefined"),
        ("{{ tag | divided_by: 0 }}", "line 1, column 10: divided_by: can't divide by 0"),
        ("{{ tag | slice: 'x' }}", "line 1, column 10: slice expected an integer start, found str"),
        # Mistakes of arithmetic that the library lets through as Python's own.
        ("{{ '1e999' | times: 1 | ceil }}", "line 1, column 25: ceil: OverflowError"),
        ("{{ 'nan' | plus: 1 | floor }}", "line 1, column 22: floor: ValueError"),
        ("{{ tag | sum }}", "line 1, column 10: sum: InvalidOperation"),
        # No database takes a NUL.
        ("{{ '%00' | url_decode }}", "the result holds a NUL character"),
        ("{{ 'AA==' | base64_decode }}", "the result holds a NUL character"),
    ],
)
def test_a_text_without_a_result_says_where_and_why(source, sentence):
    with pytest.raises(CannotRender) as caught:
        render(source)

    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("in {{ more.city }}", "in Kazan"),
        (
            "{{ more.home.city }} {{ more['home'].city }} {{ more.list[1] }} {{ more.list.size }}",
            "Inza Inza b 2",
        ),
        ("{% for each in more.list %}<{{ each }}>{% endfor %}", "<a><b>"),
        ("{{ more.name | default: 'friend' }}", "friend"),
        ("{{ more.home.street | default: tag }}", "Ann"),
        ("{{ more.none }}|{{ more.none | default: 'x' }}", "|x"),
    ],
)
def test_a_value_may_have_members(source, text):
    more = {"city": "Kazan", "home": {"city": "Inza"}, "list": ["a", "b"], "none": None}

    assert render(source, more=more) == text


@pytest.mark.parametrize(
    "source",
    [
        "{{ more.city }}",
        "{{ more.city | upcase }}",
        "{{ more.city | upcase | default: 'x' }}",
        "{{ more.city | date: '%Y' }}",
        "{{ tag | append: more.city }}",
        "{% assign city = more.city %}{{ city }}",
        "{% for each in more.list %}{{ each }}{% endfor %}",
    ],
)
def test_a_member_that_is_not_there_cannot_be_written(source):
    with pytest.raises(CannotRender, match="is undefined"):
        render(source, more={})


@pytest.mark.parametrize(
    "condition",
    ["more.city", "more.city == 'Kazan'", "more.age > 18", "more.age <= 18", "more.list contains 'a'"],
)
def test_a_condition_about_a_member_that_is_not_there_is_false(condition):
    assert render("{% if " + condition + " %}yes{% else %}no{% endif %}", more={}) == "no"


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
    began = time.process_time()

    with pytest.raises(BadText, match="at most 200 places"):
        compile_text("{{" * 5_000)

    assert time.process_time() - began < 0.5  # s; to read it takes 3


@given(st.text(alphabet=st.sampled_from("{}%| .:'\"-\n()[]=<>aif0tg,"), max_size=80))
def test_whatever_is_written_is_a_text_or_is_refused_with_its_place(source):
    failure = None
    try:
        compile_text(source).render(ANN)
    except (BadText, CannotRender) as error:
        failure = str(error)

    assert failure is None or re.match(r"line \d+, column \d+: .", failure)
