"""Finishes tasks with cached results, without decoding an image."""

from collections.abc import Callable, Sequence
from functools import cache

from service_kit.errors import DomainError
from service_kit.texts import sentence

from image_processor.services.codec.plan import Plan, plan_of
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, NewCopy, SourceError
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, for_each_owner
from image_processor.services.jobs.result_cache import CacheHit, ResultCache, cache_key

Contents = Callable[[str, tuple[int, ...]], Sequence[str]]
"""Returns the SHA-256 of each file that an owner's task names."""


class ReuseService:
    """Copies cached results, many in one request."""

    def __init__(self, storage: FileStorage, cache: ResultCache) -> None:
        self._storage = storage
        self._cache = cache

    def key_of(self, claim: Claim, plan: Plan) -> str | None:
        """Return the cache key of the task's result; ``None`` if it is not cached.

        :raises SourceError: a file that the plan names was deleted.
        :raises FileStorageUnavailableError: try again later.
        """
        return _key(claim, plan, self._contents)

    def reuse(self, claims: Sequence[Claim]) -> Sequence[Ended]:
        """Finish the tasks that have a cached result; return them. Errors of the others surface when they run.

        :raises DBAPIError: the database is unavailable.
        """
        contents = cache(self._contents)  # the tasks of a batch name the same files
        keyed = [(claim, key) for claim in claims if (key := _key_if_possible(claim, contents)) is not None]
        hits = self._cache.find([key for _, key in keyed]) if keyed else {}
        found = [(claim, hits[key]) for claim, key in keyed if key in hits]
        if not found:
            return []

        def copy(owner: str, group: Sequence[tuple[Claim, CacheHit]]) -> Sequence[int | Exception]:
            return self._storage.acting_for(owner).copy([_new_copy(claim, hit) for claim, hit in group])

        results = zip(found, for_each_owner(found, copy), strict=True)
        return [Ended(claim, Finished(result)) for (claim, _), result in results if isinstance(result, int)]

    def _contents(self, owner: str, file_ids: tuple[int, ...]) -> Sequence[str]:
        """Return the SHA-256 of each file that a plan names."""
        found = self._storage.acting_for(owner).find(file_ids) if file_ids else {}
        for file_id in file_ids:
            if file_id not in found:
                raise SourceError(
                    sentence("File {file_id}, which is named in params, no longer exists.", file_id=file_id)
                )
        return [found[file_id].sha256 for file_id in file_ids]


def _key_if_possible(claim: Claim, contents: Contents) -> str | None:
    try:
        return _key(claim, plan_of(claim.algorithm, claim.params), contents)
    except (DomainError, SourceError, FileStorageUnavailableError):
        return None


def _key(claim: Claim, plan: Plan, contents: Contents) -> str | None:
    if not claim.cache or claim.source_sha256 is None:
        return None
    return cache_key(claim.owner, plan, [claim.source_sha256, *contents(claim.owner, tuple(plan.file_ids()))])


def _new_copy(claim: Claim, hit: CacheHit) -> NewCopy:
    extension = claim.source_extension if hit.extension is None else hit.extension
    return NewCopy(hit.result_id, claim.source_name, extension, claim.result_key, claim.origin)
