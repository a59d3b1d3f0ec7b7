"""The code of a render process, which reads jobs from a connection, one at a time, and writes their results."""

import errno
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import httpx2
import pyvips
import structlog
from service_kit import logs
from service_kit.access.gate import SEES_HEADER
from service_kit.texts import counted, sentence, text_of

from image_processor.confinement.process_limits import limit_process
from image_processor.confinement.sandbox import confine
from image_processor.imaging.color import pixel_of
from image_processor.imaging.css_colors import canonical
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.peer_meta import write_meta
from image_processor.render.failures import (
    BUSY,
    FILE_NOT_FOUND,
    NOT_RENDERABLE,
    NOT_SENT_AS_IT_IS,
    STORAGE_UNAVAILABLE,
    TOO_LARGE,
)
from image_processor.render.plans.negotiation import BEST_FIRST, PLAIN
from image_processor.render.plans.plan import ColorSource, RenderPlan
from image_processor.render.processes.job import FETCH, RENDER, Bytes, Job, JobOutcome, LocalFile, Made, Refused
from image_processor.render.processes.messages import message_of_answer, read_job
from image_processor.render.processes.places import places_of_render
from image_processor.services.causes import Cause
from image_processor.services.codec.decoding import READABLE, ImageError, ImageLimits, decode
from image_processor.services.codec.encoding import EXTENSIONS
from image_processor.services.codec.errors import TOO_LARGE_A_FILE
from image_processor.services.codec.preview import write_preview
from image_processor.services.codec.process import explained, process_image, write_reports
from image_processor.services.files.blob_folder import BlobFolder
from image_processor.services.files.blob_http import BlobClient
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError, SourceError

log = structlog.get_logger()

LEAST_FREE_BYTES = 32 * 1024 * 1024
"""With less free space on the disk of the results, a failed render may be tried again, as in the worker."""
SENT_AS_THEY_ARE = ("jpeg", "png", "gif", "webp", "avif")
"""Formats that cannot contain scripts for a browser."""
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def serve(connection: socket.socket, settings: RenderSettings) -> None:
    """Run jobs until the other end of the connection is closed."""
    # Ignore signals to the process group: the service ends this process by closing the connection.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.log.level)
    limit_process(settings.limits)
    confine(settings.sandbox, places_of_render(settings))
    renderer = Renderer(settings)
    # The service may have ended, or closed the connection to replace this process.
    with suppress(BrokenPipeError, ConnectionResetError), connection.makefile("rb") as jobs:
        while (job := read_job(jobs)) is not None:
            connection.sendall(message_of_answer(renderer.answer(job)))


@dataclass(frozen=True)
class _Timed:
    seconds: dict[str, float]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = time.monotonic() - begin


