"""Caches results: the same content, algorithm, params and engine produce the same bytes."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import Database, dialect_of, epoch_now, insert_or_update
from service_kit.old_rows import delete_older_than
from sqlalchemy import bindparam, select

from image_processor.models import CachedResult
from image_processor.services.codec.engine import engine_version
from image_processor.services.codec.plan import Plan

ENGINE = engine_version()


class CacheHit(NamedTuple):
    """A file with the cached result, which may have been deleted since.

    :param extension: the result's extension; ``None`` if it has the format of the source.
    """

    result_id: int
    extension: str | None


class ResultCache:
    """Maps cache keys to result files."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, keys: Sequence[str]) -> Mapping[str, CacheHit]:
        """Return the cached results for those keys that have one."""
        with self._database.connect() as connection:
            rows = connection.execute(_FIND, {"keys": keys})
            return {row.key: CacheHit(row.result_id, row.extension) for row in rows}

    def remember(self, results: Mapping[str, CacheHit]) -> None:
        """Cache results by their keys, replacing earlier ones."""
        rows = [{"key": key, **results[key]._asdict()} for key in sorted(results)]
        with self._database.begin() as connection:
            insert = insert_or_update(dialect_of(connection), CachedResult)
            replaced = {name: insert.excluded[name] for name in CacheHit._fields} | {"created_at": epoch_now()}
            connection.execute(
                insert.values(rows).on_conflict_do_update(index_elements=[CachedResult.key], set_=replaced)
            )

    def forget_older_than(self, seconds: float) -> int:
        """Forget older results, in steps; return their number. Their files stay."""
        return delete_older_than(self._database, CachedResult, CachedResult.created_at, seconds)


_FIND = select(CachedResult.key, CachedResult.result_id, CachedResult.extension).where(
    CachedResult.key.in_(bindparam("keys", expanding=True))
)


def cache_key(owner: str, plan: Plan, contents: Sequence[str]) -> str:
    """Return a hash of the owner and everything that a result depends on: owners never share results.

    :param contents: the SHA-256 of the source, and of the files that the plan names.
    """
    parts = [ENGINE, contents, plan.identity()]
    if owner != LOCAL_OWNER:
        # Keys from before owners existed stay valid.
        parts.append(owner)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
