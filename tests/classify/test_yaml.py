"""YAML is read strictly: what could be read in two ways is refused."""

import time

import pytest

from tests.classify.ground import faults, texts

ROW = "rows:\n  - {name: down, tier: P0}\n"

STRICT = {
    "duplicate_key": ("rows: []\nrows: []\n", "one.yaml:2: key 'rows' stands twice in the same place"),
    "duplicate_key_within_a_row": (
        "rows:\n  - {name: a, tier: P0, tier: P1}\n",
        "one.yaml:2: key 'tier' stands twice in the same place",
    ),
    "anchor": ("rows: &all []\n", "one.yaml:1: anchors are not allowed: write it out"),
    "alias": ("system: *x\n", "one.yaml:1: aliases are not allowed: write it out"),
    "merge_key": (
        "rows:\n  - <<: {tier: P0}\n    name: a\n",
        "one.yaml:2: merge keys are not allowed: write it out",
    ),
    "tag": ("system: !!str 5\n", "one.yaml:1: tags are not allowed"),
    "python_tag": ("system: !!python/object/apply:os.system [id]\n", "one.yaml:1: tags are not allowed"),
    "local_tag": ("system: !secret x\n", "one.yaml:1: tags are not allowed"),
    "lone_tag": ("system: ! x\n", "one.yaml:1: tags are not allowed"),
    "norway": (
        "system: NO\n" + ROW,
        'one.yaml:1: NO means true or false in YAML: write true or false, or "NO" for the word',
    ),
    "yes": (
        "system: yes\n" + ROW,
        'one.yaml:1: yes means true or false in YAML: write true or false, or "yes" for the word',
    ),
    "on_as_key": (
        "on: x\n" + ROW,
        'one.yaml:1: on means true or false in YAML: write true or false, or "on" for the word',
    ),
    "sexagesimal": ("system: 5:00\n" + ROW, 'one.yaml:1: 5:00 is a number of base 60 in YAML: write "5:00"'),
    "octal": (
        "system: 010\n" + ROW,
        'one.yaml:1: 010 is read as another number by YAML: write it plainly, or "010" for the text',
    ),
    "hexadecimal": (
        "system: 0x1F\n" + ROW,
        'one.yaml:1: 0x1F is read as another number by YAML: write it plainly, or "0x1F" for the text',
    ),
    "null": (
        "system: null\n" + ROW,
        'one.yaml:1: null means nothing in YAML: leave the field out, or write "null" for the word',
    ),
    "empty_value": ("system:\n" + ROW, "one.yaml:1: system is empty"),
    "two_documents": (ROW + "---\n" + ROW, "one.yaml:3: a file holds one document"),
    "directive": ("%YAML 1.1\n---\n" + ROW, "one.yaml:1: directives are not allowed"),
    "empty_file": ("", "one.yaml:1: the file is empty"),
    "only_comments": ("# nothing\n", "one.yaml:1: the file is empty"),
    "nul": ("system: a\nrows: \0\n", "one.yaml:2: holds a NUL character"),
    "control_character": ("system: \x07\n", "one.yaml:1: is no YAML: a character that is not allowed"),
    "list_as_key": ("[a, b]: c\n", "one.yaml:1: a key must be text"),
    "too_deep": ("rows: " + "[" * 20 + "]" * 20 + "\n", "one.yaml:1: nested deeper than 12 levels"),
    "too_large": ("# " + "x" * 1_000_000 + "\n", "one.yaml:1: larger than 1,000,000 bytes"),
}


@pytest.mark.parametrize(("text", "expected"), STRICT.values(), ids=STRICT.keys())
def test_ambiguous_yaml_is_refused(text: str, expected: str) -> None:
    assert expected in faults(texts(one=text))


def test_broken_syntax_names_its_line() -> None:
    found = faults(texts(one="rows:\n  - {name: a\n  - {name: b}\n"))

    assert found == ["one.yaml:2: is no YAML: the { that opens here is not closed, or has no comma between two fields"]


def test_a_tab_is_called_by_its_name() -> None:
    assert faults(texts(one="system: shop\nobjectives:\n\tcheckout: all of it\n")) == [
        "one.yaml:3: is no YAML: a tab; indent with spaces"
    ]


@pytest.mark.parametrize("word", ['"NO"', "'5:00'", "true", "false", "Norway", "0.5", "-3", "1e3", "5m", "#"])
def test_text_in_quotes_and_unambiguous_text_is_taken_as_it_stands(word: str) -> None:
    row = f"rows:\n  - name: down\n    tier: P0\n    title: {word if word != '#' else chr(34) + word + chr(34)}\n"

    assert faults(texts(one=row)) == []


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 100_000, "? " * 100_000])
def test_deep_nesting_is_refused_at_once(text: str) -> None:
    begin = time.perf_counter()

    assert faults(texts(one=text))
    assert time.perf_counter() - begin < 5


def test_alias_bomb_is_refused_at_its_first_anchor() -> None:
    bomb = 'a: &a ["x","x"]\n' + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)},*{chr(97 + n)}]\n" for n in range(20)
    )

    assert faults(texts(one=bomb)) == ["one.yaml:1: anchors are not allowed: write it out"]
