import os

import psycopg
import pytest
import redis

from tests.servers import PostgresServer, RedisServer, program


def test_redis_loses_all_on_restart_and_keeps_its_address(redis_server: RedisServer) -> None:
    redis_server.client().set("key", "value")
    redis_server.restart()
    assert redis_server.client().get("key") is None


def test_a_frozen_redis_answers_nothing_until_it_is_thawed(redis_server: RedisServer) -> None:
    redis_server.freeze()
    with pytest.raises(redis.TimeoutError), redis_server.client(socket_timeout=0.1) as client:
        client.ping()
    redis_server.thaw()
    assert redis_server.client().ping()


def test_postgres_keeps_a_database_over_a_crash(postgres_server: PostgresServer, postgres_url: str) -> None:
    address = postgres_url.replace("+psycopg", "")
    with psycopg.connect(address) as connection:
        connection.execute("CREATE TABLE t (n int)")
    postgres_server.kill()
    assert not postgres_server.answers()
    postgres_server.start()
    with psycopg.connect(address) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def test_a_missing_server_skips_here_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no-such-server is not installed"):
        program("no-such-server")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-server is not installed"):
        program("no-such-server")
    assert os.access(program("redis-server"), os.X_OK)
