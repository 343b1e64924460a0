"""Redis only wakes: what it loses is found in the database, within five seconds."""

import requests

from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import GROUP, TIMEKEEPER, WEB, Plant

FOUND_SECONDS = 5.0
"""Within which a page leaves, whatever Redis does."""


def test_redis_killed_without_persistence_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("before")
    plant.until(lambda: plant.is_paged("before"), "the page of before")
    watch = plant.stopwatch()
    plant.redis.kill()
    for number in range(5):
        plant.fire(f"during-{number}", climbs=False)
    plant.until(lambda: all(plant.is_paged(told.place) for told in plant.told), "pages without Redis")
    assert plant.late_pages(watch, FOUND_SECONDS) == []
    plant.redis.start()
    plant.fire("after")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def test_emptying_redis_again_and_again_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("before", climbs=False)
    plant.until(lambda: plant.is_paged("before"), "the page of before")
    watch = plant.stopwatch()
    with plant.redis.client() as client:
        for number in range(10):
            plant.fire(f"place-{number}", climbs=number == 0)
            client.flushall()
    plant.until(lambda: all(plant.is_paged(told.place) for told in plant.told), "every page")
    assert plant.late_pages(watch, FOUND_SECONDS) == []
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def test_a_redis_that_is_frozen_from_the_start_and_again_costs_no_page_its_time(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    plant.redis.freeze()
    plant.start(WEB)
    plant.start(GROUP)
    plant.wait_for_web()
    plant.until(lambda: plant.status("/-/delivering") == requests.codes.ok, "a timekeeper")
    watch = plant.stopwatch()
    plant.fire("at-start")
    plant.until(lambda: plant.is_paged("at-start"), "a page without an answer of Redis")
    assert plant.late_pages(watch, FOUND_SECONDS) == []
    plant.redis.thaw()
    plant.until(plant.workers_run, "the workers to be there by themselves")
    plant.redis.freeze()
    watch = plant.stopwatch()
    plant.fire("again", climbs=False)
    plant.until(lambda: plant.is_paged("again"), "a page while Redis is frozen again")
    assert plant.late_pages(watch, FOUND_SECONDS) == []
    plant.redis.thaw()
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []


def test_with_a_wrong_password_for_redis_it_starts_says_so_and_pages(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    with plant.redis.client() as client:
        client.config_set("requirepass", "the right one")
    plant.environ["INCIDENTD_REDIS_URL"] = plant.redis.url.replace("//", "//:the-wrong-one@")
    web, timekeeper, worker = plant.start(WEB), plant.start(TIMEKEEPER), plant.start("page")
    plant.wait_for_web()
    plant.fire("climbing")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []
    for part in (web, timekeeper, worker):
        plant.until(lambda: "redis_unreachable" in part.log.read_text(), "it to say so")  # noqa: B023 - asked at once
        assert "the-wrong-one" not in part.log.read_text()
        assert part.deaths == 0
