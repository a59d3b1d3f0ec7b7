"""What goes to a render process, and what comes back."""

from dataclasses import dataclass

from image_processor.render.plan import RenderPlan


@dataclass(frozen=True)
class StoredFile:
    """Bytes of the file server.

    :param file_id: a file that has these bytes.
    """

    sha256: str
    file_id: int


@dataclass(frozen=True)
class LocalFile:
    """Bytes on this machine, such as those that came from an origin."""

    path: str
    sha256: str


Bytes = StoredFile | LocalFile


@dataclass(frozen=True)
class Job:
    """A render.

    :param source: ``None`` if the plan names a color.
    :param files: the other files by their ids in the plan.
    :param format_name: what the client gets of a negotiated format; ``source`` if the plan alone decides.
    :param result: the path that is written. Other files whose paths begin with it may be used meanwhile.
    """

    plan: RenderPlan
    source: Bytes | None
    files: tuple[tuple[int, Bytes], ...]
    format_name: str
    result: str


@dataclass(frozen=True)
class Made:
    """The result is on disk.

    :param extension: of its format, with the dot.
    :param resident_bytes: memory of the process afterwards.
    :param seconds: how long it took, in parts by name.
    """

    extension: str
    resident_bytes: int
    seconds: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Refused:
    """The render is not possible.

    :param kind: of the :class:`DomainError`.
    """

    kind: str
    detail: str
    resident_bytes: int


Answer = Made | Refused
