"""Slack's Web API, through slack-sdk, with our own transport beneath it."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any
from urllib.request import Request

import requests
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

from incidentd.channels.deadline import Deadline
from incidentd.channels.retry_after import parse_retry_after
from incidentd.errors import DeliveryError, PermanentError, TransientError, UncertainError

API_URL = "https://slack.com/api/"

_LATER = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded", "team_added_to_org"})
_UNCLEAR = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
"""Slack's own faults: "some aspect of the operation" may have succeeded before them."""

_NAMED = frozenset({
    "access_denied", "account_inactive", "cannot_reply_to_message", "cant_broadcast_message", "cant_update_message",
    "channel_is_limited_access", "channel_not_found", "channel_type_not_supported", "edit_window_closed",
    "ekm_access_denied", "enterprise_is_restricted", "external_channel_migrating", "invalid_arguments",
    "invalid_auth", "invalid_blocks", "invalid_blocks_format", "invalid_json", "invalid_metadata_format",
    "invalid_metadata_schema", "is_archived", "is_inactive", "message_not_found", "messages_tab_disabled",
    "metadata_must_be_sent_from_app", "metadata_too_large", "method_deprecated", "missing_scope",
    "msg_blocks_too_long", "msg_too_long", "no_permission", "no_text", "not_allowed_token_type", "not_authed",
    "not_in_channel", "org_login_required", "restricted_action", "restricted_action_non_threadable_channel",
    "restricted_action_read_only_channel", "restricted_action_thread_locked", "restricted_action_thread_only_channel",
    "team_access_not_granted", "team_not_found", "thread_not_found", "token_expired", "token_revoked",
    "two_factor_setup_required", "update_failed", "user_not_in_channel",
})  # fmt: skip
"""What a refusal may be called in a log. Anything else that an answer claims to be its error is not repeated."""

_FOR_GOOD = frozenset({400, 401, 403, 404, 405, 410, 411, 413, 414, 415, 422, 431})
_PAGES = 5
_SILENT = logging.Logger("slack_sdk, unheard", level=logging.CRITICAL + 1)
"""The SDK logs each failure as an error of its own, bodies included; ours say it once."""


class SlackRefusedError(PermanentError):
    """Slack answered ``ok: false`` for a reason that no retry mends. ``code`` is Slack's name for it."""

    def __init__(self, code: str) -> None:
        known = code if code in _NAMED else "an unknown error"
        super().__init__(f"Slack refused: {known}")
        self.code = known


class _Client(WebClient):
    """The SDK's client; its requests go out through our session."""

    def __init__(
        self, token: str, url: str, session: requests.Session, deadline: Deadline, now: Callable[[], datetime]
    ) -> None:
        super().__init__(token, base_url=url, retry_handlers=[], logger=_SILENT)
        self._session = session
        self._deadline = deadline
        self._now = now

    def _perform_urllib_http_request_internal(self, url: str, req: Request) -> dict[str, Any]:
        headers = dict(req.header_items())
        body = req.data if isinstance(req.data, bytes) else b""
        failure = None
        try:
            response = self._session.post(url, data=body, headers=headers, timeout=self._deadline.remaining)
        except requests.RequestException:
            failure = PermanentError("Slack's address or token can't be used")
        if failure is not None:
            raise failure
        return {"status": 200, "headers": response.headers, "body": _body(response, self._now())}


class SlackApi:
    """Calls Slack's methods under one deadline and returns their answers.

    Each raises TransientError, UncertainError, or SlackRefusedError with Slack's code.
    """

    def __init__(
        self, token: str, url: str, session: requests.Session, deadline: Deadline, now: Callable[[], datetime]
    ) -> None:
        self._client = _Client(token, url, session, deadline, now)
        self._now = now

    def call(self, method: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """The answer of a method that takes JSON."""
        return self._answer(lambda: self._client.api_call(method, json=dict(arguments)))

    def ask(self, method: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """The answer of a reading method, which takes form fields."""
        return self._answer(lambda: self._client.api_call(method, params=dict(arguments)))

    def pages(self, method: str, arguments: Mapping[str, object]) -> Iterator[Mapping[str, Any]]:
        """The answers of a reading method, page by page, a few at most."""
        cursor: object = ""
        for _ in range(_PAGES):
            answer = self.ask(method, {**arguments, **({"cursor": cursor} if cursor else {})})
            yield answer
            cursor = next_cursor(answer)
            if not cursor:
                return

    def _answer(self, send: Callable[[], Any]) -> Mapping[str, Any]:
        """Slack's errors carry the request with its token, so ours are raised without them."""
        failure: DeliveryError | None = None
        try:
            data: Mapping[str, Any] = send().data
        except SlackApiError as error:
            failure = _refusal(error, self._now())
        except ValueError:
            failure = PermanentError("Slack's address can't be used")
        if failure is not None:
            raise failure
        return data


def next_cursor(answer: Mapping[str, Any]) -> object:
    """What leads to the page after this one; nothing where it was the last."""
    more = answer.get("response_metadata")
    return more.get("next_cursor") if isinstance(more, dict) else None


def _body(response: requests.Response, now: datetime) -> str:
    """The text of an answer that is a JSON object with status 200."""
    status = response.status_code
    if status in _FOR_GOOD:
        raise PermanentError(f"Slack refused with status {status}")
    if status >= requests.codes.internal_server_error:
        raise UncertainError(f"Slack answered with status {status}", _wait(response.headers, now))
    if status != requests.codes.ok:
        raise TransientError(f"Slack answered with status {status}", _wait(response.headers, now))
    if not isinstance(_parsed(response.content), dict):
        raise UncertainError("Slack's answer can't be read")
    return response.content.decode()


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content.decode())
    except (ValueError, RecursionError):
        return None


def _wait(headers: Mapping[str, str], now: datetime) -> Any:
    return parse_retry_after(headers.get("Retry-After"), now)


def _refusal(error: SlackApiError, now: datetime) -> DeliveryError:
    code = str(error.response.get("error", ""))
    wait = _wait(requests.structures.CaseInsensitiveDict(error.response.headers), now)
    if code in _LATER:
        return TransientError(f"Slack asks to wait: {code}", wait)
    if code in _UNCLEAR:
        return UncertainError(f"Slack had a fault: {code}", wait)
    return SlackRefusedError(code)
