"""What an expression says of its result's labels and value is taken from it, and no more than that."""

import json
import subprocess
from pathlib import Path

import pytest

from incidentd.classify.condition import parse_condition
from incidentd.classify.matcher import parse_matcher
from incidentd.coverage.domain import all_of
from incidentd.coverage.promql import ExpressionError, Others, Shape, shapes_of
from tests.servers import program

RECORDED = {
    "sli:a:percent": (
        {"system": "shop", "slo": "x"},
        {"system": "shop", "slo": "y"},
        {"system": "other", "slo": "x"},
    )
}


def one(expr: str) -> Shape:
    (shape,) = shapes_of(expr, {})
    return shape


def known(expr: str) -> dict[str, list[str]]:
    return {name: sorted(each.values) for name, each in one(expr).facts.items() if each.values is not None}


def bounds(expr: str) -> list[str]:
    return [str(each) for each in one(expr).bounds]


@pytest.mark.parametrize(
    ("expr", "labels"),
    [
        ('up{job="a"} == 0', {"job": ["a"]}),
        ("up{job='a', zone=`b`}", {"job": ["a"], "zone": ["b"]}),
        ('{"up", job="a"}', {"job": ["a"]}),
        ('up{job=~"a|b"}', {"job": ["a", "b"]}),
        ('up{job=~"a.*"}', {}),
        ('rate(x{job="a"}[5m] offset 1h) > 1', {"job": ["a"]}),
        ('max_over_time(x{job="a"}[1h:5m]) > 1', {"job": ["a"]}),
        ('sum by (job) (rate(x{job="a",code="5"}[5m]))', {"job": ["a"]}),
        ('sum(rate(x{job="a"}[5m])) by (job)', {"job": ["a"]}),
        ('sum(x{job="a"})', {}),
        ('sum without (code) (x{job="a",code="5"})', {"job": ["a"], "code": [""]}),
        ('topk(3, x{job="a"})', {"job": ["a"]}),
        ('histogram_quantile(0.9, sum by (le, job) (rate(x{job="a"}[5m])))', {"job": ["a"], "le": [""]}),
        ('absent(up{job="a",zone=~"b.*"})', {"job": ["a"]}),
        ('x{job="a"} > 1 and ignoring(job) y{job="b"}', {"job": ["a"]}),
        ('x{job="a"} unless y{zone="b"}', {"job": ["a"]}),
        ('x{job="a",zone="b"} / on (job) y', {"job": ["a"]}),
        ('x{job="a",zone="b"} / ignoring (zone) y', {"job": ["a"], "zone": [""]}),
        ('100 * x{job="a"} > 5', {"job": ["a"]}),
        ('5 < x{job="a"}', {"job": ["a"]}),
        ('-x{job="a"}', {"job": ["a"]}),
        ('label_replace(x{job="a"}, "job", "b", "job", ".*")', {}),
        ('sli:latency_p95:ms{slo="a"}', {"slo": ["a"], "sli": ["latency_p95"]}),
        ("vector(1)", {}),
        ('x{job="a",zone="b"} / on (job) group_left y{zone="c"}', {"job": ["a"], "zone": ["b"]}),
        ('x{job="a",zone="b"} / on (job) group_left () y{zone="c"}', {"job": ["a"], "zone": ["b"]}),
        ('x{job="a",zone="b"} / on (job) group_left (zone) y{zone="c"}', {"job": ["a"]}),
        ('x{job="a",zone="b"} / on (job) group_right y{zone="c"}', {"zone": ["c"]}),
        ('x{job="a",zone="b"} > ON (job) GROUP_RIGHT (team) y{zone="c",team="d"}', {"zone": ["c"]}),
        ('SUM(x{job="a",zone="b"}) BY (job)', {"job": ["a"]}),
        ('SUM(x{job="a"})', {}),
        ('x{job="a"} OFFSET 1h', {"job": ["a"]}),
    ],
)
def test_labels_are_followed_through_the_expression(expr: str, labels: dict[str, list[str]]) -> None:
    assert known(expr) == labels


@pytest.mark.parametrize(
    ("expr", "others"),
    [
        ('up{job="a"}', Others.SERIES),
        ("sum by (job) (x)", Others.ABSENT),
        ("sum(x)", Others.ABSENT),
        ("absent(x)", Others.ABSENT),
        ("job:x:rate5m", Others.UNREAD),
        ('label_replace(x, "a", "b", "c", "d")', Others.UNREAD),
        ("x * on (job) group_left (team) y", Others.UNREAD),
        ("x * on (job) group_left y", Others.SERIES),
        ("sum(x) * on () group_right y", Others.SERIES),
        ("SUM(x)", Others.ABSENT),
        ('count_values("version", x)', Others.UNREAD),
        ("info(x)", Others.UNREAD),
    ],
)
def test_of_the_other_labels_it_is_said_whether_they_can_be_there(expr: str, others: Others) -> None:
    assert one(expr).others is others


@pytest.mark.parametrize(
    ("expr", "said"),
    [
        ("x > 5", ["value > 5"]),
        ("5 < x", ["value > 5"]),
        ("x == 0", ["value = 0"]),
        ("x != 0", []),
        ("x > bool 5", []),
        ("(x > 5) < 10", ["value > 5", "value < 10"]),
        ("x > -5", ["value > -5"]),
        ("x > 5 and y < 3", ["value > 5"]),
        ("(x > 5) * 2", []),
        ("sum(x > 5)", []),
        ("x > y", []),
        ("x > 1_000", ["value > 1000"]),
        ("(x > 5) > on (job) group_right y", []),
    ],
)
def test_a_comparison_with_a_number_bounds_the_value(expr: str, said: list[str]) -> None:
    assert bounds(expr) == said


