"""An Alertmanager's API on loopback that lists what a test says, on the test's clock."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from incidentd.alert import Alert

LONG = timedelta(days=3)


class Listing:
    """Set what it says. ``down``: it answers 500 to everything; ``ahead``: its clock before the test's."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.started_at = now() - LONG
        self.ahead = timedelta(0)
        self.alerts: dict[str, dict[str, Any]] = {}
        self.silences: list[dict[str, Any]] = []
        self.config = "route: {receiver: incidentd}"
        self.muted: set[str] | None = set()
        self.down = False
        self.raw: bytes | None = None
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def show(self, *alerts: Alert, receiver: str = "incidentd", **status: Any) -> None:
        """List these, active unless ``status`` says otherwise."""
        for alert in alerts:
            self.alerts[alert.fingerprint] = {
                "fingerprint": alert.fingerprint,
                "labels": dict(alert.labels),
                "annotations": dict(alert.annotations),
                "startsAt": _instant(alert.starts_at),
                "endsAt": _instant(self.now() + timedelta(minutes=4)),
                "updatedAt": _instant(self.now()),
                "generatorURL": alert.generator_url,
                "receivers": [{"name": receiver}],
                "status": {"state": "active", "silencedBy": [], "inhibitedBy": [], **status},
            }

    def silence(self, *alerts: Alert, by: str = "ann", comment: str = "deploy") -> None:
        """List these as kept quiet by one new silence."""
        name = f"silence-{len(self.silences)}"
        until = _instant(self.now() + timedelta(hours=2))
        self.silences.append({"id": name, "createdBy": by, "comment": comment, "endsAt": until})
        self.show(*alerts, state="suppressed", silencedBy=[name])

    def hide(self, *alerts: Alert) -> None:
        """List these no more."""
        for alert in alerts:
            self.alerts.pop(alert.fingerprint, None)

    def restart(self) -> None:
        """Start anew, empty."""
        self.started_at = self.now()
        self.alerts.clear()

    def answer(self, path: str) -> Any:
        """What the API says at this path."""
        match path.removeprefix("/api/v2/"):
            case "status":
                started_at = _instant(self.started_at + self.ahead)
                info = {"version": "0.28.1"}
                return {"uptime": started_at, "versionInfo": info, "config": {"original": self.config}}
            case "alerts":
                return list(self.alerts.values())
            case "silences":
                return self.silences
            case "receivers":
                return [{"name": "incidentd"}, {"name": "mail"}]
            case "alerts/groups":
                return [self._group(each) for each in self.alerts.values()]
        return None

    def _group(self, alert: dict[str, Any]) -> dict[str, Any]:
        status = dict(alert["status"])
        if self.muted is not None:
            status["mutedBy"] = ["nights"] if alert["fingerprint"] in self.muted else []
        return {"receiver": alert["receivers"][0], "alerts": [{**alert, "status": status}]}


@contextmanager
def listing(now: Callable[[], datetime]) -> Iterator[Listing]:
    """One of them, while the block runs."""
    upstream = Listing(now)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            upstream.asked.append((path, dict(self.headers.items())))
            said = upstream.answer(path)
            is_raw = upstream.raw is not None and path.endswith("/alerts")
            body = upstream.raw if is_raw and upstream.raw is not None else json.dumps(said).encode()
            self.send_response_only(500 if upstream.down else 404 if said is None else 200)
            self.send_header("Date", format_datetime(upstream.now() + upstream.ahead, usegmt=True))
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_port}"
    yield upstream
    server.shutdown()
    server.server_close()
    thread.join()


def _instant(at: datetime) -> str:
    """With milliseconds, as the API tells them."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
