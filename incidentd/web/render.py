"""Templates into pages. Everything is escaped; nothing is marked as safe."""

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from incidentd.channels.link import safe_href
from incidentd.drill import is_drill
from incidentd.web import view
from incidentd.web.banner import banner

_ENVIRONMENT = Environment(
    loader=PackageLoader("incidentd.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters.update(
    duration=view.duration,
    exactly=view.exactly,
    instant=view.instant,
    href=safe_href,
    slot=view.slot_name,
    pairs=view.by_name,
    took=view.took,
    lasting=view.lasting,
)
_ENVIRONMENT.globals.update(
    degraded=banner,
    next_step=view.next_step,
    level=view.level,
    standing=view.standing,
    links=view.links,
    firing=view.firing,
    is_drill=is_drill,
    regions_of=view.regions,
    open_for=view.open_for,
    accepted_after=view.accepted_after,
)


def render(template: str, status: int = 200, **context: Any) -> HTMLResponse:
    """A page."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(context), status)
