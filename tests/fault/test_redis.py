"""Redis only wakes: what it loses is found in the database, within five seconds."""

from tests.fault.oracle import lacks, wrongs
from tests.fault.plant import GROUP, WEB, Plant

FOUND_SECONDS = 5.0


def test_redis_killed_without_persistence_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("before")
    plant.until(lambda: plant.is_paged("before"), "the page of before")
    plant.redis.kill()
    for number in range(5):
        plant.fire(f"during-{number}", climbs=False)
    plant.until(lambda: all(plant.is_paged(told.place) for told in plant.told), "pages without Redis", FOUND_SECONDS)
    plant.redis.start()
    plant.fire("after")
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant, expected='"logger": "rq.worker"') == []


def test_emptying_redis_again_and_again_loses_nothing(plant_with_redis: Plant) -> None:
    plant = plant_with_redis
    assert plant.redis
    plant.start(WEB)
    plant.start(GROUP)
    plant.wait_for_web()
    plant.fire("before", climbs=False)
    plant.until(lambda: plant.is_paged("before"), "the page of before")
    with plant.redis.client() as client:
        for number in range(10):
            plant.fire(f"place-{number}", climbs=number == 0)
            client.flushall()
    plant.until(lambda: all(plant.is_paged(told.place) for told in plant.told), "every page", FOUND_SECONDS)
    plant.until(lambda: not lacks(plant), "all to be told")
    assert wrongs(plant) == []
