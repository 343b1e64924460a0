"""The page at which people see what was received, press buttons, and order failures."""

import json
import re
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from incidentd.sandbox.fault import FaultBoard, InjectedFault
from incidentd.sandbox.handler import Handler
from incidentd.sandbox.interaction import Presser, PressError
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.mrkdwn import mrkdwn, plain
from incidentd.sandbox.origin import is_own, is_own_or_no_browser
from incidentd.sandbox.outbox import Outbox
from incidentd.sandbox.pagerduty import HandlingError, PagerDuty
from incidentd.sandbox.slack import Slack
from incidentd.sandbox.view import View, take_view

_TEMPLATES = Path(__file__).parent / "templates"
_FAULT = TypeAdapter(InjectedFault)
_USER_COOKIE = "sandbox_user"


class Page:
    """The routes of the page. All its links are relative to the folder it is shown in."""

    def __init__(
        self,
        ledger: Ledger,
        slack: Slack,
        pagerduty: PagerDuty,
        outbox: Outbox,
        presser: Presser,
        handler: Handler,
        faults: FaultBoard,
        names: Mapping[str, str],
    ) -> None:
        self._ledger = ledger
        self._slack = slack
        self._pagerduty = pagerduty
        self._outbox = outbox
        self._presser = presser
        self._handler = handler
        self._faults = faults
        self._names = names
        self._environment = _environment({user.id: user.real_name for user in presser.users})
        self._environment.filters["possible"] = handler.possible
        self._start = secrets.token_hex(4)

    @property
    def routes(self) -> list[Route]:
        """What to mount: the page itself, its changing part, the forms and the interface for scripts."""
        return [
            Route("/", self.show),
            Route("/live", self.live),
            Route("/press", self.press, methods=["POST"]),
            Route("/handle", self.handle, methods=["POST"]),
            Route("/order", self.order, methods=["POST"]),
            Route("/faults", self.list_faults, methods=["GET"]),
            Route("/faults", self.inject, methods=["POST"]),
            Route("/faults", self.clear, methods=["DELETE"]),
        ]

    async def show(self, request: Request) -> Response:
        """The whole page."""
        acting = request.cookies.get(_USER_COOKIE, "")
        view = self._view()
        nonce = secrets.token_urlsafe(16)
        context = {"acting": acting, "users": self._presser.users, "tag": self._tag(view.version)}
        return self._html("page.html", view, nonce, **context)

    async def live(self, request: Request) -> Response:
        """The part that changes, or 204 if it reads as the asker already has it."""
        if request.query_params.get("tag") == self._tag(self._ledger.version):
            return Response(status_code=204)
        view = self._view()
        response = self._html("live.html", view, "")
        response.headers["X-Tag"] = self._tag(view.version)
        return response

    async def press(self, request: Request) -> Response:
        """Presses a button for the person chosen on the page."""
        if not is_own(request, self._known_hosts()):
            return _refused()
        form = await request.form()
        channel, ts, action_id, value = _button_named(str(form.get("button", "")))
        user = str(form.get("user", ""))
        press = partial(self._presser.press, ts, action_id, user, channel=channel, value=value)
        try:
            await run_in_threadpool(press)
        except PressError as error:
            return Response(str(error), 404, media_type="text/plain")
        return _back_as(request, user)

    async def handle(self, request: Request) -> Response:
        """Does to a page what people do at PagerDuty, as the person chosen."""
        if not is_own(request, self._known_hosts()):
            return _refused()
        form = await request.form()
        number, _, action = str(form.get("handle", "")).partition(" ")
        user = str(form.get("user", ""))
        try:
            self._handler.handle(int(number) if number.isascii() and number.isdecimal() else 0, action, user)
        except HandlingError as error:
            return Response(str(error), 404, media_type="text/plain")
        return _back_as(request, user)

    async def order(self, request: Request) -> Response:
        """Orders a failure, or forgets all of them, by the page's form."""
        if not is_own(request, self._known_hosts()):
            return _refused()
        form = {name: value for name, value in (await request.form()).items() if value != ""}
        if form.pop("clear", None) is not None:
            self._faults.clear()
        else:
            if form.get("times") == "all":
                form["times"] = None  # type: ignore[assignment]
            try:
                self._faults.inject(_FAULT.validate_python(form))
            except ValidationError as error:
                return Response(_reasons(error), 422, media_type="text/plain")
        self._ledger.touch()
        return _back(request)

    async def list_faults(self, _request: Request) -> Response:
        """The failures still to come."""
        return JSONResponse(_FAULT_LIST.dump_python(list(self._faults.active), mode="json"))

    async def inject(self, request: Request) -> Response:
        """Orders a failure: the fields of ``InjectedFault`` as JSON."""
        if not is_own_or_no_browser(request, self._known_hosts()):
            return _refused()
        # No form of a foreign page can send this type, so none can order failures.
        if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            return Response("application/json, please", 415, media_type="text/plain")
        try:
            self._faults.inject(_FAULT.validate_json(await request.body()))
        except ValidationError as error:
            return Response(_reasons(error), 422, media_type="text/plain")
        self._ledger.touch()
        return Response(status_code=204)

    async def clear(self, request: Request) -> Response:
        """Forgets the failures still to come, of all services or of ``?service=``."""
        if not is_own_or_no_browser(request, self._known_hosts()):
            return _refused()
        self._faults.clear(request.query_params.get("service"))
        self._ledger.touch()
        return Response(status_code=204)

    def _view(self) -> View:
        return take_view(
            self._ledger,
            self._slack,
            self._pagerduty,
            self._outbox,
            self._presser,
            self._faults.active,
            self._names,
        )

    def _tag(self, version: int) -> str:
        """Differs after a restart too, at which versions begin anew."""
        return f"{self._start}-{version}"

    def _html(self, template: str, view: View, nonce: str, **context: object) -> Response:
        text = self._environment.get_template(template).render(view=view, nonce=nonce, **context)
        policy = (
            f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self';"
            " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
        )
        headers = {
            "Content-Security-Policy": policy,
            "Cache-Control": "no-store",
            "Referrer-Policy": "same-origin",
            "X-Content-Type-Options": "nosniff",
        }
        # A lone surrogate can come in by JSON and can't go out as UTF-8.
        return Response(text.encode(errors="replace"), 200, headers, "text/html; charset=utf-8")

    def _known_hosts(self) -> Collection[str]:
        url = self._presser.sandbox_url
        return {urlsplit(url if isinstance(url, str) else url()).hostname or ""}


