"""Texts that have a result for nobody are refused; those that may have one for somebody are not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clarion.lib.text_checks import check_text
from clarion.lib.texts import BadText, CannotRender, compile_text
from tests.lib.test_texts import BOMBS

SAMPLE = {"id": 7, "phone": "70000001234", "code": "900", "tag": "1", "more": {}}


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("Hello {{ tga }}", "line 1, column 10: 'tga' is not known here; did you mean 'tag'?"),
        ("Hello\nto {{ city }}", "line 2, column 7: 'city' is not known here; did you mean 'more.city'?"),
        (
            "{{ tag | default: nme }} {{ x }}",
            "line 1, column 19: 'nme' is not known here; did you mean 'more.nme'?",
        ),
        ("{% if nme %}{% endif %}", "line 1, column 7: 'nme' is not known here; did you mean 'more.nme'?"),
        (
            "{% for n in (1..3) %}{% endfor %}{{ cod }}",
            "line 1, column 37: 'cod' is not known here; did you mean 'code'?",
        ),
        (
            "{% case code %}{% when tagg %}{% endcase %}",
            "line 1, column 24: 'tagg' is not known here; did you mean 'tag'?",
        ),
        (
            "{% liquid\nassign x = tag\n echo phon\n%}",
            "line 3, column 7: 'phon' is not known here; did you mean 'phone'?",
        ),
    ],
)
def test_a_name_that_nobody_has_is_refused_with_its_place_and_a_hint(source, sentence):
    assert refusal(source) == sentence


def test_without_anything_near_the_hint_names_what_is_known():
    with pytest.raises(BadText) as caught:
        check_text("{{ discount }}", {"id": 1, "tag": "1"})

    assert str(caught.value) == "line 1, column 4: 'discount' is not known here; known are id, tag"


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("{{ id | divided_by: 0 }}", "line 1, column 9: divided_by: can't divide by 0"),
        (
            "{% if tag == 'x' %}\n{{ 1 | divided_by: 0 }}{% endif %}",
            "line 2, column 8: divided_by: can't divide by 0",
        ),
        ("{{ more.city | divided_by: 0 }}", "line 1, column 16: divided_by: can't divide by 0"),
        ("{{ tag | upcase: 1 }}", "line 1, column 10: upcase: too many positional arguments"),
        ("{{ more.city | slice }}", "line 1, column 16: slice: missing a required argument: 'start'"),
        (
            "{{ tag | default: 1, x: 2 }}",
            "line 1, column 10: default: got an unexpected keyword argument 'x'",
        ),
        ("{{ tag | slice: 'x' }}", "line 1, column 10: slice expected an integer start, found str"),
        ("{{ tag.length }}", "line 1, column 4: tag.length is undefined"),
        ("{{ id.more }}", "line 1, column 4: id.more is undefined"),
        (
            "{% if code > 5 %}{% endif %}",
            "line 1, column 12: '<' and '>' are not supported between 'int' and 'str'",
        ),
        ("{{ 'nan' | plus: 1 | floor }}", "line 1, column 22: floor: ValueError"),
        ("\n{{ '%00' | url_decode }}", "line 2, column 4: the result holds a NUL character"),
        ("{% break %}", "line 1, column 4: unexpected 'break'"),
        ("{{ tag | shout }}", "line 1, column 10: unknown filter 'shout'"),
    ],
)
def test_what_fails_whatever_the_values_are_is_refused_also_where_few_would_see_it(source, sentence):
    assert refusal(source) == sentence


@pytest.mark.parametrize(
    "source",
    [
        "Hello",
        "{{ id }} {{ phone | slice: 7, 4 }} {{ code }} {{ tag | default: 'friend' }}",
        "{{ more.city }} {{ more['first name'] }} {{ more.home.street | upcase }} {{ more[tag] }}",
        "{% for each in more.things %}{{ each.name }}: {{ each.price | times: 2 }}{% endfor %}",
        "{{ more.things | where: 'kind', 'a' | map: 'name' | sort | join: ', ' }}",
        "{{ more.names | concat: more.others | join: ', ' | truncate: more.size }}",
        "{{ 100 | divided_by: more.share }}",
        "{% assign left = more.level | minus: 1 %}{{ 100 | divided_by: left }}",
        "{% if more.age > 0 and more.groups contains 'vip' %}Hello{% endif %}",
        "{% if more.since < '2026-01-01' or more.age >= 18 %}Hello{% endif %}",
        "{{ more.birthday | date: '%d.%m' }} {{ now | date: '%Y' }} {{ today }}",
        "{% if tag == 'vip' %}{% assign gift = 'tea' %}{% endif %}{{ gift }}",
        "{% for n in (1..3) %}{% if seen %}{{ seen }}{% endif %}{% assign seen = n %}{% endfor %}",
        "{% capture name %}{{ tag }}{% endcapture %}{{ name }} {% increment count %}{{ count }}",
        "{% for n in (1..3) %}{{ n }}{{ forloop.index }}{% endfor %}{% cycle 'a', 'b' %}",
        "{% tablerow n in (1..3) %}{{ tablerowloop.col }}{% endtablerow %}",
        "{% comment %}{{ nme }}{% endcomment %}{% raw %}{{ nme }}{% endraw %}",
    ],
)
def test_what_may_have_a_result_for_somebody_is_taken(source):
    check_text(source, SAMPLE)


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_what_always_passes_a_limit_is_refused_with_its_place(bomb):
    assert refusal(bomb).startswith("line 1, column ")


PIECES = ["tag", "nme", "more.x", "id", "'a'", "0", " | upcase", " | divided_by: 0", " | slice", "{{ ", " }}"]
PIECES += [
    "{% if ",
    " %}",
    "{% endif %}",
    "{% for n in more.l %}",
    "{% endfor %}",
    "{% assign y = ",
    " > 3",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join))
def test_a_refusal_has_its_place_and_what_is_taken_fails_only_for_some(source):
    refused, failed = None, None
    try:
        check_text(source, SAMPLE)
        compile_text(source).render(SAMPLE)
    except BadText as error:
        refused = str(error)
    except CannotRender as error:
        failed = error

    assert refused is None or refused.startswith("line ")
    assert failed is None or failed.depends_on_values


def refusal(source: str) -> str:
    with pytest.raises(BadText) as caught:
        check_text(source, SAMPLE)
    return str(caught.value)
