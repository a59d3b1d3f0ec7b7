"""Results that were made before: the same content, algorithm, params and engine give the same bytes."""

import hashlib
import json

import pyvips
from service_kit.database import Database, epoch_now, insert_or_update
from sqlalchemy import delete, select

from image_processor import __version__
from image_processor.algorithms.registry import Algorithm, Params
from image_processor.models import CachedResult
from image_processor.services.claims import Claim

ENGINE = f"{__version__}/{'.'.join(str(pyvips.version(part)) for part in range(3))}"


class ResultCache:
    """Remembers which file is the result of what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, key: str) -> int | None:
        """The id of the file that holds the result, which may be deleted by now."""
        with self._database.read() as session:
            return session.scalar(select(CachedResult.result_id).where(CachedResult.key == key))

    def remember(self, key: str, result_id: int) -> None:
        with self._database.write() as session:
            insert = insert_or_update(session, CachedResult).values(key=key, result_id=result_id)
            replaced = {"result_id": result_id, "created_at": epoch_now()}
            session.execute(insert.on_conflict_do_update(index_elements=[CachedResult.key], set_=replaced))

    def forget_older_than(self, seconds: float) -> None:
        with self._database.write() as session:
            session.execute(delete(CachedResult).where(CachedResult.created_at < epoch_now() - seconds))


def cache_key(claim: Claim, algorithm: Algorithm[Params]) -> str | None:
    """What the result depends on, hashed; ``None`` where it is not to be cached.

    Params count with their defaults filled in, so leaving one out and giving its default are the same.
    """
    if not claim.cache or claim.source_sha256 is None:
        return None
    params = algorithm.params.model_validate(claim.params or {}).model_dump(mode="json")
    parts = [ENGINE, claim.source_sha256, algorithm.name, params]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
