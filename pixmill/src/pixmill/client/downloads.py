"""Downloads that resume after a lost connection and verify the received bytes."""

import hashlib
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from pixmill.client.answers import File
from pixmill.client.exchange import Call, Exchange, Operation, Reply, get, json_call, once, work
from pixmill.client.files import FileFilter
from pixmill.client.locks import delete_locked, opened_alone
from pixmill.client.problems import DamagedTransferError, InUseError, UnexpectedAnswerError, UnreachableError
from pixmill.client.settings import part_of
from pixmill.client.targets import ARCHIVE_NAME, Destination, write_through
from pixmill.client.uploads import FILES, OnProgress, Progress

_PLAIN = {"Accept-Encoding": "identity"}
"""Compressed responses would have different offsets and another digest."""


class Writable(Protocol):
    """The target of a download."""

    def write(self, piece: bytes, /) -> object: ...


class DownloadOperations:
    """Downloads files and archives."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def to_path(self, file: File, destination: Destination, on_progress: OnProgress | None = None) -> Operation[Path]:
        """Write a file's bytes to a path, which appears only once they are complete and verified; return the path.

        Resume from a partial file that an earlier attempt left next to it, even in another process.

        :raises FileExistsError: the path has other bytes, which may not be replaced.
        :raises InUseError: another program is downloading the same file to the same path.
        :raises DamagedTransferError: the received bytes do not match the file's digest.
        """
        there = yield from work(lambda: destination.holding(file.size, file.sha256))
        if there is not None:
            if on_progress is not None:
                on_progress(Progress(file.filename, file.size, file.size, file.id))
            return there
        part = part_of(destination.path, file.sha256[:16])
        target = yield from work(lambda: _Part(part, file, on_progress))
        try:
            yield from self._receive(file, target)
            target.check()
            return (yield from work(lambda: target.take(destination)))
        except DamagedTransferError:
            target.discard()
            raise
        finally:
            target.close()

    def to_stream(self, file: File, stream: Writable, on_progress: OnProgress | None = None) -> Operation[None]:
        """Write a file's bytes to a stream.

        :raises DamagedTransferError: the bytes, which are already written, do not match the file's digest.
        """
        target = _Target(stream, file, on_progress)
        yield from self._receive(file, target)
        target.check()

    def archive(
        self,
        files: Sequence[int] | FileFilter,
        stream: Writable,
        restart: Callable[[], None],
        on_progress: OnProgress | None = None,
    ) -> Operation[None]:
        """Write a ZIP of several files to a stream.

        :param files: their ids, which a body contains because a URL may get too long; or a filter.
        :param restart: empties the stream, because an archive cannot be resumed.
        """
        path = f"{FILES}/archive"
        if isinstance(files, FileFilter):
            asked = get(path, files.query())
        else:
            asked = json_call("POST", path, {"ids": list(files)}, repeatable=True)
        attempt = 0
        while True:
            attempt += 1
            sink = _Whole(stream, on_progress)
            try:
                reply = yield from once(replace(asked, headers={**asked.headers, **_PLAIN}, sink=sink))
                if not reply.is_success:
                    problem = reply.problem()
                    if attempt >= self._exchange.retries.attempts or problem.status not in (429, 502, 503, 504):
                        raise problem
                    yield self._exchange.retries.pause(attempt, problem.retry_after)
                    continue
            except UnreachableError:
                if attempt >= self._exchange.retries.attempts:
                    raise
                yield self._exchange.retries.pause(attempt)
                restart()
                continue
            return

    def _receive(self, file: File, target: "_Target") -> Operation[None]:
        path, attempt = f"{FILES}/{file.id}/download", 0
        while target.position < file.size or file.size == 0:
            attempt += 1
            before = target.position
            headers = dict(_PLAIN)
            if before:
                headers |= {"Range": f"bytes={before}-", "If-Range": f'"{file.sha256}"'}
            try:
                reply = yield from once(Call("GET", path, (), headers, repeatable=True, sink=target))
            except UnreachableError:
                # Only attempts without a single received byte count as failures.
                attempt = 1 if target.position > before else attempt
                if attempt >= self._exchange.retries.attempts:
                    raise
                yield self._exchange.retries.pause(attempt)
                continue
            if reply.is_success:
                if target.position == before:
                    return
                continue
            problem = reply.problem()
            if attempt >= self._exchange.retries.attempts or problem.status not in (429, 502, 503, 504):
                raise problem
            yield self._exchange.retries.pause(attempt, problem.retry_after)


class _Target:
    """Receives the bytes of a file, starting where earlier bytes end.

    :ivar position: the number of bytes received so far.
    """

    def __init__(self, stream: Writable, file: File, on_progress: OnProgress | None) -> None:
        self._stream = stream
        self._file = file
        self._on_progress = on_progress
        self._digest = hashlib.sha256()
        self._stated: str | None = None
        self._skip = 0
        self.position = 0

    def begin(self, reply: Reply) -> bool:
        if not reply.is_success:
            return False
        self._stated = reply.headers.get("repr-digest") or self._stated
        # A 200 response to a range request contains the whole file.
        start = 0 if reply.status != 206 else _start(reply)
        if start > self.position:
            raise UnexpectedAnswerError(f"the answer begins at byte {start}, not at {self.position}")
        self._skip = self.position - start
        return True

    def write(self, piece: bytes) -> None:
        skipped = min(self._skip, len(piece))
        self._skip -= skipped
        fresh = piece[skipped:]
        if fresh:
            self._stream.write(fresh)
            self._digest.update(fresh)
            self.position += len(fresh)
            if self._on_progress is not None:
                self._on_progress(Progress(self._file.filename, self.position, self._file.size, self._file.id))

    def check(self) -> None:
        """:raises DamagedTransferError: the bytes do not match ``Repr-Digest`` or the file's metadata."""
        encoded = b64encode(self._digest.digest()).decode()
        stated = self._stated is None or f"sha-256=:{encoded}:" in self._stated or "sha-256=" not in self._stated
        if not stated or self._digest.hexdigest() != self._file.sha256:
            raise DamagedTransferError(f"file {self._file.id} was damaged in transit: its digest does not match")


