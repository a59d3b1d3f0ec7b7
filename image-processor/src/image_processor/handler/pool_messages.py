"""The messages of a pool's processes to the worker's main process, as JSON from which it takes only data.

A picture may take a process over. Billiard's messages are pickles: reading one would run the attacker's code in the
main process, which is outside the sandbox.
"""

import fcntl
import json
import math
import os
import select
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from billiard import pool
from billiard.connection import Connection, Pipe, wait
from billiard.einfo import ExceptionInfo
from billiard.queues import _SimpleQueue  # type: ignore[attr-defined]  # the stubs lack it
from celery.concurrency.asynpool import WORKER_UP  # type: ignore[attr-defined]  # likewise

_LENGTH = struct.Struct("!i")
MAX_BYTES = select.PIPE_BUF - _LENGTH.size
"""A pipe takes a message of this length completely or not at all, so its reader never waits for the rest."""
_LONGEST_NAME = 100

Message = tuple[int, tuple[Any, ...]]
"""What billiard expects: the kind of the message and its arguments."""
_Kind = TypeVar("_Kind", bound=Connection)


class RefusedMessageError(OSError):
    """A process sent something else than a message. Billiard treats an ``OSError`` as the end of the connection."""


class FailedProcessError(Exception):
    """Stands for an error of a process, of which only the name is known.

    :ivar name: the name of the error's class.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


class Sender:
    """The process at the other end of a pipe, and what it may say.

    :param process: billiard's process.
    :param was_given: returns whether the process can have got this job.
    """

    def __init__(self, process: Any, was_given: Callable[[int], bool]) -> None:
        self._process = process
        self._was_given = was_given
        self._accepted: int | None = None

    def check(self, message: Message) -> None:
        """Follow what the process does: it accepts a job, ends it, and accepts the next one.

        :raises RefusedMessageError: the process speaks for another process, or of a job that it did not accept.
        """
        expected = True
        match message:
            case (pool.ACK, (job, _, _, process, _)):
                expected = process == self._process.pid and self._accepted is None and self._was_given(job)
                self._accepted = job
            case (pool.READY, (job, _, _, descriptor)):
                expected = job == self._accepted and descriptor == self._process.inqW_fd
                self._accepted = None
            case (kind, (process,)) if kind == WORKER_UP:
                expected = process == self._process.pid
        if not expected:
            raise RefusedMessageError("not what this process can say now")


class ResultReader(Connection):
    """The end of a pipe at which the main process reads the messages of a process.

    :ivar sender: the process, as soon as there is one.
    """

    sender: Sender | None = None

    def recv(self) -> Message:
        """Return the next message.

        :raises EOFError: the pipe is closed.
        :raises RefusedMessageError: a process sent something else, or too much.
        :raises BlockingIOError: there is no message, and the pipe does not block.
        """
        length = os.read(self.fileno(), _LENGTH.size)
        if not length:
            raise EOFError
        if len(length) < _LENGTH.size:
            raise RefusedMessageError("no length")
        (size,) = _LENGTH.unpack(length)
        if not 0 < size <= MAX_BYTES:
            raise RefusedMessageError(f"{size} bytes")
        if not self.poll(0):
            raise RefusedMessageError("no content")
        content = os.read(self.fileno(), size)
        if len(content) < size:
            raise RefusedMessageError("not all of its content")
        message = message_in(content)
        if self.sender is not None:
            self.sender.check(message)
        return message

    def discard(self) -> None:
        """Discard what the pipe contains."""
        while not self.closed and self.poll(0) and os.read(self.fileno(), select.PIPE_BUF):
            pass


class UndecodedReader(Connection):
    """The main process's end of a pipe to processes: it empties the pipe, into which they could have written too."""

    def recv(self) -> bytes:
        return self.recv_bytes()


class ResultQueue(_SimpleQueue):  # type: ignore[misc]  # the stubs lack it
    """The pipe from processes to the main process. It has no lock: a process may be killed at any time."""

    _reader: Connection

    def __init__(self, *, blocks: bool) -> None:
        super().__init__(rnonblock=not blocks)
        self._reader = converted(self._reader, ResultReader)

    def put(self, message: object) -> None:
        self.send_payload(content_of(message))

    def get(self) -> Message:
        found: Message = self._reader.recv()
        return found


class JobReader(UndecodedReader):
    """The end of a pipe at which several processes take jobs without a lock, which one of them could keep.

    A process takes a job completely or not at all, even if it is killed then: the pipe keeps apart what was written
    apart, and one call reads it.
    """

    def recv_bytes(self, maxlength: int | None = None) -> bytes:  # noqa: ARG002  # as the base
        """Wait for a job, and return it."""
        while True:
            wait([self])
            # Another process may have been faster.
            with suppress(BlockingIOError):
                return self._next()

    def recv(self) -> bytes:
        """Return a job without waiting, or no bytes."""
        with suppress(BlockingIOError):
            return self._next()
        return b""

    def _next(self) -> bytes:
        job = os.read(self.fileno(), select.PIPE_BUF)
        if not job:
            raise EOFError
        return job[_LENGTH.size :]


