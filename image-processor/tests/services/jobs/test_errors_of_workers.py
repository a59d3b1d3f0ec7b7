"""Every error that ends a task has a Russian sentence, and a context with the values that the sentence names."""

import errno
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import image_processor
import pytest
from billiard.exceptions import WorkerLostError
from image_processor.config import RetrySettings
from image_processor.handler.crash import crash_reason
from image_processor.imaging.cube import read_cube
from image_processor.imaging.errors import UnsuitableImageError
from image_processor.models import Task
from image_processor.services.causes import problem_document
from image_processor.services.codec.decoding import decode
from image_processor.services.codec.limits import ImageLimits, check_decoded_bytes, check_frames, check_pixels
from image_processor.services.codec.process import explained
from image_processor.services.files.client import (
    FileStorageUnavailableError,
    ResultRevokedError,
    SourceError,
    check_size,
)
from image_processor.services.jobs.attempts import outcome_of
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Ended, Holder
from image_processor.services.jobs.scratch import ScratchFullError
from image_processor.services.outbound import ForbiddenAddressError
from image_processor.services.readers.opened import DamagedError
from image_processor.services.tasks.queue import QueueUnavailableError
from service_kit.database import Database
from service_kit.texts import sentence
from sqlalchemy import insert

HOLDER = Holder("one", 11)
LIMITS = ImageLimits(max_pixels=100, max_frames=2, max_decoded_bytes=3000)
OF_OTHERS = {ForbiddenAddressError, QueueUnavailableError}
"""Errors for webhook senders and for the API."""
TURNED_INTO_IMAGE_ERRORS = {DamagedError, UnsuitableImageError}
"""Errors of readers and algorithms, which the codec turns into sentences about the image."""


def damaged(folder: Path) -> None:
    drawing = folder / "deep.svg"
    nested = "<g>" * 200 + "</g>" * 200
    drawing.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9">{nested}</svg>')
    decode(drawing, LIMITS, sequential=True)


def unsuitable(folder: Path) -> None:
    with explained(folder):
        read_cube("LUT_3D_SIZE 2\nnot a color\n")


def refused(error: Exception) -> Callable[[Path], None]:
    def act(_folder: Path) -> None:
        raise error

    return act


ENDS: dict[str, Callable[[Path], None]] = {
    "frames": lambda _: check_frames(3, LIMITS),
    "pixels": lambda _: check_pixels(16_384, LIMITS, sentence("The image has")),
    "decoded bytes": lambda _: check_decoded_bytes(5_000_000, LIMITS, sentence("The image has")),
    "bytes of a file": lambda _: check_size(70_000, 60_000),
    "damaged": damaged,
    "unsuitable": unsuitable,
    "gone": refused(SourceError(sentence("File {file_id} no longer exists.", file_id=7))),
    "file server away": refused(FileStorageUnavailableError("GET /7 answered 503")),
    "revoked": refused(ResultRevokedError()),
    "disk full": refused(ScratchFullError()),
    "disk full while libvips writes": refused(OSError(errno.ENOSPC, "No space left on device")),
    "larger than a file may be": refused(OSError(errno.EFBIG, "File too large")),
    "memory": refused(MemoryError()),
    "unexpected": refused(RuntimeError("boom")),
}


def error_of(act: Callable[[Path], None], folder: Path) -> Exception:
    with pytest.raises(Exception) as raised:
        act(folder)
    return raised.value


def problems(database: Database, task_id: int) -> tuple[dict[str, object], str]:
    """Return the problem of a task, and its sentence in Russian."""
    with database.read() as session:
        row = session.get_one(Task, task_id).error_problem
    problem, russian = problem_document(row), problem_document(row, "ru")
    assert problem is not None
    assert russian is not None
    return dict(problem), str(russian["detail"])


def said_values(detail: str) -> set[str]:
    """Return the numbers and quoted names in the first sentence; the other sentences are advice."""
    plain = re.sub(r"(?<=\d)[,\xa0](?=\d)", "", detail.partition(". ")[0])
    return set(re.findall(r"\d+(?:\.\d+)?", plain)) | set(re.findall(r"'([^']+)'", plain))


def words_of(value: object) -> set[str]:
    return {str(value)} | said_values(str(value))


def errors_of_the_package() -> Iterator[type[Exception]]:
    for part in ("services", "imaging", "algorithms"):
        package = importlib.import_module(f"{image_processor.__name__}.{part}")
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for value in vars(importlib.import_module(found.name)).values():
                if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == found.name:
                    yield value


@pytest.fixture
def task_id(database: Database) -> int:
    with database.write() as session:
        new = insert(Task).values(source_id=1, algorithm="flip", retry_seconds=1, crashes=0)
        return session.execute(new.returning(Task.id)).scalar_one()


@pytest.fixture
def impatient(database: Database, retry: RetrySettings) -> ClaimService:
    """Return a claim service that fails tasks at their first error."""
    once = retry.model_copy(update={"max_seconds": 0, "max_crashes": 1})
    return ClaimService(database, once, lease_seconds=60, processes=1)


def test_each_error_of_the_worker_has_an_example_here(tmp_path: Path) -> None:
    examples = {type(error_of(act, tmp_path)) for act in ENDS.values()}

    assert set(errors_of_the_package()) - OF_OTHERS - TURNED_INTO_IMAGE_ERRORS - examples == set()


@pytest.mark.parametrize("name", ENDS)
def test_the_context_has_what_the_sentence_says(
    impatient: ClaimService, database: Database, task_id: int, tmp_path: Path, name: str
) -> None:
    [claim] = impatient.claim(HOLDER)

    impatient.end([Ended(claim, outcome_of(error_of(ENDS[name], tmp_path)))])

    problem, russian = problems(database, task_id)
    context = problem["context"]
    assert isinstance(context, dict)
    assert said_values(str(problem["detail"])) <= {word for value in context.values() for word in words_of(value)}
    assert re.search("[а-я]", russian)


@pytest.mark.parametrize(
    ("error", "context"),
    [
        (WorkerLostError("Worker exited prematurely: signal 14 (SIGALRM)"), {"seconds": 20}),
        (KeyError("unexpected"), {"name": "KeyError"}),
    ],
    ids=["time limit", "unexpected"],
)
def test_a_lost_process_names_the_limit_or_the_error(
    leases: LeaseService,
    claims: ClaimService,
    database: Database,
    task_id: int,
    error: Exception,
    context: dict[str, object],
) -> None:
    [claim] = claims.claim(HOLDER)

    leases.overran(HOLDER, task_id, claim.attempt, crash_reason(error, 20))

    problem, russian = problems(database, task_id)
    assert problem["context"] == {"reason": str(crash_reason(error, 20)), **context}
    assert re.search("[а-я]", russian)
