"""Results on their way from the disk to file-storage, several at a time."""

from collections.abc import Sequence

from image_processor.services.files.client import FileStorage, NewFile
from image_processor.services.jobs.attempts import Made, outcome_of
from image_processor.services.jobs.outcomes import Claim, Ended, Finished, Outcome
from image_processor.services.jobs.result_cache import CacheHit, ResultCache


class ResultUpload:
    """Stores what attempts have made."""

    def __init__(self, storage: FileStorage, cache: ResultCache) -> None:
        self._storage = storage
        self._cache = cache

    def deliver(self, attempts: Sequence[tuple[Claim, Made | Outcome]]) -> Sequence[Ended]:
        """How each attempt has ended, once the results among them are stored.

        :raises DBAPIError: the database is away.
        """
        results = [(claim, made) for claim, made in attempts if isinstance(made, Made)]
        stored = self._store(results) if results else []
        outcomes = iter(stored)
        return [Ended(claim, next(outcomes) if isinstance(made, Made) else made) for claim, made in attempts]

    def _store(self, results: Sequence[tuple[Claim, Made]]) -> Sequence[Outcome]:
        answers = self._storage.store([_new_file(claim, made) for claim, made in results])
        for _, made in results:
            made.path.unlink()
        outcomes = [outcome_of(answer) if isinstance(answer, Exception) else Finished(answer) for answer in answers]
        self._remember([made for _, made in results], outcomes)
        return outcomes

    def _remember(self, results: Sequence[Made], outcomes: Sequence[Outcome]) -> None:
        hits = {
            made.cache_key: CacheHit(outcome.result_id, made.extension)
            for made, outcome in zip(results, outcomes, strict=True)
            if made.cache_key is not None and isinstance(outcome, Finished)
        }
        if hits:
            self._cache.remember(hits)


def _new_file(claim: Claim, made: Made) -> NewFile:
    extension = claim.source_extension if made.extension is None else made.extension
    return NewFile(made.path, claim.source_name + extension, claim.result_key)