class JobQueue(_SimpleQueue):  # type: ignore[misc]  # the stubs lack it
    """The pipe from the main process to several processes. Its jobs are short: hints have some 900 bytes."""

    _reader: Connection
    _writer: Connection

    def __init__(self) -> None:
        super().__init__(rnonblock=True)
        self._reader = converted(self._reader, JobReader)
        flags = fcntl.fcntl(self._writer.fileno(), fcntl.F_GETFL)
        fcntl.fcntl(self._writer.fileno(), fcntl.F_SETFL, flags | os.O_DIRECT)
        # Billiard takes it in the main process before it empties the pipe.
        self._rlock = threading.Lock()

    def send_payload(self, value: bytes) -> None:
        """Write a job.

        :raises ValueError: it is too long to be read by one call.
        """
        if len(value) > MAX_BYTES:
            raise ValueError(len(value))
        self._writer.send_bytes(value)


class EndOfMessages:
    """The main process's sign to its own thread that no more messages will come.

    It is a flag, which no process can set; the pipe only wakes the thread.
    """

    def __init__(self) -> None:
        self.reader, self.writer = Pipe(duplex=False, rnonblock=True, wnonblock=True)
        self._is_near = threading.Event()

    def put(self, _: None) -> None:
        """Give the sign. The name is that of billiard, which puts ``None`` into its queue."""
        self._is_near.set()
        self.wake()

    def wake(self) -> None:
        """Let the thread look at the pipes again."""
        # A full pipe wakes it too.
        with suppress(BlockingIOError):
            os.write(self.writer.fileno(), b"\0")

    def take(self) -> bool:
        """Return whether the sign was given since the last call."""
        with suppress(BlockingIOError):
            os.read(self.reader.fileno(), select.PIPE_BUF)
        was_given = self._is_near.is_set()
        self._is_near.clear()
        return was_given

    def close(self) -> None:
        self.reader.close()
        self.writer.close()


def converted(reader: Connection, kind: type[_Kind]) -> _Kind:
    """Return a reader of this kind for a pipe, and close the other one."""
    with reader:
        return kind(os.dup(reader.fileno()), writable=False)


def content_of(message: object) -> bytes:
    """Return a message of billiard as JSON, with an error by its name."""
    match message:
        case (pool.READY, (job, index, outcome, descriptor)):
            message = pool.READY, (job, index, _facts_of(outcome), descriptor)
    return json.dumps(message).encode()


def message_in(content: bytes) -> Message:
    """Return the message of billiard that a process sent as JSON.

    :raises RefusedMessageError: it is something else.
    """
    try:
        match json.loads(content):
            case [pool.ACK, [int(job), None, float(seconds), int(process), None]] if math.isfinite(seconds):
                return pool.ACK, (job, None, seconds, process, None)
            case [pool.READY, [int(job), None, [bool(returned), None | str() as error], int(descriptor)]]:
                return pool.READY, (job, None, _outcome_of(returned, error), descriptor)
            case [pool.DEATH, [int(process), int(status)]]:
                return pool.DEATH, (process, status)
            case [kind, [int(process)]] if kind == WORKER_UP:
                return WORKER_UP, (process,)
    # The errors of any other data: an attacker chooses what it contains.
    except (RecursionError, ValueError) as error:
        raise RefusedMessageError(type(error).__name__) from error
    raise RefusedMessageError("no message of a pool")


def _facts_of(outcome: object) -> tuple[bool, str | None]:
    """Return whether Celery's function returned, and the name of the error, if any."""
    match outcome:
        case (True, (1, ExceptionInfo() as info, _)):
            return True, _name_of(info)
        case (False, ExceptionInfo() as info):
            return False, _name_of(info)
    return True, None


def _name_of(info: ExceptionInfo) -> str:
    name = info.type.__name__[:_LONGEST_NAME] if info.type is not None else ""
    # A class that is made at run time may have any name.
    return name if name.isidentifier() else Exception.__name__


def _outcome_of(returned: bool, error: str | None) -> tuple[bool, object]:
    """Return what billiard expects: the return value of Celery's function or the error that it raised."""
    if error is None:
        return True, (0, "None", 0.0)
    if len(error) > _LONGEST_NAME or not error.isidentifier():
        raise ValueError(error)
    try:
        raise FailedProcessError(error)
    except FailedProcessError:
        # It reads the error that is being handled.
        info = ExceptionInfo()
    return (True, (1, info, 0.0)) if returned else (False, info)
