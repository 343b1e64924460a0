"""Tests that wait are spread among those that don't."""

from tests.order import spread


def test_files_that_wait_are_spread_evenly_each_in_one_piece_and_none_comes_last() -> None:
    items = [f"{file}{number}" for file in ("w1", "b1", "b2", "b3", "b4", "b5", "w2", "w3") for number in ".:"]
    found = spread(items, [item[:2] for item in items], [item[0] == "w" for item in items])
    assert [item[:2] for item in found[::2]] == ["w1", "b1", "b2", "w2", "b3", "w3", "b4", "b5"]
    assert found[::2] == [f"{item[:2]}." for item in found[1::2]]


def test_none_of_either_kind_changes_nothing() -> None:
    assert spread("abc", "abc", [True] * 3) == spread("abc", "abc", [False] * 3) == ["a", "b", "c"]
    assert spread("", "", []) == []
