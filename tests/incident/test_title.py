"""What an incident is called."""

from dataclasses import replace

import pytest

from incidentd.incident.tiering import title_of
from tests.incident.build import member


@pytest.mark.parametrize(
    ("titles", "called"),
    [
        ({"eu": "Down in eu"}, "Down in eu"),
        ({"eu": "Down", "us": "Down"}, "Down"),
        ({"eu": "Down in eu", "us": "Down in us"}, "avalo core-api in eu, us"),
    ],
)
def test_a_title_never_speaks_of_one_region_for_another(titles: dict[str, str], called: str) -> None:
    firing = tuple(replace(member(region, region=region), title=title) for region, title in titles.items())
    assert title_of("avalo", "core-api", firing) == called
