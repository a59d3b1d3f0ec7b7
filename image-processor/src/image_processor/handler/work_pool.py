"""Celery's pool of processes, whose main process takes only data from them: see ``pool_messages``."""

import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from billiard import pool
from billiard.connection import wait
from celery.concurrency import asynpool
from celery.concurrency.prefork import TaskPool

from image_processor.handler.isolated_process import IsolatedProcess
from image_processor.handler.pool_messages import (
    EndOfMessages,
    JobQueue,
    Message,
    RefusedMessageError,
    ResultQueue,
    ResultReader,
    Sender,
    UndecodedReader,
    converted,
)

log = structlog.get_logger()


class _CountsNothing:
    """A handler of results without the counters of billiard, for each of which it would wait.

    A process could keep the lock of a counter, because it shares its memory.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options | {"on_ready_counters": None})


class ThreadedResultHandler(_CountsNothing, pool.ResultHandler):
    """Reads messages in a thread."""


class EventResultHandler(_CountsNothing, asynpool.ResultHandler):
    """Reads a message as soon as the event loop reports one, and kills a process that sends anything else."""

    fileno_to_outq: Mapping[int, Any]
    on_state_change: Callable[[object], None]

    def _make_process_result(self, hub: Any) -> Callable[[int], None]:
        def on_result_readable(descriptor: int) -> None:
            process = self.fileno_to_outq.get(descriptor)
            if process is None:
                hub.remove_reader(descriptor)
                return
            try:
                message = process.outq.get()
            except BlockingIOError:
                pass
            except RefusedMessageError as error:
                hub.remove_reader(descriptor)
                _kill(process, error)
            except (OSError, EOFError):
                hub.remove_reader(descriptor)
            else:
                self.on_state_change(message)

        return on_result_readable


class _IsolatedPool:
    """A pool whose processes share nothing with the main process but their pipes."""

    def Process(self, *arguments: Any, **options: Any) -> IsolatedProcess:  # noqa: N802  # billiard's name
        return IsolatedProcess(*arguments, **options)

    def WorkerProcess(self, worker: Any) -> Any:  # noqa: N802  # billiard's name
        # With the counter, a process would wait at its end until the main process has counted its results.
        worker.on_ready_counter = None
        return super().WorkerProcess(worker)  # type: ignore[misc]  # of a pool


class EventPool(_IsolatedPool, asynpool.AsynPool):
    """The pool for brokers with an event loop: each process has a pipe of its own."""

    ResultHandler = EventResultHandler
    _cache: Mapping[int, Any]
    _fileno_to_inq: Mapping[int, Any]
    _queues: Mapping[tuple[Any, Any, Any], Any]

    def _process_register_queues(self, proc: Any, queues: tuple[Any, Any, Any]) -> None:
        super()._process_register_queues(proc, queues)  # type: ignore[misc]  # the stubs lack it
        proc.outq._reader.sender = Sender(proc, lambda job: self._was_given(job, proc))

    def _was_given(self, job: int, process: Any) -> bool:
        # A job that the pool has discarded may have been on its way.
        return job not in self._cache or self._cache[job]._write_to is process

    def create_process_queues(self) -> tuple[Any, Any, Any]:
        tasks, pickles, acknowledgements = super().create_process_queues()
        pickles.close()
        tasks._reader = converted(tasks._reader, UndecodedReader)
        return tasks, ResultQueue(blocks=False), acknowledgements

    def create_result_handler(self) -> Any:  # type: ignore[override]  # as Celery's, without billiard's arguments
        return _without_deaths(super().create_result_handler())

    def on_process_alive(self, pid: int) -> None:
        # A process that says it twice would end the event loop.
        if all(process.pid != pid for process in self._fileno_to_inq.values()):
            super().on_process_alive(pid)

    def process_flush_queues(self, proc: Any) -> None:
        super().process_flush_queues(proc)
        # The next process gets the same pipe.
        proc.outq._reader.discard()


class ThreadedPool(_IsolatedPool, pool.Pool):
    """The pool for brokers without an event loop: a thread reads the messages.

    Billiard's processes share one pipe to the main process. Here each has its own, because none must be killed for what
    another one sends.
    """

    ResultHandler = ThreadedResultHandler
    _inqueue: Any
    _outqueue: Any

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]  # the stubs lack it
        self._inqueue.close()
        self._inqueue = JobQueue()
        self._quick_put = self._inqueue.put
        self._outqueue.close()
        self._outqueue = EndOfMessages()
        self._senders: dict[ResultReader, Any] = {}
        self._quick_get = None
        self._poll_result = self._next_message

    def get_process_queues(self) -> tuple[Any, Any, Any]:
        return self._inqueue, ResultQueue(blocks=True), None

    def create_result_handler(self, **extra_kwargs: Any) -> Any:
        return _without_deaths(super().create_result_handler(**extra_kwargs))

    def _create_worker_process(self, i: int) -> Any:
        process = super()._create_worker_process(i)  # type: ignore[misc]  # the stubs lack it
        # Processes that are forked later must not inherit it, and the pipe must end with the process.
        process.outq._writer.close()
        # The processes take jobs from one pipe, so it is unknown who got which.
        process.outq._reader.sender = Sender(process, lambda _: True)
        self._senders[process.outq._reader] = process
        # The thread waits for the other pipes only.
        self._outqueue.wake()
        return process

    def _next_message(self, timeout: float) -> tuple[bool, Message | None]:
        """Return whether there is a message, and the message; ``None`` is billiard's sign that no more will come."""
        for reader in wait([self._outqueue.reader, *self._senders], timeout)[:1]:
            if reader is self._outqueue.reader:
                return self._outqueue.take(), None
            try:
                return True, reader.recv()
            except RefusedMessageError as error:
                self._drop(reader, error)
            except EOFError:
                self._drop(reader)
        return False, None

    def _drop(self, reader: ResultReader, error: RefusedMessageError | None = None) -> None:
        process = self._senders.pop(reader)
        reader.close()
        if error is not None:
            _kill(process, error)


class WorkPool(TaskPool):
    """Celery's pool of processes with these two implementations."""

    Pool = EventPool
    BlockingPool = ThreadedPool


def _without_deaths(handler: Any) -> Any:
    """Let the handler ignore that processes announce their end.

    Billiard would send a signal to the process that the message names, which can be any process.
    """
    handler.state_handlers[pool.DEATH] = lambda *_: None
    return handler


def _kill(process: Any, error: RefusedMessageError) -> None:
    log.error("message of a process refused", process=process.pid, reason=str(error))
    # Not _is_alive(), because two threads must not wait for the same process.
    if process._popen.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
