"""A press over Slack's Socket Mode, on a whole incidentd and a real PostgreSQL that goes away meanwhile."""

from contextlib import closing

import pytest

from incidentd.channels.slack_card import ACKNOWLEDGE
from incidentd.sandbox import socket as stand_in
from incidentd.web.slack_socket import SocketMode
from tests import canary
from tests.lifecycle.bench import alert, open_bench
from tests.servers import PostgresServer, wait_until
from tests.store.database import POSTGRESQL


@pytest.mark.parametrize("database_url", [POSTGRESQL], indirect=True)
def test_a_press_while_the_database_is_away_is_sent_again_and_counts_once_when_it_is_back(
    database_url: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stand_in, "MOST_SENDINGS", 1_000)
    token = canary.of("INCIDENTD_SLACK_APP_TOKEN")
    with (
        open_bench(database_url, INCIDENTD_SLACK_APP_TOKEN=token) as bench,
        closing(SocketMode(bench.runtime)) as socket_mode,
    ):
        sockets = bench.sandbox.slack.sockets
        bench.hear(alert())
        bench.settle()
        socket_mode.start()
        wait_until(lambda: sockets.is_connected, "a connection")
        postgres_server.stop()
        try:
            press = bench.sandbox.press(bench.sandbox.slack.cards("#incidents")[-1], ACKNOWLEDGE, "Ben Okoro")
        finally:
            postgres_server.start()
        assert (press.over_socket, press.problem) == (True, "not acknowledged within 3 s")
        [sent] = sockets.sent
        wait_until(lambda: sent.answer is not None, "the acknowledgement")
        assert sent.sendings >= 2
        assert bench.kinds().count("acknowledged") == 1
        acknowledgement = bench.incident().acknowledgement
        assert acknowledgement is not None
        assert acknowledgement.by == "ben.okoro"
