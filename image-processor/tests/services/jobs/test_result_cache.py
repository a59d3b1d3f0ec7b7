"""The cache of results forgets old ones."""

from image_processor.models import CachedResult
from image_processor.services.jobs.result_cache import CacheHit, ResultCache
from service_kit.database import Database
from sqlalchemy import insert

from tests.support.deletions import deleted_rows


def test_many_old_results_are_forgotten_in_steps(database: Database) -> None:
    cache = ResultCache(database)
    cache.remember({"young": CacheHit(1, None)})
    with database.begin() as connection:
        connection.execute(
            insert(CachedResult), [{"key": f"old {n}", "result_id": n, "created_at": 1.0} for n in range(1500)]
        )

    with deleted_rows(database) as counts:
        cache.forget_older_than(3600)

    assert counts == [1000, 500]
    assert set(cache.find(["young", "old 1"])) == {"young"}
