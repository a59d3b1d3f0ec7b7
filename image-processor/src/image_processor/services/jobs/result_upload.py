"""Uploads results from disk to file-storage, several at a time."""

from collections.abc import Sequence

from image_processor.services.files.client import FileStorage, NewFile
from image_processor.services.jobs.attempts import ResultFile, outcome_of
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, Outcome, for_each_owner
from image_processor.services.jobs.result_cache import CacheHit, ResultCache

MAX_NAME = 255
"""Maximum number of characters of a file's name without its extension."""


class ResultUpload:
    """Stores the results of attempts."""

    def __init__(self, storage: FileStorage, cache: ResultCache) -> None:
        self._storage = storage
        self._cache = cache

    def store(self, attempts: Sequence[tuple[Claim, ResultFile | Outcome]]) -> Sequence[Ended]:
        """Store the results of the attempts; return the outcome of each attempt.

        :raises DBAPIError: the database is unavailable.
        """
        results = [(claim, result) for claim, result in attempts if isinstance(result, ResultFile)]
        outcomes = iter(self._store_files(results) if results else [])
        return [
            Ended(claim, next(outcomes) if isinstance(result, ResultFile) else result) for claim, result in attempts
        ]

    def _store_files(self, results: Sequence[tuple[Claim, ResultFile]]) -> Sequence[Outcome]:
        def store(owner: str, group: Sequence[tuple[Claim, ResultFile]]) -> Sequence[int | Exception]:
            return self._storage.acting_for(owner).store([_new_file(claim, result) for claim, result in group])

        stored = for_each_owner(results, store)
        for _, result in results:
            result.path.unlink()
        outcomes = [outcome_of(value) if isinstance(value, Exception) else Finished(value) for value in stored]
        self._remember([result for _, result in results], outcomes)
        return outcomes

    def _remember(self, results: Sequence[ResultFile], outcomes: Sequence[Outcome]) -> None:
        hits = {
            result.cache_key: CacheHit(outcome.result_id, result.extension)
            for result, outcome in zip(results, outcomes, strict=True)
            if result.cache_key is not None and isinstance(outcome, Finished)
        }
        if hits:
            self._cache.remember(hits)


def _new_file(claim: Claim, result: ResultFile) -> NewFile:
    extension = claim.source_extension if result.extension is None else result.extension
    # The file server splits a name at its last dot, but the extension of a copy may have several.
    stem, dot, last = extension.rpartition(".")
    name = f"{claim.source_name[: MAX_NAME - len(stem)]}{stem}{dot}{last}"
    return NewFile(result.path, name, claim.result_key, claim.provenance)
