from typing import Any

import pytest

from incidentd.sandbox.block import attachment_errors, block_errors


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def button(**changes: Any) -> dict[str, Any]:
    return {"type": "button", "action_id": "ack", "text": plain("Acknowledge"), **changes}


def section(**changes: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn("x"), **changes}


def actions(*elements: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"type": "actions", "elements": list(elements), **changes}


def context(*elements: dict[str, Any]) -> dict[str, Any]:
    return {"type": "context", "elements": list(elements)}


CONFIRM = {"title": plain("t"), "text": mrkdwn("x"), "confirm": plain("Yes"), "deny": plain("No")}
OPTION = {"text": plain("one"), "value": "1"}
IMAGE = {"type": "image", "image_url": "https://e.org/i.png", "alt_text": "graph"}

SOUND: list[dict[str, Any]] = [
    section(text=mrkdwn("x" * 3000)),
    {"type": "section", "fields": [mrkdwn("x" * 2000)] * 10},
    section(accessory=button(), block_id="b" * 255),
    {"type": "header", "text": plain("x" * 150)},
    {"type": "divider"},
    context(*[mrkdwn("x")] * 9, IMAGE),
    actions(*[button(action_id=str(number)) for number in range(25)]),
    actions(button(text=plain("x" * 75), value="v" * 2000, url="https://e.org/" + "u" * 2986, style="danger")),
    actions(button(confirm=CONFIRM)),
    actions({"type": "overflow", "action_id": "more", "options": [OPTION]}),
    actions({"type": "static_select", "action_id": "s", "placeholder": plain("p"), "options": [OPTION] * 100}),
    actions(button(action_id="a"), {"type": "button", "text": plain("Without an id")}),
    IMAGE,
    {"type": "markdown", "text": "x" * 12_000},
    {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "x"}]}]},
    {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 20] * 100},
]

