"""Finds, renders and caches the results of plans; concurrent requests for the same result share one render."""

import asyncio
import hashlib
import stat
import time
import weakref
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path

import structlog
from service_kit.access.principals import Principal
from service_kit.errors import DomainError
from service_kit.texts import reason_of, sentence

from image_processor.render.cache import WRITE_SECONDS, RenderCache, Stored
from image_processor.render.config import RenderSettings
from image_processor.render.failures import (
    BUSY,
    NOT_RENDERABLE,
    STORAGE_UNAVAILABLE,
    TOO_SLOW,
    busy,
    file_not_found,
    lost,
    not_renderable,
)
from image_processor.render.metrics import RenderMetrics
from image_processor.render.plans.negotiation import accepted, is_avif, most_pixels, negotiated
from image_processor.render.plans.plan import (
    ColorSource,
    DigestSource,
    FileSource,
    OriginSource,
    PlanSource,
    RenderPlan,
)
from image_processor.render.processes.job import Bytes, Job, JobOutcome, LocalFile, Made, Refused, StoredFile
from image_processor.render.processes.pool import Pool
from image_processor.render.processes.queue import Ticket
from image_processor.render.removals import Removals
from image_processor.render.sources.file_rows import FileRow, FileRows
from image_processor.render.sources.freshness import Freshness
from image_processor.render.sources.origins import Fetched, OriginFile, Origins

log = structlog.get_logger()

RETRY_SECONDS = 1
"""When to repeat a render that failed for a temporary reason."""
SWEPT_AT_ONCE = 500
"""How many files one step of a sweep looks up."""
SWEEP_PAUSE_SECONDS = 0.25
"""The pause after each step: 60,000 files take half a minute and hardly disturb the file server."""
REFUSED_SECONDS = 60
"""How long a render that exceeded the time limit is refused before it may be tried again."""


@dataclass(frozen=True)
class Found:
    """The key of a result, and everything that a render of it needs.

    :param key: the key in the cache, which is also the strong ETag.
    :param modified: when the newest of the files was stored, in seconds since 1970; ``None`` if that is not known.
    :param fresh_until: the monotonic time from which the files must be looked up again.
    :param owner: the owner of the client's key or, without one, of the file; ``None`` if there is neither.
    :param by_url: whether it is an image by URL, which needs no key.
    :param writes_avif: whether the result may be encoded as AVIF, which takes long.
    :param held: the fetched files, which are not deleted while something refers to them.
    :param freshness: how long the result may be used, by the origins of its files; ``None`` if it has no origin.
    :param removals: the number of removals before the files were looked up (:class:`Removals`).
    """

    key: str
    plan: RenderPlan
    source: Bytes | None
    files: tuple[tuple[int, Bytes], ...]
    format_name: str
    modified: int | None
    fresh_until: float
    owner: str | None = None
    by_url: bool = True
    writes_avif: bool = False
    held: tuple[OriginFile, ...] = field(default=(), repr=False)
    freshness: Freshness | None = None
    removals: int = 0

    @property
    def may_be_kept(self) -> bool:
        """Return whether the origins allow that this service and nginx keep the result."""
        return self.freshness is None or self.freshness.is_kept

    @property
    def stored_files(self) -> list[StoredFile]:
        """Return the stored files that the result is made from."""
        named = [self.source, *(file for _, file in self.files)]
        return [file for file in named if isinstance(file, StoredFile)]

    @property
    def file_ids(self) -> list[int]:
        """Return the ids of the stored files that the result is made from."""
        return [file.file_id for file in self.stored_files]

    def job(self, result: Path) -> Job:
        return Job(self.plan, self.source, self.files, self.format_name, str(result))


class UnkeptFile:
    """The file of a result that is not kept. It is deleted once nothing refers to this object."""

    def __init__(self, path: Path) -> None:
        weakref.finalize(self, path.unlink, missing_ok=True)


@dataclass(frozen=True)
class Result:
    """A result on disk.

    :param state: ``hit``, ``joined`` or ``miss``.
    :param seconds: how long each part of the work took, by name.
    :param held: its file, if it is not kept.
    """

    stored: Stored
    state: str
    seconds: tuple[tuple[str, float], ...] = ()
    held: UnkeptFile | None = field(default=None, repr=False)


