"""An incident's news as a CloudEvent, structured as JSON. https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"
TYPE = "dev.incidentd.incident"


def cloud_event(picture: Mapping[str, Any]) -> str:
    """The event. ``id`` is the same for the same news, so a receiver knows one sent twice."""
    event, data = picture["event"], {name: value for name, value in picture.items() if name != "event"}
    return json.dumps({
        "specversion": "1.0",
        "id": event["id"],
        "source": _source(picture["url"]),
        "type": f"{TYPE}.{event['type']}",
        "subject": picture["incident"]["id"],
        "time": event["at"],
        "datacontenttype": "application/json",
        "data": {"number": event["number"], **data},
    })  # fmt: skip


def _source(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/" if parts.netloc else "incidentd"
