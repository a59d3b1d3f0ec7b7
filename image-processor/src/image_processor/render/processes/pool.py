"""Runs jobs in a pool of processes, which are forked in advance and replaced when they die or reach a limit."""

import asyncio
import multiprocessing
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.context import ForkServerProcess

import structlog
from service_kit.texts import sentence

from image_processor.render.config import RenderSettings
from image_processor.render.failures import busy, lost, too_slow
from image_processor.render.processes.job import JobOutcome
from image_processor.render.processes.messages import (
    MAX_ANSWER_BYTES,
    MalformedAnswerError,
    message_of_job,
    read_answer,
)
from image_processor.render.processes.process import serve
from image_processor.render.processes.queue import Ticket, WaitingTickets

log = structlog.get_logger()

START_AGAIN_SECONDS = 1
"""The delay after a process that died at its start, or did not start, so that failures do not use all CPU time."""
TOO_SLOW, LEFT, MALFORMED, STOPPING = "time limit", "client left", "malformed answer", "stopping"
"""The reasons for which the pool kills a process."""
_VARIABLES = {"VIPS_CONCURRENCY": "1", "MALLOC_ARENA_MAX": "2"}
"""A render uses one core, because there is a process for each core; fewer malloc arenas need less memory."""


class _Process:
    """A render process, as the pool sees it."""

    def __init__(self, process: ForkServerProcess, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.process = process
        self.reader = reader
        self.writer = writer
        self.started = time.monotonic()
        self.renders = 0
        self.ticket: Ticket | None = None
        self.reason = "died"
        """Why the process has ended, once it has."""
        self.timer: asyncio.TimerHandle | None = None

    def kill(self, reason: str) -> None:
        self.reason = reason
        with suppress(ProcessLookupError):
            self.process.kill()


class Pool:
    """Runs jobs in render processes; use it within one event loop."""

    def __init__(self, settings: RenderSettings) -> None:
        self._settings = settings
        self._count = settings.pool.count
        self._waiting = WaitingTickets()
        self._processes: set[_Process] = set()
        self._idle: list[_Process] = []
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["image_processor.render.processes.preload"])
        # One thread, because starting a process takes milliseconds and is not thread-safe.
        self._starter = ThreadPoolExecutor(1, "process-starter")
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self.killed: Callable[[str], None] = lambda _reason: None
        """Called with the reason when a process has died."""

    @property
    def waiting(self) -> int:
        """Return the number of renders that wait."""
        return len(self._waiting)

    @property
    def running(self) -> int:
        """Return the number of renders that have begun and not ended."""
        return sum(1 for process in self._processes if process.ticket is not None)

    @property
    def process_ids(self) -> list[int]:
        """Return the ids of the processes."""
        return sorted(process.process.pid or 0 for process in self._processes)

    async def start(self) -> None:
        """Start all processes."""
        for name, value in _VARIABLES.items():
            os.environ.setdefault(name, value)
        for _ in range(self._count):
            await self._start_one()

    async def stop(self) -> None:
        """End all processes."""
        self._stopping = True
        for process in list(self._processes):
            self._forget(process)
            process.kill(STOPPING)
        await asyncio.to_thread(self._starter.shutdown)

    async def run(self, ticket: Ticket) -> JobOutcome:
        """Run a job when a process is free; if the caller is cancelled before that, the job does not run.

        :raises DomainError: ``renders-busy``, ``render-lost``, ``render-too-slow``.
        """
        limits = self._settings.pool
        waiting = self._waiting
        # An owner has two turns, for its keys and for its images by URL, which together leave a third to others.
        # All images by URL leave a third to keys.
        is_full = len(waiting) >= limits.queue or 3 * waiting.of_turn(ticket.turn) >= limits.queue
        if is_full or (ticket.by_url and 3 * waiting.by_url >= 2 * limits.queue):
            raise busy(sentence("Too many pictures wait to be rendered; try again."))
        self._waiting.add(ticket)
        self._dispatch()
        try:
            async with asyncio.timeout(limits.queue_seconds):
                # Shielded, because a timeout must not cancel the future, which shows whether the job has begun.
                await asyncio.shield(ticket.begun)
        except TimeoutError as error:
            if ticket.waits:
                raise busy(sentence("No process was free in time to render this picture; try again.")) from error
        finally:
            self._waiting.remove(ticket)
        return await asyncio.shield(ticket.done)

    def withdraw(self, ticket: Ticket) -> None:
        """Remove a waiting job from the queue; a job that has begun continues."""
        self._waiting.remove(ticket)

    def abandon(self, ticket: Ticket) -> None:
        """Stop a job whose result is not needed, even if it has begun."""
        self._waiting.remove(ticket)
        for process in self._processes:
            if process.ticket is ticket:
                process.kill(LEFT)

    async def _start_one(self) -> None:
        loop = asyncio.get_running_loop()
        process, ours = await loop.run_in_executor(self._starter, self._forked)
        # Asyncio reads it, so that half an answer makes no other request wait.
        reader, writer = await asyncio.open_connection(sock=ours, limit=MAX_ANSWER_BYTES)
        started = _Process(process, reader, writer)
        if self._stopping:
            started.kill(STOPPING)
            writer.transport.abort()
            return
        self._processes.add(started)
        self._keep(asyncio.create_task(self._listen(started)))
        self._idle.append(started)
        self._dispatch()

    def _forked(self) -> tuple[ForkServerProcess, socket.socket]:
        ours, theirs = socket.socketpair()
        # The settings contain secrets: they pass through a pipe, so that no command line shows them.
        process = self._context.Process(target=serve, args=(theirs, self._settings), name="pixmill-render", daemon=True)
        try:
            process.start()
        except (OSError, EOFError):
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def _dispatch(self) -> None:
        while self._idle:
            slow = sum(1 for process in self._processes if process.ticket is not None and process.ticket.slow)
            ticket = self._waiting.next(slow_too=slow < max(1, self._count // 2))
            if ticket is None:
                return
            self._give(self._idle.pop(), ticket)

    def _give(self, process: _Process, ticket: Ticket) -> None:
        process.ticket = ticket
        ticket.begun.set_result(None)
        limit = self._settings.limits.max_seconds
        process.timer = asyncio.get_running_loop().call_later(limit, process.kill, TOO_SLOW)
        # If the process has just died, the next read shows it.
        process.writer.write(message_of_job(ticket.job))

    async def _listen(self, process: _Process) -> None:
        """Read the answers of a process until it has died or is no longer used."""
        try:
            while process in self._processes:
                self._answered(process, await read_answer(process.reader))
        except MalformedAnswerError as error:
            log.error("render process sent a malformed answer", process=process.process.pid, error=str(error))
            process.kill(MALFORMED)
        except (EOFError, OSError):
            pass
        # The pool forgets a process that it replaces or stops.
        if process in self._processes:
            self._died(process)

    def _answered(self, process: _Process, answer: JobOutcome) -> None:
        ticket, process.ticket = process.ticket, None
        if ticket is None:
            raise MalformedAnswerError("no job")
        if process.timer is not None:
            process.timer.cancel()
        process.renders += 1
        limits = self._settings.pool
        if process.renders >= limits.max_renders or answer.resident_bytes > limits.max_resident_bytes:
            self._forget(process)
            self._spawn(0)
        else:
            self._idle.append(process)
        if not ticket.done.done():
            ticket.done.set_result(answer)
        self._dispatch()

    def _died(self, process: _Process) -> None:
        ticket = process.ticket
        self._forget(process)
        reason = process.reason
        log.warning("render process ended", process=process.process.pid, reason=reason, renders=process.renders)
        self.killed(reason)
        if ticket is not None and not ticket.done.done():
            error = too_slow(self._settings.limits.max_seconds) if reason == TOO_SLOW else lost()
            ticket.done.set_exception(error)
            # Mark the error as retrieved: the caller may have been cancelled.
            ticket.done.exception()
        has_worked = process.renders > 0 or ticket is not None
        is_new = time.monotonic() - process.started < START_AGAIN_SECONDS
        self._spawn(START_AGAIN_SECONDS if is_new and not has_worked else 0)

    def _forget(self, process: _Process) -> None:
        """Close the connection, which ends the process."""
        process.writer.transport.abort()
        self._processes.discard(process)
        if process in self._idle:
            self._idle.remove(process)
        if process.timer is not None:
            process.timer.cancel()

    def _spawn(self, delay: float) -> None:
        async def later() -> None:
            await asyncio.sleep(delay)
            while not self._stopping:
                try:
                    await self._start_one()
                    return
                # EOFError: the fork server has ended; the next start brings a new one.
                except (OSError, EOFError) as error:
                    log.error("render process not started", error=str(error) or type(error).__name__)
                await asyncio.sleep(START_AGAIN_SECONDS)

        if not self._stopping:
            self._keep(asyncio.create_task(later()))

    def _keep(self, task: asyncio.Task[None]) -> None:
        """Refer to a task until it ends: the event loop itself does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
