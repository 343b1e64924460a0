"""The two questions of PagerDuty's REST API that the app asks, answered.

https://developer.pagerduty.com/api-reference, ``get-a-user`` and ``list-alerts-for-an-incident``
"""

from collections.abc import Sequence

from incidentd.sandbox.answer import Answer, Call, JsonObject
from incidentd.sandbox.fault import FaultKind, InjectedFault
from incidentd.sandbox.herald import incident_id
from incidentd.sandbox.ledger import Recorded
from incidentd.sandbox.message import USERS, User
from incidentd.sandbox.pagerduty import PagerDuty

USER, USERS_LISTED, ALERTS = "user", "users", "alerts"


class PagerDutyRest:
    """Reads what the stand-in holds; changes nothing."""

    name = "pagerduty-api"

    def __init__(self, pagerduty: PagerDuty, users: Sequence[User] = USERS) -> None:
        self._pagerduty = pagerduty
        self._users = {user.pagerduty_id: user for user in users}

    def read(self, recorded: Recorded) -> Call:
        """What is asked for."""
        about = recorded.path.partition("?")[0].split("/")
        name = about[-2] if recorded.method == ALERTS else about[-1]
        return Call(recorded.method, frozenset({name}), name)

    def answer(self, call: Call, recorded: Recorded) -> Answer:
        """The user or the alerts; 401 without a token, 404 for what isn't there."""
        if not dict(recorded.headers).get("authorization", "").startswith("Token token="):
            return Answer(401, {"error": {"code": 2006, "message": "Unauthorized"}})
        found = self._found(call.method, str(call.arguments))
        return Answer(404, {"error": {"code": 2100, "message": "Not Found"}}) if found is None else Answer(200, found)

    def failure(self, fault: InjectedFault) -> Answer:
        """What PagerDuty answers when it fails in this way."""
        if fault.kind is FaultKind.RATE_LIMIT:
            return Answer(429, {"error": {"code": 2020, "message": "Rate Limit Exceeded"}})
        return Answer(fault.status, {"error": {"code": 2000, "message": "Internal Error"}})

    def apply(self, effect: JsonObject) -> None:
        """There is never any."""

    def _found(self, method: str, name: str) -> JsonObject | None:
        if method == USERS_LISTED:
            users = [self._user(each) for each in self._users]
            return {"users": users, "limit": 25, "offset": 0, "more": False}
        user = self._user(name)
        return self._alerts(name) if method == ALERTS else user and {"user": user}

    def _user(self, name: str) -> JsonObject | None:
        user = self._users.get(name)
        if user is None:
            return None
        return {"id": name, "type": "user", "name": user.real_name, "email": user.email}

    def _alerts(self, name: str) -> JsonObject | None:
        for alert in self._pagerduty.alerts:
            if incident_id(alert) == name:
                found = {"id": f"A{name[1:]}", "type": "alert", "alert_key": alert.dedup_key}
                return {"alerts": [found | {"status": alert.state.value}], "limit": 100, "offset": 0, "more": False}
        return None
