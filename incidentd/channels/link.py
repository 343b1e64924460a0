"""Where a message leads to. Whatever an alert names is shown as a link or not at all; nothing of it is fetched."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from incidentd.channels.channel import AlertDetail, News

_DASHBOARDS = ("dashboard_url", "dashboard", "grafana_url")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f<>\"\\^`{}|\ud800-\udfff]")
_URL_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Link:
    """A link that is safe to show: ``href`` is http or https and holds no character that could end it early."""

    text: str
    href: str


def safe_href(url: str) -> str | None:
    """The URL, if it is a complete http or https one; else None (``javascript:``, ``data:``, ``//evil``)."""
    if not url or len(url) > _URL_LIMIT or _FORBIDDEN.search(url):
        return None
    try:
        parts = urlsplit(url)
        named = parts.hostname
    except ValueError:
        return None
    return url if named and parts.scheme in ("http", "https") else None


def lead(news: News) -> AlertDetail | None:
    """The alert that decides: the most urgent that fires, else any."""
    by_fingerprint = {alert.fingerprint: alert for alert in news.alerts}
    deciding = next(
        (by_fingerprint[m.fingerprint] for m in news.incident.firing if m.fingerprint in by_fingerprint), None
    )
    return deciding or next(iter(news.alerts), None)


def dashboard(annotations: Mapping[str, str]) -> str:
    """Where the alert's dashboard is, under whichever name; empty without."""
    return next((annotations[name] for name in _DASHBOARDS if name in annotations), "")


def links(news: News) -> tuple[Link, ...]:
    """Incident page, runbook, dashboard and Prometheus, as far as there are any."""
    return tuple(Link(text, href) for text, url in _named(news) if (href := safe_href(url)) is not None)


def _named(news: News) -> Iterator[tuple[str, str]]:
    alert = lead(news)
    annotations = alert.annotations if alert else {}
    yield "Incident", news.url
    yield "Runbook", news.runbook or annotations.get("runbook_url", "")
    yield "Dashboard", dashboard(annotations)
    yield "Prometheus", alert.generator_url if alert else ""
