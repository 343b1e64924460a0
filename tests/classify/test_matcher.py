"""Matchers mean what Alertmanager means by them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from incidentd.classify.matcher import Matcher, MatcherError, parse_matcher

MEANING = [
    # text, labels, matches
    ('slo="core-api"', {"slo": "core-api"}, True),
    ('slo="core-api"', {"slo": "core-apis"}, False),
    ('slo="core-api"', {}, False),
    ("slo=core-api", {"slo": "core-api"}, True),
    ('  slo  =  "core-api"  ', {"slo": "core-api"}, True),
    ("slo=two words", {"slo": "two words"}, True),
    ('slo!="core-api"', {"slo": "other"}, True),
    ('slo!="core-api"', {}, True),
    ('slo!="core-api"', {"slo": "core-api"}, False),
    # An absent label is the empty text.
    ('region=""', {}, True),
    ('region=""', {"region": ""}, True),
    ('region=""', {"region": "eu"}, False),
    ('region!=""', {}, False),
    ('region!=""', {"region": "eu"}, True),
    ('region=~".*"', {}, True),
    ('region=~".+"', {}, False),
    ('region!~".+"', {}, True),
    # Patterns are anchored at both ends, alternatives too.
    ('slo=~"core"', {"slo": "core-api"}, False),
    ('slo=~"core.*"', {"slo": "core-api"}, True),
    ('slo=~"a|b"', {"slo": "ab"}, False),
    ('slo=~"a|b"', {"slo": "b"}, True),
    ('slo!~"a|b"', {"slo": "c"}, True),
    ('slo!~"a|b"', {"slo": "a"}, False),
    ('slo=~"(?i)CORE"', {"slo": "core"}, True),
    ('slo=~"a.b"', {"slo": "a\nb"}, False),
    # A backslash that escapes nothing stands for itself, as patterns want it.
    (r'code=~"5\d\d"', {"code": "503"}, True),
    (r'path="C:\dir"', {"path": r"C:\dir"}, True),
    (r'slo="say \"hi\""', {"slo": 'say "hi"'}, True),
    (r'slo="a\\b"', {"slo": "a\\b"}, True),
    (r'slo="a\nb"', {"slo": "a\nb"}, True),
    (r'slo="a\tb"', {"slo": r"a\tb"}, True),
    # Characters that mean something elsewhere.
    ('slo="a,b=c{d}"', {"slo": "a,b=c{d}"}, True),
    ("slo==x", {"slo": "=x"}, True),
    ('slo="zahlung-ü"', {"slo": "zahlung-ü"}, True),
    ('slo=~"zahlung-."', {"slo": "zahlung-ü"}, True),
    ('slo=~"日本.{1}"', {"slo": "日本語"}, True),
    # Label names of any UTF-8.
    ('"my label"="a"', {"my label": "a"}, True),
    (r'"say \"hi\""="a"', {'say "hi"': "a"}, True),
    ('größe="a"', {"größe": "a"}, True),
    ("größe=a", {"größe": "a"}, True),
    ('service.name=~"a|b"', {"service.name": "b"}, True),
    (r'"my label"="a\tb"', {"my label": "a\tb"}, True),
    (r'"my label"="\u00fc\x41"', {"my label": "üA"}, True),
    ("a:b=c", {"a:b": "c"}, True),
]


@pytest.mark.parametrize(("text", "labels", "matches"), MEANING)
def test_matcher_means_what_alertmanager_means(text: str, labels: dict[str, str], matches: bool) -> None:
    assert parse_matcher(text).matches(labels) is matches


@pytest.mark.parametrize(
    "text",
    ["", "slo", "=x", 'slo="a', 'slo=a"b', 'slo="a"b"', '{slo="a"}', "slo=~a{2}", "my label=a", '"a b"=c d', '""=x',
     r'"my label"="\q"', r'"my label"="\U00110000"', 'größe="a', "größe="],
)  # fmt: skip
def test_text_that_alertmanager_refuses_is_refused(text: str) -> None:
    with pytest.raises(MatcherError):
        parse_matcher(text)


@pytest.mark.parametrize("pattern", [r"(a)\1", "(?=a)", "(?<!a)b", "a{1001}", "((a{100}){100}){100}", "[", "(", "a**"])
def test_pattern_that_is_not_re2_is_refused_with_its_reason(pattern: str) -> None:
    with pytest.raises(MatcherError, match=r"is not RE2: ."):
        parse_matcher(f'slo=~"{pattern}"')


def test_exponential_pattern_takes_linear_time() -> None:
    matcher = parse_matcher('slo=~"^(a+)+$"')
    begin = time.perf_counter()

    assert not matcher.matches({"slo": "a" * 100_000 + "b"})
    assert time.perf_counter() - begin < 1


def test_surrogate_in_a_label_is_no_error() -> None:
    assert not parse_matcher('slo=~"a"').matches({"slo": "\ud800"})


@given(st.text(min_size=1), st.text())
def test_a_matcher_shown_reads_back_as_itself(label: str, value: str) -> None:
    matcher = Matcher(label, "=", value, value.__eq__)

    try:
        again = parse_matcher(str(matcher))
    except MatcherError:
        # Only names that no quoting saves: Alertmanager has no such labels either.
        assert not label.strip() or '"' in label or "\\" in label or "\n" in label or not label.isprintable()
        return
    if label.isidentifier() and label.isascii():
        assert (again.label, again.value) == (label, value)