class Renderer:
    """Runs jobs."""

    def __init__(self, settings: RenderSettings) -> None:
        self._limits = settings.limits
        self._files = _SourceFiles(settings)

    def answer(self, job: Job) -> JobOutcome:
        """Run a job; return :class:`Made`, or :class:`Refused` with the reason."""
        timed = _Timed({})
        try:
            with ExitStack() as stack:
                made = self._made(job, timed, stack)
        except ImageError as error:
            if not _has_room(job):
                # Writing may have failed for lack of space, so do not blame the image.
                return self._refused(job, BUSY, _DISK_FULL)
            detail = text_of(error)
            return self._refused(job, NOT_RENDERABLE, _FILE_TOO_LARGE if detail == TOO_LARGE_A_FILE else detail)
        except SourceError as error:
            kind = TOO_LARGE if error.cause is Cause.FILE_TOO_LARGE else FILE_NOT_FOUND
            return self._refused(job, kind, text_of(error))
        except FileStorageUnavailableError:
            return self._refused(job, STORAGE_UNAVAILABLE, sentence("The file server does not answer; try again."))
        except _RefusedError as error:
            return self._refused(job, error.kind, text_of(error))
        except MemoryError:
            return self._refused(job, NOT_RENDERABLE, sentence("The image needs more memory than a render may use."))
        except Exception as error:
            # The direct path for JPEG raises OSError instead of an error of libvips.
            if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
                return self._refused(job, BUSY, _DISK_FULL)
            if isinstance(error, OSError) and error.errno == errno.EFBIG:
                return self._refused(job, NOT_RENDERABLE, _FILE_TOO_LARGE)
            log.error("unexpected error", exc_info=error)
            return self._refused(
                job, NOT_RENDERABLE, sentence("An unexpected error ({name}).", name=type(error).__name__)
            )
        return Made(made.extension, _resident_bytes(), tuple(timed.seconds.items()), made.full_size)

    def _made(self, job: Job, timed: _Timed, stack: ExitStack) -> "_Written":
        plan, result = job.plan, Path(job.result)
        max_bytes = min(self._limits.max_file_bytes, plan.bounds.source_bytes or self._limits.max_file_bytes)
        with timed.part(FETCH):
            source = stack.enter_context(self._source(job, max_bytes))
            files = {
                number: stack.enter_context(self._files.opened(file, Path(f"{job.result}.file-{number}"), max_bytes))
                for number, file in job.files
            }
        limits = self._limits_of(plan)
        with timed.part(RENDER):
            if plan.max_side is not None:
                return _previewed(plan, source, files, result, limits, plan.max_side)
            return _Written(_written(job, source, files, result, limits))

    @contextmanager
    def _source(self, job: Job, max_bytes: int) -> Iterator[Path]:
        path = Path(f"{job.result}.source")
        if job.source is not None:
            with self._files.opened(job.source, path, max_bytes) as opened:
                yield opened
            return
        try:
            pixel_of(canonical(cast(ColorSource, job.plan.source).color)).pngsave(str(path))
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _limits_of(self, plan: RenderPlan) -> ImageLimits:
        bounds, limits = plan.bounds, self._limits
        return ImageLimits(
            max_pixels=min(limits.max_pixels, bounds.source_pixels or limits.max_pixels),
            max_frames=limits.max_frames,
            max_decoded_bytes=limits.max_decoded_bytes,
            max_frame_pixels=bounds.frame_pixels,
        )

    def _refused(self, job: Job, kind: str, detail: str) -> Refused:
        Path(job.result).unlink(missing_ok=True)
        return Refused(kind, detail, _resident_bytes())


_FILE_TOO_LARGE = sentence(
    "The image needs a larger file on the disk of the render service than limits.max_written_bytes allows."
)
_DISK_FULL = sentence("The disk of the render service is full; try again later.")