UNSOUND: list[tuple[Any, str]] = [
    ("section", "must be an object [json-pointer:/blocks/0]"),
    ({}, "missing required field: type [json-pointer:/blocks/0/type]"),
    ({"type": "blink"}, "unsupported type: blink [json-pointer:/blocks/0/type]"),
    ({"type": ["section"]}, "unsupported type: ['section'] [json-pointer:/blocks/0/type]"),
    ({"type": "section"}, "must define either `text` or `fields` [json-pointer:/blocks/0]"),
    (section(text=mrkdwn("x" * 3001)), "must be less than 3001 characters [json-pointer:/blocks/0/text/text]"),
    (section(text=mrkdwn("")), "must be more than 0 characters [json-pointer:/blocks/0/text/text]"),
    (section(text="x"), "must be an object [json-pointer:/blocks/0/text]"),
    (section(text={"type": "html", "text": "x"}), "unsupported type: html [json-pointer:/blocks/0/text/type]"),
    (section(text={"type": "mrkdwn"}), "missing required field: text [json-pointer:/blocks/0/text]"),
    (section(colour="red"), "invalid additional property: colour [json-pointer:/blocks/0]"),
    (section(block_id="b" * 256), "must be less than 256 characters [json-pointer:/blocks/0/block_id]"),
    (
        {"type": "section", "fields": [mrkdwn("x")] * 11},
        "no more than 10 items allowed [json-pointer:/blocks/0/fields]",
    ),
    ({"type": "section", "fields": []}, "no fewer than 1 items required [json-pointer:/blocks/0/fields]"),
    (
        {"type": "section", "fields": [mrkdwn("x" * 2001)]},
        "must be less than 2001 characters [json-pointer:/blocks/0/fields/0/text]",
    ),
    (
        {"type": "header", "text": plain("x" * 151)},
        "must be less than 151 characters [json-pointer:/blocks/0/text/text]",
    ),
    ({"type": "header", "text": mrkdwn("x")}, "unsupported type: mrkdwn [json-pointer:/blocks/0/text/type]"),
    (context(*[mrkdwn("x")] * 11), "no more than 10 items allowed [json-pointer:/blocks/0/elements]"),
    (context(button()), "unsupported type: button [json-pointer:/blocks/0/elements/0/type]"),
    (actions(), "no fewer than 1 items required [json-pointer:/blocks/0/elements]"),
    (
        actions(*[button(action_id=str(number)) for number in range(26)]),
        "no more than 25 items allowed [json-pointer:/blocks/0/elements]",
    ),
    (
        actions(button(), button(), block_id="b"),
        "`action_id` ack already exists for `block_id` b [json-pointer:/blocks/0/elements/1]",
    ),
    (actions({"type": "section"}), "unsupported type: section [json-pointer:/blocks/0/elements/0/type]"),
    (
        actions(button(text=plain("x" * 76))),
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/text/text]",
    ),
    (actions(button(text=mrkdwn("x"))), "unsupported type: mrkdwn [json-pointer:/blocks/0/elements/0/text/type]"),
    (
        actions(button(value="v" * 2001)),
        "must be less than 2001 characters [json-pointer:/blocks/0/elements/0/value]",
    ),
    (
        actions(button(url="https://e.org/" + "u" * 2987)),
        "must be less than 3001 characters [json-pointer:/blocks/0/elements/0/url]",
    ),
    (actions(button(url="javascript:alert(1)")), "invalid url: url [json-pointer:/blocks/0/elements/0/url]"),
    (actions(button(url="")), "must be more than 0 characters [json-pointer:/blocks/0/elements/0/url]"),
    (
        actions(button(action_id="a" * 256)),
        "must be less than 256 characters [json-pointer:/blocks/0/elements/0/action_id]",
    ),
    (actions(button(style="loud")), "must be one of: primary, danger [json-pointer:/blocks/0/elements/0/style]"),
    (actions(button(disabled=True)), "invalid additional property: disabled [json-pointer:/blocks/0/elements/0]"),
    (
        actions(button(confirm=CONFIRM | {"text": mrkdwn("x" * 301)})),
        "must be less than 301 characters [json-pointer:/blocks/0/elements/0/confirm/text/text]",
    ),
    (
        actions({"type": "overflow", "action_id": "m", "options": [OPTION] * 6}),
        "no more than 5 items allowed [json-pointer:/blocks/0/elements/0/options]",
    ),
    (
        actions({"type": "overflow", "action_id": "m", "options": [{"text": plain("x" * 76), "value": "1"}]}),
        "must be less than 76 characters [json-pointer:/blocks/0/elements/0/options/0/text/text]",
    ),
    (
        {"type": "image", "image_url": "https://e.org/i.png"},
        "missing required field: alt_text [json-pointer:/blocks/0]",
    ),
    ({"type": "markdown", "text": "x" * 12_001}, "must be less than 12001 characters [json-pointer:/blocks/0/text]"),
    (
        {"type": "rich_text", "elements": [{"type": "text"}]},
        "unsupported type: text [json-pointer:/blocks/0/elements/0/type]",
    ),
    ({"type": "table", "rows": [[]] * 101}, "no more than 100 items allowed [json-pointer:/blocks/0/rows]"),
]


@pytest.mark.parametrize("block", SOUND)
def test_a_block_within_slacks_limits_is_sound(block: dict[str, Any]) -> None:
    assert block_errors([block]) == []


@pytest.mark.parametrize(("block", "fault"), UNSOUND)
def test_a_block_beyond_slacks_limits_is_refused_with_a_pointer(block: Any, fault: str) -> None:
    assert block_errors([block]) == [f"[ERROR] {fault}"]


def test_50_blocks_are_taken_and_51_refused() -> None:
    assert block_errors([{"type": "divider"}] * 50) == []
    assert block_errors([{"type": "divider"}] * 51) == ["[ERROR] no more than 50 items allowed [json-pointer:/blocks]"]


def test_a_block_id_stands_once_in_a_message() -> None:
    twice = [section(block_id="b"), section(block_id="b")]
    assert block_errors(twice) == ["[ERROR] `block_id` b already exists [json-pointer:/blocks/1/block_id]"]


def test_the_blocks_of_attachments_are_checked_too() -> None:
    assert attachment_errors([{"color": "#ff0000", "blocks": [section()]}, {"text": "old style"}]) == []
    (fault,) = attachment_errors([{"blocks": [{"type": "section"}]}])
    assert fault.endswith("[json-pointer:/attachments/0/blocks/0]")
    assert attachment_errors([{}] * 101) == ["[ERROR] no more than 100 items allowed [json-pointer:/attachments]"]
