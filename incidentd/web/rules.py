"""``/rules``: the table in force, what was in force before it, what a shadow would do, and a form to try an alert."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic_core import from_json
from sqlalchemy.engine import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from incidentd.classify.difference import differences
from incidentd.classify.difference_report import examples_in_words, heading, no_difference
from incidentd.errors import NotFoundError
from incidentd.lifecycle.shadow_verdict import MEANING
from incidentd.lifecycle.version import kept_table
from incidentd.store import rules as stored
from incidentd.store import shadow
from incidentd.store.rules import InForce
from incidentd.store.shadow import Comparison, Difference
from incidentd.web.api import Wired
from incidentd.web.contract import Runtime
from incidentd.web.guard import ApiRoute
from incidentd.web.pages import Form, PersonRoute
from incidentd.web.problem import ProblemError
from incidentd.web.render import render
from incidentd.web.row_counts import DAYS, RowCounts
from incidentd.web.rules_schema import ShadowJson
from incidentd.web.schema import Search
from incidentd.web.table_view import searched, tables_shown
from incidentd.web.trial import Trial, trial_of

HISTORY = 10

Version = Annotated[str, Query(pattern=r"^[0-9a-f]{1,64}$|^in-force$|^previous$")]

router = APIRouter(prefix="/api/v1/rules", route_class=ApiRoute, tags=["rules"])
pages = APIRouter(route_class=PersonRoute, include_in_schema=False)


@dataclass(frozen=True, slots=True)
class _Shadow:
    version: str | None
    comparison: Comparison | None
    differences: Sequence[Difference]


@pages.get("/rules")
def show_rules(runtime: Wired, request: Request, q: Search = "") -> Response:
    """The table in force, as far as it is searched for."""
    return _page(runtime, request, q, None)


@pages.post("/rules")
async def try_alert(runtime: Wired, request: Request, form: Form) -> Response:
    """The same page, with what the table makes of an alert. Nothing is stored, nobody is told."""
    text, value = form.get("labels", ""), form.get("value", "").strip()
    trial = await run_in_threadpool(trial_of, text, value, runtime.rules, runtime.clock.now(), _in_doubt(runtime))
    return await run_in_threadpool(_page, runtime, request, "", trial)


@pages.get("/rules/diff")
def show_difference(runtime: Wired, a: Version, b: Version = "in-force") -> Response:
    """What is different between two tables that were in force."""
    try:
        first, second = (runtime.store.read(partial(kept_table, name=name)) for name in (a, b))
    except NotFoundError as error:
        raise ProblemError(404, "not_found", str(error)) from None
    return render(
        "rules_diff.html",
        first=first.version,
        second=second.version,
        changes=differences(first.files, second.files),
        same=no_difference(first.version, second.version),
        heading=heading,
        examples=examples_in_words,
    )


@router.get("/shadow")
def show_shadow(runtime: Wired) -> ShadowJson:
    """Where the shadow table judges new alerts otherwise than the table in force, the most frequent first."""
    found = runtime.store.read(lambda tx: _shadow(tx, runtime.rules.version))
    return ShadowJson.of(runtime.rules.version, found.version, found.comparison, found.differences)


def _page(runtime: Runtime, request: Request, q: str, trial: Trial | None) -> Response:
    rules, now = runtime.rules, runtime.clock.now()
    counts: RowCounts = request.app.state.row_counts
    tables = tables_shown(rules, counts.of(rules), now, _in_doubt(runtime))
    history, tried = runtime.store.read(lambda tx: _beside(tx, runtime))
    return render(
        "rules.html",
        now=now,
        version=rules.version,
        since=history[0].since if history and history[0].version == rules.version else None,
        history=history,
        tables=searched(tables, q) if q else tables,
        rows=sum(len(table.rows) for table in rules.tables.values()),
        q=q,
        days=DAYS,
        trial=trial,
        shadow=tried,
        meaning=MEANING,
        parsed=from_json,
    )


def _in_doubt(runtime: Runtime) -> frozenset[str]:
    """Optional destinations that lack a secret here: the workers may have it."""
    specs = runtime.rules.destinations.values()
    return frozenset(spec.name for spec in specs if spec.optional and runtime.destination(spec) is None)


def _beside(tx: Connection, runtime: Runtime) -> tuple[list[InForce], _Shadow | None]:
    tried = _shadow(tx, runtime.rules.version) if runtime.settings.shadow_rules else None
    return stored.history(tx, HISTORY), tried


def _shadow(tx: Connection, in_force: str) -> _Shadow:
    version = shadow.in_force(tx)
    if version is None:
        return _Shadow(None, None, ())
    comparison = shadow.comparison(tx, in_force, version)
    return _Shadow(version, comparison, shadow.differences(tx, in_force, version))
