"""Are these blocks what Slack's Block Kit allows in a message, and if not, why.

https://docs.slack.dev/reference/block-kit/blocks and .../block-kit/block-elements
"""

from collections.abc import Callable
from typing import Any

from incidentd.sandbox.blockcheck import BlockCheck

BLOCKS_MAX = 50
_ELEMENTS_IN_ACTIONS_MAX = 25
_ELEMENTS_IN_CONTEXT_MAX = 10
_FIELDS_MAX = 10
_MARKDOWN_MAX = 12_000
_TABLE_ROWS_MAX = 100
_TABLE_CELLS_MAX = 20

_RICH_TEXT = ("rich_text_section", "rich_text_list", "rich_text_preformatted", "rich_text_quote")
_SELECTS = tuple(
    f"{many}{source}_select"
    for many in ("", "multi_")
    for source in ("static", "external", "users", "conversations", "channels")
)
_WITH_OPTIONS = ("static_select", "multi_static_select", "checkboxes", "radio_buttons")
_OTHER_ACTIONS = (*_SELECTS, "datepicker", "timepicker", "datetimepicker", "checkboxes", "radio_buttons")


def block_errors(blocks: object) -> list[str]:
    """Every fault of a message's ``blocks``, worded as in Slack's ``response_metadata.messages``; empty if sound."""
    check = BlockCheck()
    _message(check, blocks, "/blocks")
    return check.errors


def attachment_errors(attachments: object) -> list[str]:
    """Every fault of a message's ``attachments`` and of the blocks inside them; empty if sound."""
    check = BlockCheck()
    for index, attachment in enumerate(check.items(attachments, "/attachments", 1, 100)):
        pointer = f"/attachments/{index}"
        if not isinstance(attachment, dict):
            check.say("must be an object", pointer)
        elif "blocks" in attachment:
            _message(check, attachment["blocks"], f"{pointer}/blocks")
    return check.errors


def _message(check: BlockCheck, blocks: object, pointer: str) -> None:
    seen: set[str] = set()
    for index, block in enumerate(check.items(blocks, pointer, 0, BLOCKS_MAX)):
        here = f"{pointer}/{index}"
        kind = check.kind(block, here, tuple(_BLOCKS))
        if kind is None:
            continue
        block_id = block.get("block_id")
        check.string(block, "block_id", here, 255, required=False)
        if isinstance(block_id, str):
            if block_id in seen:
                check.say(f"`block_id` {block_id} already exists", f"{here}/block_id")
            seen.add(block_id)
        _BLOCKS[kind](check, block, here)


def _section(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "text", "fields", "accessory", "expand"))
    if "text" not in block and "fields" not in block:
        check.say("must define either `text` or `fields`", pointer)
    if "text" in block:
        check.text(block, "text", pointer, 3000)
    if "fields" in block:
        for index, field in enumerate(check.items(block["fields"], f"{pointer}/fields", 1, _FIELDS_MAX)):
            check.text_object(field, f"{pointer}/fields/{index}", 2000)
    if "accessory" in block:
        _element(check, block["accessory"], f"{pointer}/accessory", ("button", "overflow", "image", *_OTHER_ACTIONS))


def _header(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "text", "level"))
    check.text(block, "text", pointer, 150, plain=True)


def _divider(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id"))


def _context(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "elements"))
    elements = check.items(block.get("elements"), f"{pointer}/elements", 1, _ELEMENTS_IN_CONTEXT_MAX)
    for index, element in enumerate(elements):
        here = f"{pointer}/elements/{index}"
        if isinstance(element, dict) and element.get("type") == "image":
            _image_element(check, element, here)
        else:
            check.text_object(element, here, 3000)


def _actions(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "elements"))
    seen: set[str] = set()
    elements = check.items(block.get("elements"), f"{pointer}/elements", 1, _ELEMENTS_IN_ACTIONS_MAX)
    for index, element in enumerate(elements):
        here = f"{pointer}/elements/{index}"
        _element(check, element, here, ("button", "overflow", "workflow_button", *_OTHER_ACTIONS))
        action_id = element.get("action_id") if isinstance(element, dict) else None
        if isinstance(action_id, str):
            if action_id in seen:
                check.say(f"`action_id` {action_id} already exists for `block_id` {block.get('block_id', '')}", here)
            seen.add(action_id)