_FAULT_LIST = TypeAdapter(list[InjectedFault])


def _environment(users: Mapping[str, str]) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "mrkdwn": partial(mrkdwn, users=users),
        "plain": plain,
        "clock": _clock,
        "web": _web_address,
        "pretty": partial(json.dumps, indent=2, ensure_ascii=False, default=str),
        "person": lambda user_id: users.get(user_id, user_id),
        "button_name": _button_name,
        "length_of_time": _length_of_time,
        "colour": _colour,
    }
    return environment


def _clock(at: datetime) -> str:
    return at.strftime("%H:%M:%S")


def _length_of_time(span: timedelta) -> str:
    seconds = max(0, int(span.total_seconds()))
    return (
        f"{seconds // 60}:{seconds % 60:02d}" if seconds < 3600 else f"{seconds // 3600} h {seconds % 3600 // 60} min"
    )


def _web_address(address: object) -> str:
    """An address that may stand in an href; empty for any other, such as ``javascript:``."""
    return address if isinstance(address, str) and address.lower().startswith(("http://", "https://")) else ""


def _colour(colour: object) -> str:
    """An attachment's colour; Slack knows three by name."""
    named = {"good": "#2eb886", "warning": "#daa038", "danger": "#a30200"}
    text = named.get(colour, colour) if isinstance(colour, str) else ""
    return text if re.fullmatch("#[0-9a-fA-F]{6}", text) else "#b8b8b8"


def _button_name(channel: str, ts: str, action_id: str, value: str) -> str:
    return json.dumps([channel, ts, action_id, value])


def _button_named(name: str) -> tuple[str, str, str, str | None]:
    try:
        channel, ts, action_id, value = json.loads(name)
    except (ValueError, TypeError):
        return "", "", "", None
    return str(channel), str(ts), str(action_id), str(value)


def _folder(request: Request) -> str:
    return str(request.scope.get("root_path", "")) + "/"


def _back(_request: Request) -> RedirectResponse:
    return RedirectResponse("./", 303)


def _back_as(request: Request, user: str) -> RedirectResponse:
    """Back, and the same person is chosen there."""
    response = _back(request)
    response.set_cookie(_USER_COOKIE, user, path=_folder(request), samesite="strict", httponly=True)
    return response


def _refused() -> Response:
    return Response("only this page's own forms may do that", 403, media_type="text/plain")


def _reasons(error: ValidationError) -> str:
    faults: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    return "\n".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)
