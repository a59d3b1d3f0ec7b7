"""The client for programs with ``async``: the same names as :mod:`pixmill.client.sync`."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from ssl import SSLContext
from typing import Self
from uuid import uuid4

from pixmill.client import settings
from pixmill.client.access import AccessOperations, audit_call
from pixmill.client.answers import (
    Algorithm,
    AuditEntry,
    File,
    Key,
    Link,
    Owner,
    Preset,
    Readiness,
    Session,
    Task,
    TaskEvent,
)
from pixmill.client.downloads import DownloadOperations, Writable
from pixmill.client.drivers import AsyncDriver
from pixmill.client.exchange import Call, Exchange, Reply, Retries
from pixmill.client.feed import Feed
from pixmill.client.files import PAGE, FileFilter, FileOperations
from pixmill.client.problems import RunFailedError
from pixmill.client.saving import Saving, result_names
from pixmill.client.tasks import TaskOperations, tasks_call
from pixmill.client.uploads import New, OnProgress, Upload, UploadOperations
from pixmill.params import Output, Source
from pixmill.steps import Chain, request_of


class AsyncPixmill:
    """A client of a Pixmill server; close it, or use it in a ``async with`` block.

    >>> async with AsyncPixmill("http://127.0.0.1:8080") as px:
    ...     photo = await px.files.upload("photo.jpg")
    ...     run = await px.run([photo], Resize(width=800) | Watermark(text="© me"))
    ...     await run.save("out")

    :param url: by default that in ``PIXMILL_URL``, or else ``http://127.0.0.1:8080``.
    :param key: by default that in ``PIXMILL_KEY``, if any.
    :param retries: when requests are sent again.
    :param timeout_seconds: for each step of a request: connect, send a piece, receive a piece.
    :param verify: the trusted certificates; by default those of the machine.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        key: str | None = None,
        retries: Retries | None = None,
        timeout_seconds: float = 60,
        verify: SSLContext | bool = True,
    ) -> None:
        connection = settings.connection(url, key, timeout_seconds, verify)
        self.url = connection.url
        self._driver = AsyncDriver(connection)
        self._exchange = Exchange(retries or Retries())
        self._operations = TaskOperations(self._exchange)
        self._access = AccessOperations(self._exchange)
        self.files = AsyncFiles(self._driver, self._exchange, self.url)
        self.tasks = AsyncTasks(self._driver, self._exchange)
        self.keys = AsyncKeys(self._driver, self._access)
        self.owners = AsyncOwners(self._driver, self._access)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._driver.close()

    async def run(
        self,
        files: Iterable[File | int],
        what: Chain | str | None = None,
        *,
        preset: str | None = None,
        params: Mapping[str, object] | None = None,
        output: Output | None = None,
        source: Source | None = None,
        priority: int = 0,
        cache: bool = True,
        callback_url: str | None = None,
    ) -> "AsyncRun":
        """Do the same to each of at most 10,000 files; return at once, while the tasks run.

        :param what: steps from :mod:`pixmill.params`, or the name of an algorithm, with ``params``.
        :param preset: the name of a pipeline of the server, instead of ``what``.
        :param priority: 0 to 9; tasks of a higher priority run first.
        :param cache: whether the result of the same work done earlier may be used.
        :param callback_url: gets a webhook when a task ends.
        :raises ProblemError: the server refuses it, and no task is created.
        """
        ids = [item.id if isinstance(item, File) else item for item in files]
        body = request_of(what, preset=preset, params=params, ends={"output": output, "source": source})
        body |= settings.batch_fields(ids, priority, cache=cache, callback_url=callback_url)
        return self.resume(await self._driver.run(self._operations.create(body)))

    def resume(self, task_ids: Sequence[int]) -> "AsyncRun":
        """Return a run of tasks that exist, such as one that another program began."""
        return AsyncRun(self, self._driver, self._exchange, task_ids)

    def events(self, last_event_id: str | None = None) -> AsyncIterator[TaskEvent]:
        """Generate the changes of all tasks, without an end, from now on or after an event."""
        return self._driver.follow(Feed(self._exchange, None, last_event_id))

    async def algorithms(self) -> list[Algorithm]:
        """Return the algorithms of the server, with the JSON Schema of their params."""
        return await self._driver.run(self._operations.algorithms())

    async def presets(self) -> list[Preset]:
        """Return the presets of the server."""
        return await self._driver.run(self._operations.presets())

    async def readiness(self) -> dict[str, Readiness]:
        """Return, for each service, whether it and its dependencies answer."""
        return await self._driver.run(self._access.readiness())

    async def session(self) -> Session:
        """Return who this client is for the server."""
        return await self._driver.run(self._access.session())

    async def audit(
        self, *, owner: str | None = None, key_id: str | None = None, since: datetime | None = None
    ) -> AsyncIterator[AuditEntry]:
        """Generate the entries of the audit trail, the oldest first."""
        async for page in self._driver.pages(audit_call(owner, key_id, since), self._access.audit_page):
            for item in page:
                yield item

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Reply:
        """Send a request of your own; GET and HEAD are sent again where that helps.

        :param path: such as ``/api/file-server/``.
        :raises ProblemError: the server refuses it.
        """
        repeatable = method in ("GET", "HEAD")
        return await self._driver.run(
            self._exchange.send(Call(method, path, query, dict(headers or {}), body, repeatable=repeatable))
        )