def _image(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "image_url", "slack_file", "alt_text", "title"))
    _image_source(check, block, pointer)
    if "title" in block:
        check.text(block, "title", pointer, 2000, plain=True)


def _markdown(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "text"))
    check.string(block, "text", pointer, _MARKDOWN_MAX)


def _rich_text(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "elements"))
    for index, element in enumerate(check.items(block.get("elements"), f"{pointer}/elements", 1, None)):
        here = f"{pointer}/elements/{index}"
        if check.kind(element, here, _RICH_TEXT) is not None:
            check.items(element.get("elements"), f"{here}/elements", 0, None)


def _table(check: BlockCheck, block: dict[str, Any], pointer: str) -> None:
    check.keys(block, pointer, ("type", "block_id", "rows", "column_settings"))
    for index, row in enumerate(check.items(block.get("rows"), f"{pointer}/rows", 1, _TABLE_ROWS_MAX)):
        here = f"{pointer}/rows/{index}"
        for cell, value in enumerate(check.items(row, here, 1, _TABLE_CELLS_MAX)):
            check.kind(value, f"{here}/{cell}", ("raw_text", "rich_text"))


_BLOCKS: dict[str, Callable[[BlockCheck, dict[str, Any], str], None]] = {
    "section": _section,
    "header": _header,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "markdown": _markdown,
    "rich_text": _rich_text,
    "table": _table,
}


def _element(check: BlockCheck, element: object, pointer: str, allowed: tuple[str, ...]) -> None:
    kind = check.kind(element, pointer, allowed)
    if kind is None or not isinstance(element, dict):
        return
    if kind == "image":
        _image_element(check, element, pointer)
        return
    check.string(element, "action_id", pointer, 255, required=False)
    if kind == "button":
        _button(check, element, pointer)
    elif kind == "overflow":
        check.keys(element, pointer, ("type", "action_id", "options", "confirm"))
        _options(check, element, pointer, 1, 5)
    elif kind in _WITH_OPTIONS and "option_groups" not in element:
        _options(check, element, pointer, 1, 100 if "select" in kind else 10)
    if "placeholder" in element:
        check.text(element, "placeholder", pointer, 150, plain=True)
    if "confirm" in element:
        _confirm(check, element["confirm"], f"{pointer}/confirm")


def _button(check: BlockCheck, button: dict[str, Any], pointer: str) -> None:
    allowed = ("type", "action_id", "text", "url", "value", "style", "confirm", "accessibility_label")
    check.keys(button, pointer, allowed)
    check.text(button, "text", pointer, 75, plain=True)
    check.url(button, "url", pointer, 3000, required=False)
    check.string(button, "value", pointer, 2000, required=False)
    check.string(button, "accessibility_label", pointer, 75, required=False)
    check.choice(button, "style", pointer, ("primary", "danger"))


def _options(check: BlockCheck, element: dict[str, Any], pointer: str, least: int, most: int) -> None:
    for index, option in enumerate(check.items(element.get("options"), f"{pointer}/options", least, most)):
        here = f"{pointer}/options/{index}"
        if not isinstance(option, dict):
            check.say("must be an object", here)
            continue
        check.keys(option, here, ("text", "value", "description", "url"))
        check.text(option, "text", here, 75)
        # Slack's own pages give 75 and 150 in different places; a sender below the smaller one is safe with both.
        check.string(option, "value", here, 75)
        check.url(option, "url", here, 3000, required=False)


def _confirm(check: BlockCheck, confirm: object, pointer: str) -> None:
    if not isinstance(confirm, dict):
        check.say("must be an object", pointer)
        return
    check.keys(confirm, pointer, ("title", "text", "confirm", "deny", "style"))
    check.text(confirm, "title", pointer, 100, plain=True)
    check.text(confirm, "text", pointer, 300)
    check.text(confirm, "confirm", pointer, 30, plain=True)
    check.text(confirm, "deny", pointer, 30, plain=True)
    check.choice(confirm, "style", pointer, ("primary", "danger"))


def _image_element(check: BlockCheck, element: dict[str, Any], pointer: str) -> None:
    check.keys(element, pointer, ("type", "image_url", "slack_file", "alt_text"))
    _image_source(check, element, pointer)


def _image_source(check: BlockCheck, image: dict[str, Any], pointer: str) -> None:
    if "slack_file" not in image:
        check.url(image, "image_url", pointer, 3000)
    check.string(image, "alt_text", pointer, 2000)