class _Part(_Target):
    """Receives the bytes of a file into a partial file, after those that an earlier attempt has left there."""

    def __init__(self, path: Path, file: File, on_progress: OnProgress | None) -> None:
        """:raises InUseError: another program writes to the partial file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            opened = opened_alone(path)
        except BlockingIOError as error:
            raise InUseError(f"another program is downloading {file.filename} to {path.parent}") from error
        super().__init__(opened, file, on_progress)
        self._path = path
        self._opened = opened
        if opened.tell() > file.size:
            opened.truncate(0)
        opened.seek(0)
        while piece := opened.read(2**20):
            self._digest.update(piece)
            self.position += len(piece)

    def take(self, destination: Destination) -> Path:
        """Give the complete file its path while no other program can write to it; return the path."""
        write_through(self._opened)
        if sys.platform == "win32":
            # No open file can be renamed there.
            self.close()
        return destination.take(self._path)

    def discard(self) -> None:
        """Delete the partial file while no other program can write to it."""
        delete_locked(self._opened, self._path)

    def close(self) -> None:
        self._opened.close()


class _Whole:
    """Receives the whole body of a successful response."""

    def __init__(self, stream: Writable, on_progress: OnProgress | None) -> None:
        self._stream = stream
        self._on_progress = on_progress
        self._done = 0
        self._total: int | None = None

    def begin(self, reply: Reply) -> bool:
        length = reply.headers.get("content-length", "")
        self._total = int(length) if length.isdecimal() else None
        return reply.is_success

    def write(self, piece: bytes) -> None:
        self._stream.write(piece)
        self._done += len(piece)
        if self._on_progress is not None:
            self._on_progress(Progress(ARCHIVE_NAME, self._done, self._total))


def _start(reply: Reply) -> int:
    """Return the offset at which the bytes of a 206 response begin."""
    first = reply.headers.get("content-range", "").removeprefix("bytes ").partition("-")[0]
    if not first.isdecimal():
        raise UnexpectedAnswerError("a partial answer has no Content-Range")
    return int(first)
