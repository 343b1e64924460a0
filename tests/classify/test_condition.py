"""Numeric conditions compare plain decimals, and know when they can't."""

import pytest

from incidentd.classify.condition import ConditionError, parse_condition, parse_number
from tests.classify.ground import alert


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("value < 99.5", "99.49", True),
        ("value < 99.5", "99.5", False),
        ("value <= 99.5", "99.5", True),
        ("value > 750", "750", False),
        ("value > 750", "750.0001", True),
        ("value >= 750", "750", True),
        ("value = 1", "1.0", True),
        ("value = 1", "1.01", False),
        ("value<-50", "-50.5", True),
        ("value > 1e3", "1001", True),
        ("value > 1", " 2 ", True),
        ("value > 1", "2e+06", True),
        ("value > 1", "+2", True),
        ("value > .5", ".6", True),
    ],
)
def test_number_is_compared(text: str, value: str, holds: bool) -> None:
    assert parse_condition(text).holds(alert(value)) is holds


@pytest.mark.parametrize(
    "value",
    ["", " ", "NaN", "nan", "Inf", "+Inf", "-Inf", "5%", "n/a", "1,5", "1_000", "0x10", "1e999", "٣", "5 ms", "1.2.3",
     "--1", "1" * 65],
)  # fmt: skip
def test_text_that_is_no_finite_decimal_is_no_number(value: str) -> None:
    assert parse_number(value) is None
    assert parse_condition("value < 5").holds(alert(value)) is None


def test_absent_value_is_no_number() -> None:
    assert parse_condition("value < 5").holds(alert()) is None


def test_label_is_compared_by_its_name() -> None:
    assert parse_condition("age_days > 45").holds(alert(age_days="46")) is True
    assert parse_condition('"age in days" > 45').holds(alert(**{"age in days": "45"})) is False
    assert parse_condition("age_days > 45").holds(alert("46")) is None


@pytest.mark.parametrize("text", ["", "value", "value 5", "value < ", "< 5", "value != 5", "value < NaN", "value =~ 5"])
def test_text_that_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ConditionError):
        parse_condition(text)


@pytest.mark.parametrize(
    ("narrow", "wide", "implied"),
    [
        ("value < 99.5", "value < 99.8", True),
        ("value < 99.8", "value < 99.5", False),
        ("value < 5", "value <= 5", True),
        ("value <= 5", "value < 5", False),
        ("value >= 6", "value > 5", True),
        ("value > 5", "value >= 6", False),
        ("value > 5", "value < 5", False),
        ("value = 5", "value >= 5", True),
        ("value = 5", "value > 5", False),
        ("value >= 5", "value = 5", False),
        ("value > 5", "other > 5", False),
    ],
)
def test_one_condition_implies_another(narrow: str, wide: str, implied: bool) -> None:
    assert parse_condition(narrow).implies(parse_condition(wide)) is implied
