"""Errors as RFC 9457 problems: short, naming the field, never echoing what was sent.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import Scope

from incidentd.errors import (
    IncidentdError,
    IntakeError,
    NotFoundError,
    RefusedError,
    RulesError,
    StoreError,
)

REQUEST_ID = "incidentd.request_id"
_SAID = {404: "nothing has this address", 405: "this address takes other methods: the header Allow names them"}
"""What the framework's own refusals mean."""


class ProblemResponse(JSONResponse):
    """``application/problem+json``; ``content`` is what it says."""

    media_type = "application/problem+json"

    def __init__(self, content: Mapping[str, Any], status: int, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(content, status, headers)
        self.content = content


class ProblemError(IncidentdError):
    """An answer of this status. ``reason`` is a short fixed word, ``errors`` name fields."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = headers
        self.errors = errors


def problem(scope: Scope, status: int, reason: str, detail: str, **more: Any) -> ProblemResponse:
    """A problem about this request. ``more`` are further members; ``headers`` go into the answer's head."""
    headers = more.pop("headers", None)
    content = {
        "type": "about:blank",
        "title": _phrase(status),
        "status": status,
        "reason": reason,
        "detail": detail,
        "request_id": scope.get(REQUEST_ID, ""),
        **more,
    }
    return ProblemResponse(content, status, headers)


def problem_of(scope: Scope, error: Exception) -> ProblemResponse:
    """The problem that one of our errors, or the framework's, stands for."""
    match error:
        case ProblemError():
            more = {"errors": list(error.errors)} if error.errors else {}
            return problem(scope, error.status, error.reason, error.detail, headers=error.headers, **more)
        case IntakeError():
            return problem(scope, error.status, error.reason, error.detail)
        case RefusedError():
            return problem(scope, 409, error.reason, error.detail)
        case NotFoundError():
            return problem(scope, 404, "not_found", "there is no such incident")
        case RulesError():
            faults = [{"file": f.file, "line": f.line, "row": f.row, "cause": f.cause} for f in error.faults]
            return problem(scope, 422, "rules", "the rules are unsound; the table in force stays", errors=faults)
        case StoreError():
            return problem(
                scope, 503, "store_unavailable", "nothing can be stored or read now", headers={"Retry-After": "1"}
            )
        case RequestValidationError():
            return problem(scope, 400, "invalid", "the request is malformed", errors=_fields(error))
        case HTTPException():
            phrase = _phrase(error.status_code)
            reason = phrase.lower().replace(" ", "_")
            detail = _SAID.get(error.status_code, phrase)
            return problem(scope, error.status_code, reason, detail, headers=error.headers)
    return problem(scope, 500, "internal", "something went wrong here; the log says more under this request id")


def _fields(error: RequestValidationError) -> list[dict[str, str]]:
    """Which fields are wrong and what was expected there: without the input, which pydantic adds."""
    return [{"field": _field(each["loc"]), "message": each["msg"]} for each in error.errors()]


def _field(location: Sequence[str | int]) -> str:
    """``query.limit``, ``body.text``; names that the sender invented are cut."""
    return ".".join(str(part)[:40] for part in location)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
