"""The jobs of render processes, and the answers to them."""

from dataclasses import dataclass

from image_processor.render.plans.plan import RenderPlan

EXTENSIONS_OF_RESULTS = (".jpg", ".png", ".webp", ".avif", ".gif", ".tif", ".json", ".zip")
FETCH, RENDER = PARTS = ("fetch", "render")
"""The parts of a job whose durations are measured."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the file server.

    :param file_id: the id of a file that has these bytes.
    """

    sha256: str
    file_id: int


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine, such as one that was fetched from an origin."""

    path: str
    sha256: str


Bytes = StoredFile | LocalFile


@dataclass(frozen=True)
class Job:
    """A render job.

    :param source: ``None`` if the plan names a color.
    :param files: the other files by their ids in the plan.
    :param format_name: the negotiated format; ``source`` if the plan alone decides; several formats, joined by commas,
        for the smallest of them.
    :param result: the path of the result. Temporary files may have paths that begin with it.
    """

    plan: RenderPlan
    source: Bytes | None
    files: tuple[tuple[int, Bytes], ...]
    format_name: str
    result: str


@dataclass(frozen=True)
class Made:
    """The answer to a job whose result is on disk.

    :param extension: the extension of its format, with the dot.
    :param resident_bytes: the resident memory of the process after the job.
    :param seconds: how long each part of the job took, by name.
    :param full_size: of a preview, width and height of the result before it was shrunk.
    """

    extension: str
    resident_bytes: int
    seconds: tuple[tuple[str, float], ...]
    full_size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Refused:
    """The answer to a job that cannot be done.

    :param kind: the kind of the :class:`DomainError`.
    """

    kind: str
    detail: str
    resident_bytes: int


JobOutcome = Made | Refused