def test_what_is_always_there_is_told_from_what_is_measured() -> None:
    assert all(one(expr).always for expr in ("vector(1)", "1", "time()"))
    assert not any(one(expr).always for expr in ("x", "vector(1) > 0"))


def test_a_recorded_metric_has_the_labels_of_each_rule_that_records_it_and_suits_the_selector() -> None:
    shapes = shapes_of('sli:a:percent{system="shop"} > 5 or sli:a:percent{slo="x",system=~"other|none"}', RECORDED)
    found = [{name: next(iter(each.values or ())) for name, each in shape.facts.items()} for shape in shapes]
    assert found == [{"system": "shop", "slo": "x"}, {"system": "shop", "slo": "y"}, {"system": "other", "slo": "x"}]


@pytest.mark.parametrize(
    ("expr", "cause"),
    [
        ("", "it ends where a metric"),
        ("sum(x", "it ends where ')' was expected"),
        ("x > ", "it ends where a metric"),
        ("x y", "'y' stands where an operator, or the end, was expected"),
        ('x{a="b}', "a quote is not closed"),
        ("x{a=b}", "a=b: the value must stand in quotes"),
        ('x{a~"b"}', "'~' is no PromQL"),
        ('x{a=~"("}', "is not RE2: missing )"),
        ("sum()", "sum() aggregates nothing"),
        ("x > 5)", "')' stands where an operator"),
    ],
)
def test_what_is_no_promql_is_refused(expr: str, cause: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        shapes_of(expr, {})
    assert cause in str(raised.value)


@pytest.mark.parametrize(
    ("asked", "matcher", "answer"),
    [
        (['a="x"'], 'a="x"', True),
        (['a="x"'], 'a!="x"', False),
        (['a="x"'], 'a=~"x|y"', True),
        (['a=~"x|y"'], 'a=~"x|y|z"', True),
        (['a=~"x|y"'], 'a="x"', None),
        (['a=~"x|y"', 'a!="y"'], 'a="x"', True),
        (['a!=""'], 'a=""', False),
        (['a!=""'], 'a!=""', True),
        (['a!~"x|y"'], 'a="x"', False),
        (['a!~"x|y"'], 'a=~"x"', False),
        (['a!~"x|y"'], 'a!="x"', True),
        (['a=~"x.*"'], 'a=~"x.*"', True),
        (['a=~"x.*"'], 'a!~"x.*"', False),
        (['a=~"x.*"'], 'a="y"', False),
        (['a=~"x.*"'], 'a="xy"', None),
    ],
)
def test_what_is_known_of_a_label_answers_a_matcher(asked: list[str], matcher: str, answer: bool | None) -> None:
    assert all_of(map(parse_matcher, asked))["a"].answer(parse_matcher(matcher)) is answer


@pytest.mark.parametrize(
    ("one_says", "other", "excluded"),
    [
        ("value > 5", "value < 5", True),
        ("value >= 5", "value <= 5", False),
        ("value > 5", "value <= 5", True),
        ("value > 5", "value < 6", False),
        ("value > 5", "value > 9", False),
        ("value = 5", "value > 5", True),
        ("value >= 5", "value = 5", False),
        ("age > 5", "value < 5", False),
    ],
)
def test_conditions_that_no_number_satisfies_together_exclude_each_other(
    one_says: str, other: str, excluded: bool
) -> None:
    first, second = parse_condition(one_says), parse_condition(other)
    assert first.excludes(second) is excluded
    assert second.excludes(first) is excluded


AS_PROMETHEUS_HAS_THEM = [
    'x offset -5m',
    'x{a="b",}',
    'x @ 1609746000',
    'rate(x[5m] @ end())',
    'max_over_time(rate(x[5m])[1h:])',
    'sum by(a, b)(x)',
    'sum by () (x)',
    'topk by(a) (1, max by(a, b) (x))',
    'count_values("version", build_info)',
    'quantile(0.9, x) without (a)',
    'time() - max by (a) (x and y > 0) > 43200',
    'x and on() y',
    'x * on(a) group_left(b) y',
    'x / ignoring(a, b) group_right y',
    '(x > 0.9) < 1',
    'x > 0.9 < 1',
    '-x ^ 2',
    '- 1 * x > +0.5e-3',
    'x > Inf or x == NaN',
    'x atan2 y',
    'x == bool 1',
    'sum(ns:x:sum{}) > 0x1F',
    '{__name__=~"job:.*",job="a"}',
    'absent(x == 1)',
    'label_join(x, "a", "-", "b", "c")',
    'x{a="\\\\d+ \\" \\u00e9"}',
    "x{a='it\\'s'}",
    'x{a=~`\\d+`}',
    '# why\nx > 1 # and so',
    'clamp_max(x, 3) > scalar(y)',
    'histogram_quantile(0.99, sum by (le) (rate(x_bucket[5m]))) > .5',
    'sum(x) by (a) / on (a) sum(y) by (a)',
    'vector(1)',
    '1 > bool 0',
    'changes(x[10m]) == 0 unless on (a) y',
    'predict_linear(x[6h], 4 * 3600) < 0',
    'avg_over_time((x > 5)[5m:1m])',
    'SUM(x) BY (a) > BOOL 1',
    'x{a="b"} OFFSET 5m / ON(a) GROUP_LEFT y',
    'x @ END() OR TOPK(3, x)',
]  # fmt: skip


@pytest.mark.parametrize("expr", AS_PROMETHEUS_HAS_THEM)
def test_what_prometheus_takes_is_taken(expr: str, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "g", "rules": [{"record": "r", "expr": expr}]}]}), "utf-8")
    command = [program("promtool"), "check", "rules", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shapes_of(expr, {})
