"""The sandbox as one ASGI application."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from incidentd.sandbox.answer import JsonObject
from incidentd.sandbox.exchange import Exchange
from incidentd.sandbox.fault import FaultBoard
from incidentd.sandbox.handler import Handler
from incidentd.sandbox.herald import Herald
from incidentd.sandbox.interaction import Address, Press, Presser, address_of
from incidentd.sandbox.journal import Journal
from incidentd.sandbox.ledger import Ledger
from incidentd.sandbox.message import USERS, Message, User
from incidentd.sandbox.outbox import Hooks, Mailbox, Outbox
from incidentd.sandbox.page import Page
from incidentd.sandbox.pagerduty import PagerDuty
from incidentd.sandbox.pagerduty_rest import ALERTS, USER, USERS_LISTED, PagerDutyRest
from incidentd.sandbox.slack import RESPONSE, Slack
from incidentd.sandbox.smtp import LOOPBACK, SmtpServer
from incidentd.sandbox.socket import Sockets

KEEP = 20_000


@dataclass(frozen=True, slots=True)
class Sandbox:
    """An ASGI application with its insides in reach.

    Set ``sandbox.presser.product_url`` and ``.sandbox_url`` where addresses are known only later.
    """

    pagerduty: PagerDuty
    slack: Slack
    faults: FaultBoard
    presser: Presser
    handler: Handler
    herald: Herald
    exchange: Exchange
    ledger: Ledger
    mailbox: Mailbox
    hooks: Hooks
    smtp: SmtpServer | None
    application: Starlette

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        await self.application(scope, receive, send)

    def press(
        self, message: Message | str, action_id: str, user: User | str = "", *, value: str | None = None
    ) -> Press:
        """Presses a button as a person would on the page; see ``Presser.press``."""
        return self.presser.press(message, action_id, user, value=value)

    def close(self) -> None:
        """Ends hanging and dripping answers, and closes the journal."""
        self.exchange.ended = True
        if self.smtp:
            self.smtp.close()
        self.herald.close()
        self.ledger.close()

    def mount(self, parent: Starlette, path: str = "/sandbox") -> None:
        """Puts the sandbox under ``path`` of another application, with and without a slash at its end."""

        async def with_slash(request: Request) -> Response:
            return RedirectResponse(request.scope.get("root_path", "") + path + "/", 307)

        parent.router.routes.append(Route(path, with_slash, include_in_schema=False))
        parent.router.routes.append(Mount(path, app=self))


def create_sandbox(
    *,
    clock: Callable[[], datetime],
    slack_signing_secret: str,
    product_url: Address = "",
    sandbox_url: Address = "",
    slack_token: str | None = None,
    slack_app_token: str | None = None,
    journal: Path | None = None,
    keep: int | None = KEEP,
    users: Sequence[User] = USERS,
    routing_key_names: Mapping[str, str] | None = None,
    pagerduty_webhook_secret: str = "",
    smtp_port: int | None = None,
    smtp_host: str = LOOPBACK,
) -> Sandbox:
    """A sandbox with what its journal holds.

    ``clock`` gives aware UTC instants. ``product_url`` is where incidentd listens and ``sandbox_url`` where this
    application is reached, both without a slash at the end; callables where they are known late. ``slack_token`` is
    the one token that the Slack side takes, ``slack_app_token`` the one for Socket Mode; any, where None. The newest
    ``keep`` requests, events, alerts and messages stay in memory; all, where None. ``routing_key_names`` are shown in
    place of routing keys. Without ``pagerduty_webhook_secret`` nobody is told what becomes of pages, so nothing can be
    done to them here.
    ``smtp_port`` of ``smtp_host`` is where mail is taken, 0 for any free port; None: nowhere.
    """
    ledger = Ledger(Journal(journal) if journal is not None else None, keep)
    pagerduty = PagerDuty(ledger, keep)
    sockets = Sockets(ledger, slack_app_token, lambda: address_of(presser.sandbox_url))
    slack = Slack(ledger, keep, slack_token, sockets)
    mailbox, hooks = Mailbox(ledger, keep), Hooks(ledger, keep)
    stand_ins = (pagerduty, slack, mailbox, hooks)
    appliers: dict[str, Callable[[JsonObject], None]] = {each.name: each.apply for each in stand_ins}
    ledger.replay(lambda service, effect: appliers[service](effect))
    faults = FaultBoard()
    presser = Presser(
        slack.workspace,
        ledger,
        sockets,
        secret=slack_signing_secret,
        product_url=product_url,
        sandbox_url=sandbox_url,
        clock=clock,
        users=users,
    )
    herald = Herald(pagerduty_webhook_secret, product_url, ledger)
    handler = Handler(pagerduty, herald, ledger, clock, users)
    exchange = Exchange(ledger, faults, clock)
    page = Page(ledger, slack, pagerduty, Outbox(mailbox, hooks), presser, handler, faults, routing_key_names or {})
    routes = [*page.routes, *_service_routes(exchange, pagerduty, slack), *_rest_routes(exchange, pagerduty)]
    routes += _hook_routes(exchange, hooks)
    application = Starlette(routes=routes, lifespan=_closing(exchange, herald, ledger))
    application.router.redirect_slashes = False
    smtp = None if smtp_port is None else SmtpServer(mailbox, clock, smtp_port, smtp_host)
    return Sandbox(
        pagerduty, slack, faults, presser, handler, herald, exchange, ledger, mailbox, hooks, smtp, application
    )


def _service_routes(exchange: Exchange, pagerduty: PagerDuty, slack: Slack) -> list[BaseRoute]:
    async def enqueue(request: Request) -> Response:
        return await exchange.serve(pagerduty, "", request)

    async def call(request: Request) -> Response:
        return await exchange.serve(slack, request.path_params["method"], request)

    async def respond(request: Request) -> Response:
        return await exchange.serve(slack, RESPONSE, request)

    return [
        Route("/pagerduty/v2/enqueue", enqueue, methods=["POST"]),
        Route("/slack/api/{method:path}", call, methods=["GET", "POST"]),
        Route("/slack/respond/{token}", respond, methods=["POST"]),
        slack.sockets.route,
    ]


def _hook_routes(exchange: Exchange, hooks: Hooks) -> list[Route]:
    async def take(request: Request) -> Response:
        return await exchange.serve(hooks, request.path_params["name"], request)

    return [Route("/webhook/{name:path}", take, methods=["POST", "PUT", "PATCH"])]


def _rest_routes(exchange: Exchange, pagerduty: PagerDuty) -> list[Route]:
    rest = PagerDutyRest(pagerduty)

    async def user(request: Request) -> Response:
        return await exchange.serve(rest, USER, request)

    async def users(request: Request) -> Response:
        return await exchange.serve(rest, USERS_LISTED, request)

    async def alerts(request: Request) -> Response:
        return await exchange.serve(rest, ALERTS, request)

    return [
        Route("/pagerduty/api/users", users, methods=["GET"]),
        Route("/pagerduty/api/users/{id}", user, methods=["GET"]),
        Route("/pagerduty/api/incidents/{id}/alerts", alerts, methods=["GET"]),
    ]


def _closing(
    exchange: Exchange, herald: Herald, ledger: Ledger
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_application: Starlette) -> AsyncIterator[None]:
        yield
        exchange.ended = True
        herald.close()
        ledger.close()

    return lifespan
