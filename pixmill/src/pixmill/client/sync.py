"""The synchronous client."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from pixmill.client import settings
from pixmill.client.access import AccessOperations, audit_call
from pixmill.client.answers import (
    Algorithm,
    AuditEntry,
    Batch,
    BatchEvent,
    Deletion,
    File,
    FileEvent,
    Forgotten,
    ImageUrls,
    Index,
    Key,
    Link,
    Metadata,
    Owner,
    Preset,
    Readiness,
    Session,
    Stats,
    Task,
    TaskEvent,
    TaskStats,
    id_of,
)
from pixmill.client.downloads import DownloadOperations, Writable
from pixmill.client.drivers import SyncDriver
from pixmill.client.exchange import Call, Exchange, Reply, Retries
from pixmill.client.feed import BatchFeed, Feed, FileFeed
from pixmill.client.files import FileFilter, FileOperations, links_call, trash_call
from pixmill.client.images import PREVIEW_SIDE, THUMBNAIL, ImageOperations, Rendition, preview_of
from pixmill.client.paging import PAGE
from pixmill.client.saving import Saving, destination, in_folder, result_names, without_result
from pixmill.client.targets import ARCHIVE_NAME, whole_file
from pixmill.client.tasks import RunFailedError, TaskFilter, TaskOperations, batches_call, tasks_call
from pixmill.client.uploads import New, OnProgress, UploadOperations, UploadOutcome
from pixmill.steps import Chain, pipeline_of, request_of

if TYPE_CHECKING:
    # Import it for type checks only: its hundred dataclasses make the import of this library a tenth slower.
    from pixmill.params import Output, Source


class Pixmill:
    """A client for a Pixmill server. Close it, or use it in a ``with`` block. Threads may share it.

    >>> with Pixmill("http://127.0.0.1:8080") as px:
    ...     photo = px.files.upload("photo.jpg")
    ...     px.run([photo], Resize(width=800) | Watermark(text="© me")).save("out")

    :param url: the server's URL; by default ``PIXMILL_URL``, or ``http://127.0.0.1:8080`` if that is not set.
    :param key: the API key; by default ``PIXMILL_KEY``, if set.
    :param retries: when failed requests are retried.
    :param timeout_seconds: for each step of a request: connecting, sending a chunk, receiving a chunk.
    :param verify: the trusted certificates; by default the system's.
    :param language: the language of problems and descriptions from the server: ``en`` (the default) or ``ru``.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        retries: Retries | None = None,
        timeout_seconds: float = 60,
        verify: SSLContext | bool = True,
        language: str | None = None,
    ) -> None:
        connection = settings.connection(url, key, timeout_seconds, verify, language)
        self.url: str = connection.url
        self._driver = SyncDriver(connection)
        self._exchange = Exchange(retries or Retries())
        self._operations = TaskOperations(self._exchange)
        self._access = AccessOperations(self._exchange)
        self.files: Files = Files(self._driver, self._exchange, self.url)
        self.tasks: Tasks = Tasks(self._driver, self._exchange)
        self.batches: Batches = Batches(self, self._driver, self._exchange)
        self.presets: Presets = Presets(self._driver, self._operations)
        self.images: Images = Images(self._driver, self._exchange)
        self.links: Links = Links(self._driver, self._exchange)
        self.keys: Keys = Keys(self._driver, self._access)
        self.owners: Owners = Owners(self._driver, self._access)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()

    def run(
        self,
        files: Iterable[File | int],
        what: Chain | str | None = None,
        *,
        preset: str | None = None,
        params: Mapping[str, object] | None = None,
        output: "Output | None" = None,
        source: "Source | None" = None,
        priority: int = 0,
        cache: bool = True,
        callback_url: str | None = None,
        expires: timedelta | None = None,
        idempotency_key: str | None = None,
    ) -> "Run":
        """Process each of at most 10,000 files the same way; return at once, while the tasks run.

        :param what: steps from :mod:`pixmill.params`, or the name of an algorithm, with ``params``.
        :param preset: the name of a preset on the server, instead of ``what``.
        :param priority: 0 to 9; tasks with a higher priority run first.
        :param cache: whether the server may reuse the result of an earlier identical task.
        :param callback_url: receives a webhook when a task ends.
        :param expires: how long results are kept; by default forever.
        :param idempotency_key: repeating the call with this key within a day returns the same run; by default a new
        key.
        :raises ProblemError: the server refuses the request; no task is created.
        """
        ids = [id_of(item) for item in files]
        body = request_of(what, preset=preset, params=params, ends={"output": output, "source": source})
        body |= settings.batch_fields(ids, priority, cache=cache, callback_url=callback_url, expires=expires)
        created = self._driver.run(self._operations.create(body, idempotency_key or str(uuid4())))
        return Run(self, self._driver, self._exchange, created.task_ids, created.batch_id)

    def resume(self, task_ids: Sequence[int]) -> "Run":
        """Return a run for existing tasks, such as those of another program."""
        return Run(self, self._driver, self._exchange, task_ids)

    def events(
        self, last_event_id: str | None = None, *, on_open: Callable[[], None] | None = None
    ) -> Iterator[TaskEvent]:
        """Yield the changes of all tasks forever, from now on or after an event.

        :param on_open: called whenever the stream has been opened, also again after an interruption, before its next
        event: no change is missing both in what it queries and in the events.
        """
        return self._driver.follow(Feed(self._exchange, None, last_event_id), on_open)

    def algorithms(self) -> list[Algorithm]:
        """Return the server's algorithms, with the JSON Schema of their params."""
        return self._driver.run(self._operations.algorithms())

    def metadata(self, file: File | int, parts: Sequence[str] = ()) -> Metadata:
        """Return the metadata of an image, without creating a task.

        :param parts: any of ``info``, ``exif``, ``histogram``, ``colors`` and ``blurhash``; by default all.
        """
        return self._driver.run(self._operations.metadata(id_of(file), parts))

    def stats(self) -> Stats:
        """Return statistics of files and tasks."""
        files = self._driver.run(FileOperations(self._exchange).stats())
        return Stats(files, self.tasks.stats())

    def readiness(self) -> dict[str, Readiness]:
        """Return whether each service and its dependencies answer."""
        return self._driver.run(self._access.readiness())

    def session(self) -> Session:
        """Return the identity of this client on the server."""
        return self._driver.run(self._access.session())

    def webhook_secret(self) -> str:
        """Return the secret with which :func:`pixmill.verify_webhook` checks the webhooks of this client's key.

        While the operator rotates the server's secret, it has several parts, separated by commas.

        :raises NotFoundError: this client has no key; the operator's secret signs its webhooks.
        """
        return self._driver.run(self._access.webhook_secret())

    def audit(
        self, *, owner: str | None = None, key_id: str | None = None, since: datetime | None = None
    ) -> Iterator[AuditEntry]:
        """Yield the entries of the audit trail, oldest first."""
        for page in self._driver.pages(audit_call(owner, key_id, since), self._access.audit_page):
            yield from page

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Send an arbitrary request; GET and HEAD are retried after transient failures.

        :param path: such as ``/api/file-server/``.
        :raises ProblemError: the server refuses the request.
        """
        repeatable = method in ("GET", "HEAD")
        return self._driver.run(
            self._exchange.send(Call(method, path, query, dict(headers or {}), body, repeatable=repeatable))
        )


class Files:
    """The stored files."""

    def __init__(self, driver: SyncDriver, exchange: Exchange, url: str) -> None:
        self._driver = driver
        self._exchange = exchange
        self._operations = FileOperations(exchange)
        self._uploads = UploadOperations(exchange, url)
        self._downloads = DownloadOperations(exchange)

    def upload(
        self,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        comment: str = "",
        folder: str | None = None,
        expires: timedelta | None = None,
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> File:
        """Upload a file. Small files take one request; large ones are resumable, also after a crash.

        :param name: the name with its extension; by default taken from the path.
        :param folder: such as ``holiday/2026``; by default the folder in ``name``, if any.
        :param expires: how long the file is kept; by default forever.
        :param idempotency_key: repeating the upload with this key within a day returns the first file, also for large
            files and from another machine.
        :raises ValueError: ``source`` is bytes and ``name`` is missing.
        :raises ProblemError: the server refuses the request.
        :raises DamagedTransferError: the bytes on the server differ from the local ones.
        :raises UnsendableTextError: the name, the folder or the comment is not valid Unicode.
        """
        new = settings.new_file(source, name, comment, idempotency_key, folder, expires)
        return self._driver.run(self._uploads.upload(new, on_progress))

    def upload_many(
        self,
        paths: Iterable[str | Path],
        *,
        parallel: int = 4,
        comment: str = "",
        folder: str | None = None,
        root: str | Path | None = None,
        expires: timedelta | None = None,
        skip_existing: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Iterator[UploadOutcome]:
        """Upload files, small ones in batches; yield the outcome of each, large files before small ones.

        :param root: keep the folder structure below this folder.
        :param skip_existing: skip files that the server already has with the same folder, name and bytes.
        """
        above = None if root is None else Path(root)
        news = (settings.new_below(above, Path(path), comment, folder, expires) for path in paths)
        operations = self._uploads.many(news, skip_existing=skip_existing, on_progress=on_progress)
        for group in self._driver.each(operations, parallel):
            yield from group

    def find_same(self, path: str | Path, *, name: str | None = None, folder: str | None = "") -> File | None:
        """Return the stored file that has the name, or another ``name``, and bytes of a local file, in a folder.

        :param folder: ``None`` for the folder in ``name``, if any, as for an upload.
        """
        return self._driver.run(self._uploads.same(New(Path(path), name or Path(path).name, folder=folder)))

    def with_digests(self, sha256: Sequence[str]) -> Sequence[File]:
        """Return, for each of at most 10,000 SHA-256 digests, the first file with these bytes, if any."""
        return self._driver.run(self._operations.with_digests(sha256))

    def index(self, filter: FileFilter | None = None) -> Index:  # noqa: A002 (what it is)
        """Return the ids of all files that match, in one response."""
        return self._driver.run(self._operations.index(filter or FileFilter()))

    def events(self, file_ids: Sequence[int] = (), last_event_id: str | None = None) -> Iterator[FileEvent]:
        """Yield the changes of files forever, from now on or after an event.

        :param file_ids: at most 1,000; by default all files.
        """
        return self._driver.follow(FileFeed(self._exchange, file_ids, last_event_id))

    def get(self, file_id: int) -> File:
        """:raises NotFoundError: the file does not exist."""
        return self._driver.run(self._operations.get(file_id))

    def list(self, filter: FileFilter | None = None) -> Iterator[File]:  # noqa: A002 (what it is)
        """Yield the files that match, fetched page by page."""
        for page in self.pages(filter):
            yield from page

    def pages(self, filter: FileFilter | None = None, size: int = PAGE) -> Iterator[Sequence[File]]:  # noqa: A002 (what it is)
        """Yield the pages of a list."""
        yield from self._driver.pages((filter or FileFilter()).call(size), self._operations.page)

    def existing(self, file_ids: Sequence[int]) -> Sequence[File]:
        """Return the existing files among at most 10,000 ids."""
        return self._driver.run(self._operations.existing(file_ids))

    def update(
        self, file_id: int, *, name: str | None = None, comment: str | None = None, folder: str | None = None
    ) -> File:
        """Change the name, the comment or the folder; ``""`` removes the file from its folder."""
        given = {"name": name, "comment": comment, "folder": folder}
        changes = {field: value for field, value in given.items() if value is not None}
        return self._driver.run(self._operations.update(file_id, changes))

    def delete(self, *file_ids: int) -> Deletion:
        """Move files to the trash; return the ids of those that existed, and how long they can be restored."""
        return self._driver.run(self._operations.delete(file_ids))

    def delete_matching(self, filter: FileFilter) -> Deletion:  # noqa: A002 (what it is)
        """Move all files that match to the trash.

        :raises ValueError: the filter has no condition.
        """
        return self._driver.run(self._operations.delete_matching(filter))

    def trash(self) -> Iterator[File]:
        """Yield the deleted files that can be restored, last deleted first."""
        for page in self._driver.pages(trash_call(), self._operations.page):
            yield from page

    def restore(self, *file_ids: int) -> Sequence[int]:
        """Restore files from the trash; return the ids of the restored files."""
        return self._driver.run(self._operations.restore(file_ids))

    def empty_trash(self, *file_ids: int, everything: bool = False) -> int:
        """Delete these files, or everything, from the trash permanently; return their number.

        :raises ValueError: neither ids nor ``everything`` is given, or both.
        """
        return self._driver.run(self._operations.empty_trash(file_ids, everything=everything))

    def copy(
        self, file_id: int, *, name: str | None = None, folder: str | None = None, expires: timedelta | None = None
    ) -> File:
        """Copy a file, by default within its folder."""
        given = {"name": name, "folder": folder, "expires_in": settings.seconds(expires)}
        fields = {field: value for field, value in given.items() if value is not None}
        return self._driver.run(self._operations.copy(file_id, fields, str(uuid4())))

    def link(self, file_id: int, *, expires: timedelta = timedelta(days=1), note: str = "") -> Link:
        """Create a signed URL that downloads the file without a key, for at most a week."""
        return self._driver.run(self._operations.link(file_id, expires.total_seconds(), note))

    def download(
        self,
        file: File | int,
        to: str | Path,
        *,
        name: str | None = None,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """Write a file's bytes to a path, or into a folder under the file's own name; return the path.

        The path appears only once the bytes are complete and verified. An interrupted download is resumed. A path that
        already has the same bytes is left as it is.

        :param name: another name in the folder ``to``.
        :param overwrite: replace another file at the path. Otherwise, the name in a folder gets a number.
        :raises FileExistsError: another file is at the path, and ``overwrite`` is not set.
        :raises InUseError: another program is downloading this file to this path.
        :raises NotFoundError: the file does not exist.
        :raises DamagedTransferError: the received bytes do not match the file's digest.
        """
        found = self._found(file)
        if name is None:
            wanted = destination(Path(to), found.filename, overwrite=overwrite)
        else:
            wanted = in_folder(Path(to), settings.safe_name(name), overwrite=overwrite)
        return self._driver.run(self._downloads.to_path(found, wanted, on_progress))

    def download_to(self, file: File | int, stream: Writable, *, on_progress: OnProgress | None = None) -> None:
        """Write a file's bytes to a stream.

        :raises DamagedTransferError: the bytes, which are already written, do not match the file's digest.
        """
        self._driver.run(self._downloads.to_stream(self._found(file), stream, on_progress))

    def read(self, file: File | int) -> bytes:
        """Return a file's bytes."""
        content = bytearray()
        self.download_to(file, settings.appending(content))
        return bytes(content)

    def zip(
        self,
        files: Sequence[int] | FileFilter,
        to: str | Path,
        *,
        overwrite: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Path:
        """Write files into one ZIP archive at a path, or into a folder as ``files.zip``; return the path.

        :param files: at most 10,000 ids; or a filter with a condition, such as ``FileFilter(batch_id=7)`` for the
        results of a run, which may match as many files as the server's ``archive.max_files``.
        :param overwrite: replace a file at the path. Otherwise, the name in a folder gets a number.
        :raises FileExistsError: a file is at the path, and ``overwrite`` is not set.
        :raises NotFoundError: an id does not exist, or no file matches.
        """
        with whole_file(destination(Path(to), ARCHIVE_NAME, overwrite=overwrite)) as file:
            self._driver.run(
                self._downloads.archive(files, file.stream, lambda: settings.emptied(file.stream), on_progress)
            )
        return file.path

    def _found(self, file: File | int) -> File:
        return file if isinstance(file, File) else self.get(file)


class Tasks:
    """The tasks."""

    def __init__(self, driver: SyncDriver, exchange: Exchange) -> None:
        self._driver = driver
        self._operations = TaskOperations(exchange)

    def get(self, task_id: int) -> Task:
        """:raises NotFoundError: the task does not exist."""
        return self._driver.run(self._operations.get(task_id))

    def list(
        self,
        *,
        status: str | Sequence[str] | None = None,
        algorithm: str | None = None,
        source_id: int | None = None,
        ids: Sequence[int] = (),
        batch_id: int | None = None,
        cause: str | None = None,
        sort: str = "id",
    ) -> Iterator[Task]:
        """Yield the tasks that match, fetched page by page.

        :param cause: the ``key`` of one of the causes in a batch's ``errors``.
        :param sort: ``-id`` for the newest first.
        """
        wanted = TaskFilter(batch_id=batch_id, status=status, algorithm=algorithm)
        for page in self._driver.pages(tasks_call(wanted, source_id, ids, cause, sort), self._operations.page):
            yield from page

    def cancel(self, task_id: int) -> Task:
        """:raises ConflictError: the task has ended."""
        return self._driver.run(self._operations.cancel(task_id))

    def restart(self, task_id: int) -> Task:
        """:raises ConflictError: the task neither failed nor was cancelled."""
        return self._driver.run(self._operations.restart(task_id))

    def stats(self) -> TaskStats:
        """Return statistics of the tasks."""
        return self._driver.run(self._operations.stats())

    def restart_all(self, status: str = "error", *, algorithm: str | None = None) -> Sequence[int]:
        """Restart all failed tasks, or all cancelled ones; return their ids."""
        return self.restart_matching(TaskFilter(status=status, algorithm=algorithm))

    def cancel_matching(self, filter: TaskFilter) -> Sequence[int]:  # noqa: A002 (what it is)
        """Cancel the tasks that match and have not ended; return their ids."""
        return self._driver.run(self._operations.change_matching("cancel", filter))

    def restart_matching(self, filter: TaskFilter) -> Sequence[int]:  # noqa: A002 (what it is)
        """Restart the tasks that match and failed or were cancelled; return their ids."""
        return self._driver.run(self._operations.change_matching("restart", filter))

    def forget_matching(self, filter: TaskFilter) -> Sequence[int]:  # noqa: A002 (what it is)
        """Delete the tasks that match and have ended; return their ids."""
        return self._driver.run(self._operations.change_matching("forget", filter))

    def cancel_many(self, task_ids: Sequence[int]) -> Sequence[int]:
        """Cancel the tasks that have not ended; return their ids.

        :raises NotFoundError: a task does not exist; none is cancelled.
        """
        return self._driver.run(self._operations.change_ids("cancel", task_ids))

    def restart_many(self, task_ids: Sequence[int]) -> Sequence[int]:
        """Restart the tasks that failed or were cancelled; return their ids.

        :raises NotFoundError: a task does not exist; none is restarted.
        """
        return self._driver.run(self._operations.change_ids("restart", task_ids))

    def forget_many(self, task_ids: Sequence[int]) -> Sequence[int]:
        """Delete the tasks that have ended; return their ids.

        :raises NotFoundError: a task does not exist; none is deleted.
        """
        return self._driver.run(self._operations.change_ids("forget", task_ids))

    def delete(self, task_id: int) -> None:
        """:raises ConflictError: the task has not ended."""
        self._driver.run(self._operations.delete(task_id))


class Batches:
    """The batches: tasks that were created together."""

    def __init__(self, pixmill: Pixmill, driver: SyncDriver, exchange: Exchange) -> None:
        self._pixmill = pixmill
        self._driver = driver
        self._exchange = exchange
        self._operations = TaskOperations(exchange)

    def list(self, *, sort: str = "-id") -> Iterator[Batch]:
        """Yield the batches, newest first, fetched page by page."""
        for page in self._driver.pages(batches_call(sort), self._operations.batches_page):
            yield from page

    def events(self, batch_id: int | None = None, last_event_id: str | None = None) -> Iterator[BatchEvent]:
        """Yield an event forever whenever a batch ends, from now on or after an event.

        :param batch_id: by default all batches.
        """
        return self._driver.follow(BatchFeed(self._exchange, batch_id, last_event_id))

    def get(self, batch_id: int) -> Batch:
        """Return a batch with its progress and errors.

        :raises NotFoundError: the batch does not exist.
        """
        return self._driver.run(self._operations.batch(batch_id))

    def run(self, batch_id: int) -> "Run":
        """Return the run of a batch, such as one that another program created.

        :raises NotFoundError: the batch does not exist.
        """
        self._driver.run(self._operations.batch(batch_id))
        tasks = self._driver.run(self._operations.of_batch(batch_id))
        return Run(self._pixmill, self._driver, self._exchange, [task.id for task in tasks], batch_id)

    def cancel(self, batch_id: int) -> Sequence[int]:
        """Cancel the tasks of a batch that have not ended; return their ids."""
        return self._driver.run(self._operations.change_matching("cancel", TaskFilter(batch_id=batch_id)))

    def restart(self, batch_id: int) -> Sequence[int]:
        """Restart the tasks of a batch that failed or were cancelled; return their ids."""
        return self._driver.run(self._operations.change_matching("restart", TaskFilter(batch_id=batch_id)))

    def forget(self, batch_id: int) -> Forgotten:
        """Delete the tasks of a batch that have ended; keep their files."""
        return self._driver.run(self._operations.forget_batch(batch_id))


class Presets:
    """The presets: named pipelines."""

    def __init__(self, driver: SyncDriver, operations: TaskOperations) -> None:
        self._driver = driver
        self._operations = operations

    def list(self) -> Sequence[Preset]:
        """Return the presets that this client can use."""
        return self._driver.run(self._operations.presets())

    def save(
        self,
        name: str,
        what: Chain | Mapping[str, object],
        *,
        output: "Output | None" = None,
        source: "Source | None" = None,
    ) -> Preset:
        """Create a preset, or replace it.

        :param what: steps from :mod:`pixmill.params`, or the params of the algorithm ``pipeline``.
        :raises ConflictError: the preset is defined in the server's ``conf.yml``.
        """
        return self._driver.run(self._operations.save_preset(name, pipeline_of(what, output, source)))

    def delete(self, name: str) -> None:
        """:raises NotFoundError: the preset does not exist."""
        self._driver.run(self._operations.delete_preset(name))


class Images:
    """Images rendered without a task: by URL, as thumbnails and as previews."""

    def __init__(self, driver: SyncDriver, exchange: Exchange) -> None:
        self._driver = driver
        self._operations = ImageOperations(exchange)

    def urls(self, file: File | int, rendition: Rendition | None = None) -> ImageUrls:
        """Return URLs, signed by the server, that show an image without a key.

        :class:`pixmill.ImageSigner` signs the same URLs without a request to the server.

        :raises NotFoundError: the file or preset does not exist.
        """
        return self._driver.run(self._operations.urls(id_of(file), rendition or Rendition()))

    def thumbnail(self, file: File | int, size: int = THUMBNAIL) -> bytes:
        """Return a WebP that fits into a square.

        :param size: the side of the square: 128, 256, 512 or 1024 pixels.
        :raises InvalidError: the file is not an image, or is damaged.
        """
        return self._driver.run(self._operations.thumbnail(id_of(file), size))

    def preview(
        self,
        file: File | int,
        what: Chain | str,
        *,
        output: "Output | None" = None,
        source: "Source | None" = None,
        max_side: int = PREVIEW_SIDE,
    ) -> bytes:
        """Return the result of applying steps to a reduced copy of a file; nothing is stored.

        :param what: steps from :mod:`pixmill.params`, or the name of a preset.
        :param max_side: the copy's longer side, 16 to 4,096 pixels.
        :raises InvalidError: the file is not an image, or the steps cannot be applied to it.
        """
        return self._driver.run(self._operations.preview(preview_of(id_of(file), what, output, source, max_side)))

    def forget(self, file: File | int) -> None:
        """Delete all cached renders of a file; the next request renders it again."""
        self._driver.run(self._operations.forget(id_of(file)))


class Links:
    """Links for downloading files without a key."""

    def __init__(self, driver: SyncDriver, exchange: Exchange) -> None:
        self._driver = driver
        self._operations = FileOperations(exchange)

    def create(
        self,
        files: Iterable[File | int],
        *,
        expires: timedelta = timedelta(days=7),
        note: str = "",
        password: str | None = None,
    ) -> Link:
        """Create a link for a set of at most 1,000 files; ``url`` is set only in the returned object.

        :param expires: at most 90 days.
        :param note: shown to everyone who opens the link.
        """
        ids = [id_of(item) for item in files]
        return self._driver.run(self._operations.link_set(ids, expires.total_seconds(), note, password))

    def list(self) -> Iterator[Link]:
        """Yield the valid links."""
        for page in self._driver.pages(links_call(), self._operations.links_page):
            yield from page

    def update(self, link_id: int, *, note: str | None = None, expires: timedelta | None = None) -> Link:
        """Change the note, or, for the link of a set, also its expiry, counted from now."""
        return self._driver.run(self._operations.update_link(link_id, note, settings.seconds(expires)))

    def revoke(self, link_id: int) -> None:
        """Revoke a link.

        :raises NotFoundError: the link does not exist.
        """
        self._driver.run(self._operations.revoke_link(link_id))


class Run:
    """Tasks that were created together.

    :ivar task_ids: in the order of the files.
    :ivar batch_id: the id of their batch; ``None`` for tasks given to :meth:`Pixmill.resume`.
    """

    def __init__(
        self,
        pixmill: Pixmill,
        driver: SyncDriver,
        exchange: Exchange,
        task_ids: Sequence[int],
        batch_id: int | None = None,
    ) -> None:
        self._pixmill = pixmill
        self._driver = driver
        self._exchange = exchange
        self._operations = TaskOperations(exchange)
        self.task_ids = tuple(task_ids)
        self.batch_id = batch_id

    def tasks(self) -> Sequence[Task]:
        """Return the tasks in their current state."""
        if self.batch_id is not None:
            return self._driver.run(self._operations.of_batch(self.batch_id))
        return self._driver.run(self._operations.states(self.task_ids))

    def progress(self) -> Batch:
        """Return the progress of the batch: counts, rate, remaining time and errors.

        :raises ValueError: these tasks are not a batch.
        """
        if self.batch_id is None:
            raise ValueError("these tasks are not a batch")
        return self._driver.run(self._operations.batch(self.batch_id))

    def ended(self, timeout: float | None = None) -> Sequence[Task]:
        """Wait until all tasks have ended, and return them in the order of the files.

        :param timeout: seconds.
        :raises TimeoutError: some tasks have not ended in time; they keep running.
        """
        if self.batch_id is not None:
            return self._driver.run(self._operations.wait_for_batch(self.batch_id, self.task_ids, timeout))
        return self._driver.run(self._operations.wait(self.task_ids, timeout))

    def wait(self, timeout: float | None = None) -> Sequence[File]:
        """Wait until all tasks have ended, and return their results.

        :param timeout: seconds.
        :raises TimeoutError: some tasks have not ended in time; they keep running.
        :raises RunFailedError: some tasks have no result, or somebody has deleted it.
        """
        tasks = self.ended(timeout)
        results = self.results(tasks)
        failed = without_result(tasks, results)
        if failed:
            raise RunFailedError(failed)
        return results

    def results(self, tasks: Sequence[Task] | None = None) -> Sequence[File]:
        """Return the results that exist so far.

        :param tasks: the tasks of the run, if already fetched.
        """
        known = self.tasks() if tasks is None else tasks
        ids = [task.result_id for task in known if task.result_id is not None]
        files = {file.id: file for file in self._pixmill.files.existing(ids)} if ids else {}
        return [files[item] for item in ids if item in files]

    def events(self, *, on_open: Callable[[], None] | None = None) -> Iterator[TaskEvent]:
        """Yield the changes of the tasks until all have ended.

        :param on_open: as in :meth:`Pixmill.events`.
        """
        return self._driver.follow(Feed(self._exchange, self.task_ids, batch_id=self.batch_id), on_open)

    def cancel(self) -> Sequence[Task]:
        """Cancel the tasks that have not ended; return the cancelled tasks."""
        return self._driver.run(self._operations.states(self._changed("cancel")))

    def restart_failed(self) -> Sequence[Task]:
        """Restart the tasks that ended without a result; return the restarted tasks."""
        return self._driver.run(self._operations.states(self._changed("restart")))

    def forget(self) -> Sequence[int]:
        """Delete the tasks that have ended, and return their ids; keep the files."""
        return self._changed("forget")

    def _changed(self, verb: str) -> Sequence[int]:
        if self.batch_id is None:
            return self._driver.run(self._operations.change_ids(verb, self.task_ids))
        return self._driver.run(self._operations.change_matching(verb, TaskFilter(batch_id=self.batch_id)))

    def save(
        self,
        folder: str | Path,
        *,
        name: str = "{name}{extension}",
        timeout: float | None = None,
        overwrite: bool = False,
    ) -> Sequence[Path]:
        """Wait for the results and write them into a folder; return the paths in the order of the files.

        A file that already has the same name and bytes is left as it is.

        :param name: a template with ``{name}``, ``{extension}``, ``{id}`` and ``{task_id}``; equal names get a number,
        also if another file in the folder has the name.
        :param overwrite: replace files in the folder.
        :raises TimeoutError: some tasks have not ended in time; they keep running.
        :raises RunFailedError: some have no result, or somebody has deleted it; the others are written.
        """
        tasks = self.ended(timeout)
        results = self.results(tasks)
        saving = Saving(Path(folder), result_names(name, tasks, results), overwrite)
        downloads = DownloadOperations(self._exchange)
        paths = [self._driver.run(downloads.to_path(file, wanted)) for file, wanted in saving.destinations()]
        failed = without_result(tasks, results)
        if failed:
            raise RunFailedError(failed, paths)
        return paths


class Keys:
    """The API keys; for administrators only."""

    def __init__(self, driver: SyncDriver, operations: AccessOperations) -> None:
        self._driver = driver
        self._operations = operations

    def list(self) -> Sequence[Key]:
        """Return all keys, without their secrets."""
        return self._driver.run(self._operations.keys())

    def create(
        self,
        owner: str,
        *,
        role: str | None = None,
        scopes: Sequence[str] = (),
        note: str = "",
        expires: timedelta | None = None,
    ) -> Key:
        """Create a key; ``secret`` is set only in the returned object.

        :param role: ``reader``, ``writer`` or ``admin``.
        :param scopes: scopes in addition to those of the role.
        """
        seconds = None if expires is None else expires.total_seconds()
        return self._driver.run(self._operations.create_key(owner, role, scopes, note, seconds))

    def rotate(self, key_id: str, *, overlap: timedelta = timedelta(days=1)) -> Key:
        """Create a key like an existing one, with as long a life; the existing one expires after the overlap."""
        return self._driver.run(self._operations.rotate_key(key_id, overlap.total_seconds()))

    def revoke(self, key_id: str) -> Key:
        """Revoke a key."""
        return self._driver.run(self._operations.revoke_key(key_id))


class Owners:
    """The owners of files and tasks; for administrators only."""

    def __init__(self, driver: SyncDriver, operations: AccessOperations) -> None:
        self._driver = driver
        self._operations = operations

    def list(self) -> Sequence[Owner]:
        """Return all owners."""
        return self._driver.run(self._operations.owners())

    def limit(self, name: str, limits: Mapping[str, int | None]) -> Owner:
        """Set all limits of an owner: ``bytes``, ``files``, ``pending_tasks``, ``requests_per_second``, ``listeners``.

        A limit that is missing or ``None`` is removed.
        """
        return self._driver.run(self._operations.limit_owner(name, limits))
