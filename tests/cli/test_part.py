"""What a web part refuses to start without."""

import pytest

from incidentd.cli.part import refuse_missing
from incidentd.errors import SettingsError
from incidentd.settings import load_settings


def test_whatever_is_missing_is_named_at_once() -> None:
    settings = load_settings({"INCIDENTD_SLACK_BOT_TOKEN": "xoxb-0123456789abcdef"})

    with pytest.raises(SettingsError) as refused:
        refuse_missing(settings)

    assert [line.partition(" is")[0] for line in str(refused.value).splitlines()] == [
        "neither INCIDENTD_WEBHOOK_TOKEN nor INCIDENTD_WEBHOOK_TOKENS",
        "INCIDENTD_API_TOKEN",
        "neither INCIDENTD_SLACK_SIGNING_SECRET nor INCIDENTD_SLACK_APP_TOKEN",
    ]
