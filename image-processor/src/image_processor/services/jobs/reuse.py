"""Plans claimed tasks, and finishes those with cached results without decoding an image."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

from service_kit.errors import DomainError
from service_kit.texts import sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.plan import Plan, plan_of
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, NewCopy, SourceError
from image_processor.services.jobs.attempts import PlannedClaim, outcome_of
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, for_each_owner
from image_processor.services.jobs.result_cache import CacheHit, ResultCache, cache_key

Contents = Callable[[str, tuple[int, ...]], Sequence[str]]
"""Returns the SHA-256 of each file that an owner's task names."""


class Reused(NamedTuple):
    """What became of claimed tasks.

    :ivar ended: those that have a cached result, or cannot run.
    :ivar missed: the others, in their order.
    """

    ended: Sequence[Ended]
    missed: Sequence[PlannedClaim]


class ReuseService:
    """Copies cached results, many in one request."""

    def __init__(self, storage: FileStorage, cache: ResultCache) -> None:
        self._storage = storage
        self._cache = cache

    def reuse(self, claims: Sequence[Claim]) -> Reused:
        """Finish the tasks that have a cached result; plan the others, so that an attempt repeats no request.

        :raises DBAPIError: the database is unavailable.
        """
        contents = cache(self._contents)  # the tasks of a batch name the same files
        planned: list[PlannedClaim] = []
        ended: list[Ended] = []
        for claim in claims:
            try:
                planned.append(_planned(claim, contents))
            except (ImageError, SourceError, FileStorageUnavailableError) as error:
                ended.append(Ended(claim, outcome_of(error)))
        finished = self._copied(planned)
        copied = [claim for claim, _ in finished]
        return Reused([*ended, *finished], [plan for plan in planned if plan.claim not in copied])

    def _copied(self, planned: Sequence[PlannedClaim]) -> Sequence[Ended]:
        """Finish the tasks that have a cached result; return them."""
        keys = [plan.key for plan in planned if plan.key is not None]
        hits = self._cache.find(keys) if keys else {}
        found = [(plan.claim, hits[plan.key]) for plan in planned if plan.key is not None and plan.key in hits]

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


def _planned(claim: Claim, contents: Contents) -> PlannedClaim:
    """Return the claim with its plan.

    :raises ImageError: the params are no longer valid.
    :raises SourceError: a file that the plan names was deleted.
    :raises FileStorageUnavailableError: try again later.
    """
    try:
        plan = plan_of(claim.algorithm, claim.params)
    except DomainError as error:
        detail = sentence("The task can no longer run: {reason}", reason=error.detail)
        raise ImageError(detail, Cause.TASK_OUTDATED) from error
    return PlannedClaim(claim, plan, _key(claim, plan, contents))


def _key(claim: Claim, plan: Plan, contents: Contents) -> str | None:
    if not claim.cache or claim.source_sha256 is None:
        return None
    return cache_key(claim.owner, plan, [claim.source_sha256, *contents(claim.owner, tuple(plan.file_ids()))])


def _new_copy(claim: Claim, hit: CacheHit) -> NewCopy:
    extension = claim.source_extension if hit.extension is None else hit.extension
    return NewCopy(hit.result_id, claim.source_name, extension, claim.result_key, claim.provenance)
