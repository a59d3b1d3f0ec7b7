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

from image_processor.handler.pool_messages import (
    Message,
    RefusedMessageError,
    ResultQueue,
    ResultReader,
    UndecodedReader,
    converted,
)

log = structlog.get_logger()

_IGNORED = (pool.DEATH, (0, 0))
"""A message that has no effect."""


class EventResultHandler(asynpool.ResultHandler):
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
                if message is not None:
                    self.on_state_change(message)

        return on_result_readable


class EventPool(asynpool.AsynPool):
    """The pool for brokers with an event loop: each process has a pipe of its own."""

    ResultHandler = EventResultHandler
    _fileno_to_inq: Mapping[int, Any]

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


class ThreadedPool(pool.Pool):
    """The pool for brokers without an event loop: a thread reads the messages.

    Billiard's processes share one pipe. Here each has its own, because a process that waits for a task must not be
    killed for what another one sends: it holds a lock.
    """

    _inqueue: Any
    _outqueue: Any

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]  # the stubs lack it
        self._inqueue._reader = converted(self._inqueue._reader, UndecodedReader)
        self._outqueue.close()
        self._outqueue = ResultQueue(blocks=True)
        self._senders: dict[ResultReader, Any] = {}
        self._quick_get = self._outqueue.get
        self._poll_result = self._next_message

    def get_process_queues(self) -> tuple[Any, Any, Any]:
        return self._inqueue, ResultQueue(blocks=True), None

    def create_result_handler(self, **extra_kwargs: Any) -> Any:
        return _without_deaths(super().create_result_handler(**extra_kwargs))

    def _create_worker_process(self, i: int) -> Any:
        process = super()._create_worker_process(i)  # type: ignore[misc]  # the stubs lack it
        # Processes that are forked later must not inherit it, and the pipe must end with the process.
        process.outq._writer.close()
        self._senders[process.outq._reader] = process
        # The thread waits for the other pipes only.
        self._outqueue.put(_IGNORED)
        return process

    def _next_message(self, timeout: float) -> tuple[bool, Message | None]:
        for reader in wait([self._outqueue._reader, *self._senders], timeout)[:1]:
            try:
                return True, reader.recv()
            except RefusedMessageError as error:
                self._drop(reader, error)
            except EOFError:
                self._drop(reader)
        return False, None

    def _drop(self, reader: ResultReader, error: RefusedMessageError | None = None) -> None:
        if reader not in self._senders:
            # The pool's own pipe, which all processes inherit.
            reader.discard()
            return
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