@dataclass(frozen=True)
class UncachedResult:
    """A result on disk that its caller deletes.

    :param seconds: how long each part of the work took, by name.
    :param full_size: of a preview, width and height of the result before it was shrunk.
    """

    stored: Stored
    seconds: tuple[tuple[str, float], ...]
    full_size: tuple[int, int] | None


@dataclass(frozen=True)
class _FoundSource:
    bytes: Bytes | None
    sha256: str
    row: FileRow | None
    fresh_until: float
    fetched: Fetched | None = None

    @property
    def media_type(self) -> str:
        """The media type if it is known; of a fetched file, only whether it is AVIF."""
        if self.row is not None:
            return self.row.media_type
        return "image/avif" if self.fetched is not None and is_avif(self.fetched.file.head) else ""

    @property
    def owner(self) -> str | None:
        """The owner of a stored file."""
        return None if self.row is None else self.row.owner


@dataclass
class _Render:
    ticket: Ticket
    task: asyncio.Task[Result]
    waiters: int = 0


class RenderService:
    """Finds and renders results."""

    def __init__(
        self,
        settings: RenderSettings,
        engine: str,
        cache: RenderCache,
        pool: Pool,
        rows: FileRows,
        origins: Origins,
        metrics: RenderMetrics,
        removals: Removals,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._cache = cache
        self._pool = pool
        self._rows = rows
        self._origins = origins
        self._metrics = metrics
        self._removals = removals
        self._renders: dict[str, _Render] = {}
        self._refused: dict[str, float] = {}
        self._writes: asyncio.TimerHandle | None = None

    async def find(
        self,
        plan: RenderPlan,
        accept: str = "",
        principal: Principal | None = None,
        *,
        named_for_everybody: bool = False,
    ) -> Found:
        """Look up the files of a plan and compute the key of its result, without rendering.

        :param accept: the client's Accept header, for a plan whose format is negotiated.
        :param principal: the client, who must be allowed to see the files; ``None`` for a signed URL.
        :param named_for_everybody: whether everyone may use the files that the steps name.
        :raises DomainError: ``file-not-found``, ``file-storage-unavailable``, or an origin refuses.
        """
        removals = self._removals.count
        # Sequentially, because most plans have one file, and a remembered row is not worth a task.
        source = await self._source(plan.source, principal)
        namer = None if named_for_everybody else principal
        files = [await self._source(named, namer) for _, named in plan.files]
        numbers = [number for number, _ in plan.files]
        digests = {number: file.sha256 for number, file in zip(numbers, files, strict=True)}
        format_name = self._format(plan, source, accept)
        fetched = [file.fetched for file in (source, *files) if file.fetched is not None]
        times = [file.row.created for file in (source, *files) if file.row is not None]
        return Found(
            key=plan.key(source.sha256, digests, format_name, self._engine),
            plan=plan,
            source=source.bytes,
            files=tuple((number, file.bytes) for number, file in zip(numbers, files, strict=True) if file.bytes),
            format_name=format_name,
            modified=max(times) if len(times) == 1 + len(files) else None,
            fresh_until=min(file.fresh_until for file in (source, *files)),
            owner=source.owner if principal is None else principal.owner,
            by_url=principal is None,
            writes_avif=_writes_avif(plan, format_name, source.media_type),
            held=tuple(each.file for each in fetched),
            freshness=reduce(Freshness.joined, (each.freshness for each in fetched)) if fetched else None,
            removals=removals,
        )

    def asks_origins(self, plan: RenderPlan) -> bool:
        """Return whether :meth:`find` waits for another server."""
        sources = (plan.source, *(source for _, source in plan.files))
        return any(isinstance(source, OriginSource) and not self._origins.is_fresh(source.url) for source in sources)

    def cached(self, found: Found) -> Result | None:
        """Return the result if it is cached."""
        stored = self._cache.find(found.key)
        if stored is None or not stored.is_whole:
            return None
        self._metrics.hits.inc()
        return Result(stored, "hit")

    async def result(self, found: Found) -> Result:
        """Return the result; render it if it is not cached. If all callers are cancelled, a waiting render is too.

        :raises DomainError: the result cannot be rendered, or not at the moment.
        """
        if (cached := self.cached(found)) is not None:
            return cached
        if self._refused.get(found.key, 0) > time.monotonic():
            detail = sentence("This render was too slow a short time ago.")
            context = {"seconds": self._settings.limits.max_seconds}
            raise DomainError(TOO_SLOW, detail, retry_after=REFUSED_SECONDS, context=context)
        render = self._renders.get(found.key)
        joined = render is not None
        if render is None:
            render = self._started(found)
        else:
            self._metrics.joined.inc()
        render.waiters += 1
        try:
            result = await asyncio.shield(render.task)
        finally:
            render.waiters -= 1
            if render.waiters == 0 and render.ticket.waits:
                self._pool.withdraw(render.ticket)
                self._renders.pop(found.key, None)
                render.task.cancel()
        return replace(result, state="joined") if joined else result

    async def render_uncached(self, found: Found) -> UncachedResult:
        """Render without using the cache.

        If the caller is cancelled, the render is stopped, even if it has begun.
        """
        result = self._cache.temporary()
        ticket = self._ticket(found, result)
        begin = time.monotonic()
        try:
            made = _made(await self._pool.run(ticket))
        except BaseException:
            self._pool.abandon(ticket)
            _remove_files_of(ticket)
            raise
        stored = Stored(result, made.extension, _size_of(result))
        return UncachedResult(stored, (("total", time.monotonic() - begin), *made.seconds), made.full_size)

    async def forget_file(self, file_id: int, sha256: str | None) -> int:
        """Remove all results of a file and its remembered row; return how many results were removed.

        :param sha256: that of the file, whose results may have been rendered for another file with the same bytes;
            ``None`` if the file no longer exists.
        :raises DomainError: results cannot be removed.
        """
        self._removals.add(file_id, sha256)
        self._rows.forget(file_id)
        removed = self._cache.forget_files([file_id])
        if sha256 is not None:
            removed += self._cache.forget_bytes(sha256)
        if self._cache.has_results_of(file_id):
            raise busy(sentence("The disk of the render service cannot be written, so images remain; try again."))
        return removed

    async def sweep(self) -> int:
        """Remove the results of files that no longer exist, some files at a time; return how many."""
        after, removed = 0, 0
        while ids := self._cache.file_ids(after, SWEPT_AT_ONCE):
            gone = set(ids) - await self._rows.existing(ids)
            for file_id in gone:
                self._removals.add(file_id, None)
            removed += self._cache.forget_files(gone)
            after = ids[-1]
            await asyncio.sleep(SWEEP_PAUSE_SECONDS)
        return removed

    async def _source(self, source: PlanSource, principal: Principal | None) -> _FoundSource:
        match source:
            case FileSource(file_id):
                row = await self._rows.find(file_id, principal)
                if row is None:
                    if principal is None:
                        self._cache.forget_files([file_id])
                    raise file_not_found(file_id)
                return _FoundSource(StoredFile(row.sha256, row.id), row.sha256, row, row.until)
            case DigestSource(sha256):
                row = await self._rows.find(sha256, principal)
                if row is None:
                    raise file_not_found(sha256)
                return _FoundSource(StoredFile(row.sha256, row.id), row.sha256, row, row.until)
            case OriginSource(url):
                fetched = await self._origins.fetch(url)
                file, until = fetched.file, min(fetched.freshness.until, self._soon())
                return _FoundSource(LocalFile(str(file.path), file.sha256), file.sha256, None, until, fetched)
            case ColorSource(color):
                return _FoundSource(None, hashlib.sha256(color.encode()).hexdigest(), None, self._soon())

    def _soon(self) -> float:
        return time.monotonic() + self._settings.http.lookup_seconds

    def _format(self, plan: RenderPlan, source: _FoundSource, accept: str) -> str:
        if not plan.negotiated:
            return "source"
        pixels, row = None, source.row
        if row is not None and row.width and row.height:
            pixels = most_pixels(plan.steps, row.width, row.height)
        limit = self._settings.http.avif_pixels
        if plan.encoding.compared:
            return ",".join((*accepted(accept, source.media_type, pixels, limit), *plan.encoding.compared))
        return negotiated(accept, source.media_type, pixels, limit)

    def _ticket(self, found: Found, result: Path) -> Ticket:
        source = found.source or found.key
        return Ticket(found.job(result), found.owner, source, slow=found.writes_avif, by_url=found.by_url)

    def _started(self, found: Found) -> _Render:
        ticket = self._ticket(found, self._cache.temporary())
        task = asyncio.create_task(self._rendered(found, ticket))
        render = self._renders[found.key] = _Render(ticket, task)

        def ended(done: "asyncio.Task[Result]") -> None:
            if self._renders.get(found.key) is render:
                del self._renders[found.key]
            if not done.cancelled():
                # Mark the error as retrieved: the callers may have been cancelled.
                done.exception()

        task.add_done_callback(ended)
        return render

    async def _rendered(self, found: Found, ticket: Ticket) -> Result:
        begin = time.monotonic()
        result = Path(ticket.job.result)
        ticket.begun.add_done_callback(lambda _: self._metrics.queue_seconds.observe(time.monotonic() - begin))
        try:
            made = _made(await self._pool.run(ticket))
        except DomainError as error:
            _remove_files_of(ticket)
            if error.kind == TOO_SLOW:
                self._refuse(found.key)
            self._metrics.refused.labels(error.kind).inc()
            log.info("not rendered", key=found.key, reason=error.kind, detail=error.detail)
            raise
        stored, held = self._kept(found, result, made.extension)
        if self._cache.lacks and self._writes is None:
            self._writes = asyncio.get_running_loop().call_later(WRITE_SECONDS, self._write)
        seconds = time.monotonic() - begin
        self._metrics.renders.labels(made.extension.removeprefix(".")).inc()
        self._metrics.seconds.observe(sum(part for _, part in made.seconds))
        parts = {name: round(part, 4) for name, part in made.seconds}
        log.info(
            "rendered",
            key=found.key,
            files=found.file_ids,
            extension=made.extension,
            bytes=stored.size,
            seconds=round(seconds, 4),
            **parts,
        )
        queue = max(0.0, seconds - sum(part for _, part in made.seconds))
        return Result(stored, "miss", (("queue", queue), *made.seconds), held)

    def _kept(self, found: Found, result: Path, extension: str) -> tuple[Stored, UnkeptFile | None]:
        """Keep a result in the cache, unless its origin forbids it or its file was forgotten during the render."""
        size = _size_of(result)
        if found.may_be_kept and not self._removals.concern(found.stored_files, found.removals):
            files = [(file.file_id, file.sha256) for file in found.stored_files]
            try:
                return self._cache.keep(found.key, result, extension, files), None
            except OSError as error:
                # The client gets its image even if the cache has no room for it.
                log.warning("result not kept", key=found.key, error=str(error))
        return Stored(result, extension, size), UnkeptFile(result)

    def _write(self) -> None:
        self._writes = None
        self._cache.write()

    def _refuse(self, key: str) -> None:
        now = time.monotonic()
        self._refused = {other: until for other, until in self._refused.items() if until > now}
        self._refused[key] = now + REFUSED_SECONDS


def _size_of(result: Path) -> int:
    """Return the size of a result.

    :raises DomainError: ``render-lost``: a process that a picture has taken over made no file, or something else.
    """
    with suppress(FileNotFoundError):
        found = result.lstat()
        if stat.S_ISREG(found.st_mode):
            return found.st_size
    raise lost()


def _remove_files_of(ticket: Ticket) -> None:
    """Remove the files of a render that gave no result: a process that is killed cannot remove its own."""
    result = Path(ticket.job.result)

    def remove() -> None:
        for stray in result.parent.glob(f"{result.name}*"):
            stray.unlink(missing_ok=True)

    if not ticket.waits and not ticket.done.done():
        # The process may still write, until it has ended.
        ticket.done.add_done_callback(lambda _: remove())
    remove()


def _writes_avif(plan: RenderPlan, format_name: str, media_type: str) -> bool:
    if plan.answer != "image":
        return False
    asked = plan.encoding.output.format
    if asked != "source":
        # `auto` compares AVIF with WebP.
        return asked in ("avif", "auto")
    return "avif" in format_name.split(",") or (format_name == "source" and media_type == "image/avif")


def _made(answer: JobOutcome) -> Made:
    if isinstance(answer, Refused):
        if answer.kind == NOT_RENDERABLE:
            raise not_renderable(answer.detail)
        again = RETRY_SECONDS if answer.kind in (BUSY, STORAGE_UNAVAILABLE) else None
        raise DomainError(answer.kind, answer.detail, retry_after=again, context=reason_of(answer.detail))
    return answer