class AsyncFiles:
    """The stored files."""

    def __init__(self, driver: AsyncDriver, exchange: Exchange, url: str) -> None:
        self._driver = driver
        self._operations = FileOperations(exchange)
        self._uploads = UploadOperations(exchange, url)
        self._downloads = DownloadOperations(exchange)

    async def upload(
        self,
        source: str | Path | bytes,
        *,
        name: str | None = None,
        comment: str = "",
        idempotency_key: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> File:
        """Store a file: a small one in one request, a large one so that it goes on after everything that may happen.

        :param name: with its extension; by default that of the path.
        :param idempotency_key: a second upload of the same with this key within a day returns the first file.
        :raises ValueError: ``source`` is bytes, and there is no name.
        :raises ProblemError: the server refuses it.
        :raises DamagedError: the server has other bytes than this machine.
        """
        new = settings.new_file(source, name, comment, idempotency_key)
        return await self._driver.run(self._uploads.upload(new, on_progress))

    async def upload_many(
        self,
        paths: Iterable[str | Path],
        *,
        parallel: int = 4,
        comment: str = "",
        skip_existing: bool = False,
        on_progress: OnProgress | None = None,
    ) -> AsyncIterator[Upload]:
        """Store files, the small ones in batches; generate how each upload ended, a large one before small ones.

        :param skip_existing: do not send a file whose name and bytes the server has.
        """
        news = (New(Path(path), Path(path).name, comment) for path in paths)
        operations = self._uploads.many(news, skip_existing=skip_existing, on_progress=on_progress)
        async for group in self._driver.each(operations, parallel):
            for item in group:
                yield item

    async def find_same(self, path: str | Path) -> File | None:
        """Return a stored file with the name and the bytes of a file of this machine."""
        return await self._driver.run(self._uploads.same(New(Path(path), Path(path).name)))

    async def get(self, file_id: int) -> File:
        """:raises NotFoundError: there is no such file."""
        return await self._driver.run(self._operations.get(file_id))

    async def list(self, filter: FileFilter | None = None) -> AsyncIterator[File]:  # noqa: A002 (what it is)
        """Generate the files that match, page by page."""
        async for page in self.pages(filter):
            for item in page:
                yield item

    async def pages(self, filter: FileFilter | None = None, size: int = PAGE) -> AsyncIterator[Sequence[File]]:  # noqa: A002 (what it is)
        """Generate the pages of a list."""
        async for page in self._driver.pages((filter or FileFilter()).call(size), self._operations.page):
            yield page

    async def existing(self, file_ids: Sequence[int]) -> Sequence[File]:
        """Return those of at most 10,000 files that exist."""
        return await self._driver.run(self._operations.existing(file_ids))

    async def update(self, file_id: int, *, name: str | None = None, comment: str | None = None) -> File:
        """Change the name or the comment."""
        given = {"name": name, "comment": comment}
        changes = {field: value for field, value in given.items() if value is not None}
        return await self._driver.run(self._operations.update(file_id, changes))

    async def delete(self, *file_ids: int) -> None:
        """:raises NotFoundError: there is no such file; those before it are deleted."""
        await self._driver.run(self._operations.delete(file_ids))

    async def copy(self, file_id: int, *, name: str | None = None) -> File:
        """Create another file with the same bytes."""
        return await self._driver.run(self._operations.copy(file_id, name, str(uuid4())))

    async def link(self, file_id: int, *, expires: timedelta = timedelta(days=1)) -> Link:
        """Create a signed URL that downloads the file without a key, for a week at most."""
        return await self._driver.run(self._operations.link(file_id, expires.total_seconds()))

    async def download(self, file: File | int, to: str | Path, *, on_progress: OnProgress | None = None) -> Path:
        """Write a file's bytes to a path, or into a folder under the file's own name; return the path.

        The path exists only once the bytes are complete and checked. What an earlier attempt left is not fetched again.

        :raises NotFoundError: there is no such file.
        :raises DamagedError: the bytes that arrived are others.
        """
        found = await self._found(file)
        target = settings.target(Path(to), found)
        return await self._driver.run(self._downloads.to_path(found, target, on_progress))

    async def download_to(self, file: File | int, stream: Writable, *, on_progress: OnProgress | None = None) -> None:
        """Write a file's bytes to a stream.

        :raises DamagedError: the bytes that arrived, and were written, are others.
        """
        await self._driver.run(self._downloads.to_stream(await self._found(file), stream, on_progress))

    async def read(self, file: File | int) -> bytes:
        """Return a file's bytes."""
        content = bytearray()
        await self.download_to(file, settings.appending(content))
        return bytes(content)

    async def zip(self, file_ids: Sequence[int], to: str | Path) -> Path:
        """Write at most 1,000 files into one ZIP archive."""
        with settings.whole_file(Path(to)) as file:
            await self._driver.run(self._downloads.archive(file_ids, file, lambda: settings.emptied(file)))
        return Path(to)

    async def _found(self, file: File | int) -> File:
        return file if isinstance(file, File) else await self.get(file)


class AsyncTasks:
    """The tasks."""

    def __init__(self, driver: AsyncDriver, exchange: Exchange) -> None:
        self._driver = driver
        self._operations = TaskOperations(exchange)

    async def get(self, task_id: int) -> Task:
        """:raises NotFoundError: there is no such task."""
        return await self._driver.run(self._operations.get(task_id))

    async def list(
        self,
        *,
        status: str | None = None,
        algorithm: str | None = None,
        source_id: int | None = None,
        ids: Sequence[int] = (),
    ) -> AsyncIterator[Task]:
        """Generate the tasks that match, page by page."""
        first = tasks_call(status, algorithm, source_id, ids)
        async for page in self._driver.pages(first, self._operations.page):
            for item in page:
                yield item

    async def cancel(self, task_id: int) -> Task:
        """:raises ConflictError: it has ended."""
        return await self._driver.run(self._operations.cancel(task_id))

    async def restart(self, task_id: int) -> Task:
        """:raises ConflictError: it did not end in error, and was not cancelled."""
        return await self._driver.run(self._operations.restart(task_id))

    async def restart_all(self, status: str = "error", *, algorithm: str | None = None) -> Sequence[int]:
        """Restart all tasks in error, or all that were cancelled; return their ids."""
        return await self._driver.run(self._operations.restart_all(status, algorithm))

    async def delete(self, task_id: int) -> None:
        """:raises ConflictError: it has not ended."""
        await self._driver.run(self._operations.delete(task_id))


class AsyncRun:
    """Tasks that were created together.

    :ivar task_ids: in the order of the files.
    """

    def __init__(self, pixmill: AsyncPixmill, driver: AsyncDriver, exchange: Exchange, task_ids: Sequence[int]) -> None:
        self._pixmill = pixmill
        self._driver = driver
        self._exchange = exchange
        self._operations = TaskOperations(exchange)
        self.task_ids = tuple(task_ids)

    async def tasks(self) -> Sequence[Task]:
        """Return the tasks as they are now."""
        return await self._driver.run(self._operations.states(self.task_ids))

    async def ended(self, timeout: float | None = None) -> Sequence[Task]:
        """Wait until all tasks have ended, and return them, in the order of the files.

        :param timeout: seconds.
        :raises TimeoutError: not all have ended in time; they go on.
        """
        return await self._driver.run(self._operations.wait(self.task_ids, timeout))

    async def wait(self, timeout: float | None = None) -> Sequence[File]:
        """Wait until all tasks have ended, and return their results.

        :param timeout: seconds.
        :raises TimeoutError: not all have ended in time; they go on.
        :raises RunFailedError: some have no result.
        """
        tasks = await self.ended(timeout)
        failed = [task for task in tasks if task.result_id is None]
        if failed:
            raise RunFailedError(failed)
        return await self.results(tasks)

    async def results(self, tasks: Sequence[Task] | None = None) -> Sequence[File]:
        """Return the results that exist so far.

        :param tasks: those of the run, if they are known.
        """
        known = await self.tasks() if tasks is None else tasks
        ids = [task.result_id for task in known if task.result_id is not None]
        files = {file.id: file for file in await self._pixmill.files.existing(ids)} if ids else {}
        return [files[item] for item in ids if item in files]

    def events(self) -> AsyncIterator[TaskEvent]:
        """Generate the changes of the tasks until all have ended."""
        return self._driver.follow(Feed(self._exchange, self.task_ids))

    async def cancel(self) -> Sequence[Task]:
        """Cancel what has not ended; return the tasks that this cancelled."""
        return await self._driver.run(self._operations.cancel_each(self.task_ids))

    async def restart_failed(self) -> Sequence[Task]:
        """Restart what ended without a result; return these tasks."""
        return await self._driver.run(self._operations.restart_each(self.task_ids))

    async def save(
        self, folder: str | Path, *, name: str = "{name}{extension}", timeout: float | None = None
    ) -> Sequence[Path]:
        """Wait for the results, and write them into a folder; return the paths, in the order of the files.

        :param name: of each, with ``{name}``, ``{extension}``, ``{id}`` and ``{task_id}``; equal names get a number.
        :raises TimeoutError: not all have ended in time; they go on.
        :raises RunFailedError: some have no result; the others are written.
        """
        tasks = await self.ended(timeout)
        saving = Saving(Path(folder), result_names(name, tasks, await self.results(tasks)))
        for file, path in saving.targets():
            await self._pixmill.files.download(file, path)
        failed = [task for task in tasks if task.result_id is None]
        if failed:
            raise RunFailedError(failed, saving.paths())
        return saving.paths()


class AsyncKeys:
    """The keys of clients; only an administrator sees them."""

    def __init__(self, driver: AsyncDriver, operations: AccessOperations) -> None:
        self._driver = driver
        self._operations = operations

    async def list(self) -> Sequence[Key]:
        """Return all keys, without their secrets."""
        return await self._driver.run(self._operations.keys())

    async def create(
        self,
        owner: str,
        *,
        role: str | None = None,
        scopes: Sequence[str] = (),
        note: str = "",
        expires: timedelta | None = None,
    ) -> Key:
        """Create a key; only this answer has its ``secret``.

        :param role: ``reader``, ``writer`` or ``admin``.
        :param scopes: in addition to those of the role.
        """
        seconds = None if expires is None else expires.total_seconds()
        return await self._driver.run(self._operations.create_key(owner, role, scopes, note, seconds))

    async def rotate(self, key_id: str, *, overlap: timedelta = timedelta(days=1)) -> Key:
        """Create a key like another one, which ends after the overlap."""
        return await self._driver.run(self._operations.rotate_key(key_id, overlap.total_seconds()))

    async def revoke(self, key_id: str) -> Key:
        """End a key."""
        return await self._driver.run(self._operations.revoke_key(key_id))


class AsyncOwners:
    """Whom files and tasks belong to; only an administrator sees them."""

    def __init__(self, driver: AsyncDriver, operations: AccessOperations) -> None:
        self._driver = driver
        self._operations = operations

    async def list(self) -> Sequence[Owner]:
        """Return all owners."""
        return await self._driver.run(self._operations.owners())

    async def limit(self, name: str, limits: Mapping[str, int | None]) -> Owner:
        """Set all limits of an owner: ``bytes``, ``files``, ``pending_tasks``, ``requests_per_second``, ``listeners``.

        A limit that is missing or ``None`` is no limit.
        """
        return await self._driver.run(self._operations.limit_owner(name, limits))