class _RefusedError(Exception):
    """A job that cannot be done.

    :ivar kind: the kind of the :class:`DomainError`.
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True)
class _Written:
    """A result on disk, as :class:`Made` describes it."""

    extension: str
    full_size: tuple[int, int] | None = None


def _previewed(
    plan: RenderPlan, source: Path, files: Mapping[int, Path], result: Path, limits: ImageLimits, max_side: int
) -> _Written:
    made = write_preview(source, files, result, plan.for_codec(plan.encoding.output.format), max_side, limits)
    return _Written(made.extension or EXTENSIONS[_format_of(source, limits, plan)], made.full_size)


def _written(job: Job, source: Path, files: Mapping[int, Path], result: Path, limits: ImageLimits) -> str:
    plan = job.plan
    if plan.answer in ("thumbor meta", "imagor meta"):
        with explained(source):
            write_meta(source, files, result, plan, limits)
        return ".json"
    if plan.answer == "reports":
        write_reports(source, result, plan.for_codec(), limits)
        return ".json"
    own = _format_of(source, limits, plan) if _depends_on_source(job) else ""
    # As in imgproxy: if the URL chooses a format, only a source in that format is sent unchanged.
    is_skipped = own in plan.formats_as_they_are and plan.encoding.output.format in ("source", own)
    if plan.answer == "original" or is_skipped:
        if own not in SENT_AS_THEY_ARE:
            raise _RefusedError(NOT_SENT_AS_IT_IS, sentence("Only JPEG, PNG, GIF, WebP and AVIF are sent as they are."))
        shutil.copyfile(source, result)
        return EXTENSIONS[own]
    chosen = _chosen_format(plan, job.format_name, own)
    avoided = BEST_FIRST if job.format_name == PLAIN else ()
    try:
        extension = process_image(source, files, result, plan.for_codec(chosen), limits, avoided)
    except ImageError as error:
        smallest = plan.encoding.without_limit()
        if error.cause is not Cause.OUTPUT_IMPOSSIBLE or smallest is None:
            raise
        extension = process_image(
            source, files, result, replace(plan, encoding=smallest).for_codec(chosen), limits, avoided
        )
    return extension or EXTENSIONS.get(chosen) or EXTENSIONS[own or _format_of(source, limits, plan)]


def _depends_on_source(job: Job) -> bool:
    plan = job.plan
    by_source = job.format_name == "source" and plan.encoding.output.format == "source"
    return plan.answer == "original" or bool(plan.formats_as_they_are) or (by_source and bool(plan.encoding.qualities))


def _chosen_format(plan: RenderPlan, format_name: str, own: str) -> str:
    """Return the format of the result; ``source`` or ``auto`` if the codec chooses it."""
    asked = plan.encoding.output.format
    if format_name not in ("source", PLAIN):
        return format_name
    if asked != "source":
        return asked
    # The codec converts a format that Pixmill cannot write, or should avoid, to PNG, JPEG or GIF.
    return own if own in EXTENSIONS and format_name != PLAIN else "source"


def _format_of(source: Path, limits: ImageLimits, plan: RenderPlan) -> str:
    with explained(source):
        try:
            loader = str(pyvips.Image.new_from_file(str(source)).get("vips-loader"))
        except pyvips.Error:
            loader = ""
        return READABLE.get(loader) or decode(source, limits, sequential=True, wanted=plan.reading).format


class _SourceFiles:
    """Opens files of the file server, from its folder if possible, or else by HTTP."""

    def __init__(self, settings: RenderSettings) -> None:
        chosen = settings.file_storage
        self._folder = BlobFolder(Path(chosen.blobs_folder)) if chosen.blobs_folder else None
        self._blobs = BlobClient(chosen.blobs_url, chosen.timeout_seconds) if chosen.blobs_url else None
        # Access was checked by the service, or by a signature.
        headers = {"Authorization": f"Bearer {chosen.inner_secret.get_secret_value()}", SEES_HEADER: "all"}
        self._storage = FileStorage(
            httpx2.Client(
                base_url=chosen.url.rstrip("/"),
                headers=headers,
                timeout=chosen.timeout_seconds,
                trust_env=False,
                follow_redirects=True,
            )
        )

    @contextmanager
    def opened(self, wanted: Bytes, path: Path, max_bytes: int) -> Iterator[Path]:
        """Provide a path from which to read the bytes; fetch them to ``path`` if they are not on this machine.

        :raises FileStorageUnavailableError: the file server does not answer.
        :raises SourceError: the file was deleted, or it is too large.
        """
        if isinstance(wanted, LocalFile):
            local = Path(wanted.path)
            try:
                size = local.stat().st_size
            except FileNotFoundError as error:
                # Somebody has emptied the folder of fetched files.
                raise _RefusedError(BUSY, sentence("The fetched picture has been deleted; try again.")) from error
            _check_size(size, max_bytes)
            yield local
            return
        stored = self._folder.open(wanted.sha256) if self._folder else None
        if stored is not None:
            with stored:
                _check_size(os.fstat(stored.fileno()).st_size, max_bytes)
                # Through this path the file can be opened even after its deletion.
                by_descriptor = Path(f"/proc/self/fd/{stored.fileno()}")
                yield by_descriptor if by_descriptor.exists() else Path(stored.name)
            return
        try:
            if not (self._blobs and self._blobs.fetch(wanted.sha256, path, max_bytes)):
                self._storage.fetch(wanted.file_id, path, max_bytes)
            yield path
        finally:
            path.unlink(missing_ok=True)


def _has_room(job: Job) -> bool:
    return shutil.disk_usage(Path(job.result).parent).free >= LEAST_FREE_BYTES


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        detail = counted(
            "A file has {size:,} byte; the limit is {max_bytes:,}.",
            "A file has {size:,} bytes; the limit is {max_bytes:,}.",
            "size",
            size=size,
            max_bytes=max_bytes,
        )
        raise SourceError(detail, Cause.FILE_TOO_LARGE)


def _resident_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_BYTES
    except OSError:  # not Linux
        return 0
