"""The pools of a worker run no code that one of their processes sends, and lose only that process."""

import os
import selectors
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from billiard import current_process
from billiard.connection import wait
from billiard.exceptions import WorkerLostError
from billiard.pool import ACK, DEATH, ApplyResult
from image_processor.handler.pool_messages import FailedProcessError, UndecodedReader, content_of
from image_processor.handler.work_pool import EventPool, ThreadedPool
from kombu.asynchronous import Hub, set_event_loop
from structlog.testing import capture_logs

from tests.support.hostile_renders import pickle_that_creates
from tests.support.waiting import STATE_SECONDS, wait_until

DONE = (0, "None", 0.0)
WORKER_UP = 15


class RunningPool:
    """A pool, usually of one process, and what makes it take messages while a test waits."""

    def __init__(self, pool: Any, turn: Callable[[], object]) -> None:
        self.pool = pool
        self._turn = turn

    def run(self, function: Callable[..., object], *args: object) -> ApplyResult:
        """Run a function in the process until its outcome is known."""
        result: ApplyResult = self.pool.apply_async(function, args)
        self.wait_until(result.ready)
        return result

    def wait_until(self, condition: Callable[[], bool]) -> None:
        def met() -> bool:
            self._turn()
            return condition()

        wait_until(met)

    def process(self) -> int:
        [process] = self.pool._pool
        return int(process.pid)


@pytest.fixture
def processes() -> int:
    return 1


@pytest.fixture(params=["event loop", "thread"])
def running(request: pytest.FixtureRequest, processes: int) -> Iterator[RunningPool]:
    if request.param == "thread":
        threaded = ThreadedPool(processes, lost_worker_timeout=0.1)
        yield RunningPool(threaded, lambda: None)
        threaded.terminate()
        return
    hub = Hub()
    set_event_loop(hub)
    pool = EventPool(processes, threads=False)
    pool.register_with_event_loop(hub)
    hub.call_repeatedly(0.01, lambda: None)
    loop = hub.loop
    yield RunningPool(pool, lambda: next(loop))
    kill_all(pool)
    hub.close()
    set_event_loop(None)


def kill_all(pool: Any) -> None:
    for process in pool._pool:
        os.kill(process.pid, signal.SIGKILL)
        process.join()


def succeed() -> tuple[int, str, float]:
    return DONE


def fail() -> None:
    raise MemoryError


def send(content: bytes) -> None:
    """Write into the process's pipe, and go on."""
    pipe = current_process().outq  # type: ignore[attr-defined]  # what billiard adds
    os.write(pipe._writer.fileno(), content)


def send_and_stay(content: bytes) -> None:
    send(content)
    time.sleep(STATE_SECONDS)


def write_as_others(descriptors: Sequence[int]) -> None:
    """Write into the pipes of others."""
    own = current_process().outq._writer.fileno()  # type: ignore[attr-defined]  # what billiard adds
    for descriptor in descriptors:
        if descriptor != own:
            os.write(descriptor, b"\xff" * 100)


def write_in(descriptor: int) -> None:
    os.write(descriptor, b"\xff")


def end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def close_all_but_its_pipes() -> None:
    process: Any = current_process()
    pipes = process.inq._reader.fileno(), process.outq._writer.fileno()
    for descriptor in {int(each.name) for each in Path("/proc/self/fd").iterdir()} - {0, 1, 2, *pipes}:
        with suppress(OSError):
            os.close(descriptor)


def know_no_counter() -> tuple[int, str, float]:
    worker = current_process()._target  # type: ignore[attr-defined]  # what billiard adds
    assert worker.on_ready_counter is None
    return DONE


def framed(content: bytes) -> bytes:
    return struct.pack("!i", len(content)) + content


def error_of(result: ApplyResult) -> BaseException:
    with pytest.raises(Exception) as raised:
        result.get(0)
    error: BaseException = getattr(raised.value, "exc", raised.value)
    return error


def test_a_task_that_returned_is_done(running: RunningPool) -> None:
    assert running.run(succeed).get(0) == DONE


def test_an_error_of_a_process_is_known_by_its_name(running: RunningPool) -> None:
    error = error_of(running.run(fail))

    assert isinstance(error, FailedProcessError)
    assert error.name == "MemoryError"


@pytest.mark.parametrize(
    "kind", ["pickle", *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("null", "garbage", "half"))]
)
def test_a_process_that_sends_no_message_is_lost_and_replaced(running: RunningPool, kind: str, tmp_path: Path) -> None:
    hostile = framed(pickle_that_creates(tmp_path / "run"))
    content = {
        "pickle": hostile * 20,
        "null": framed(b"null"),
        "garbage": b"\xff" * 3000,
        "half": hostile[:-1],
    }[kind]
    before = running.process()

    with capture_logs() as logs:
        result = running.run(send_and_stay, content)

    assert isinstance(error_of(result), WorkerLostError)
    assert not (tmp_path / "run").exists()
    assert [line["process"] for line in logs if line["event"] == "message of a process refused"] == [before]
    assert running.run(succeed).get(0) == DONE
    assert running.process() != before


def test_a_process_cannot_have_another_one_killed(running: RunningPool) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        running.run(send, framed(content_of((DEATH, (other.pid, 0)))))
        ended = other.poll()
        other.kill()

    assert ended is None


@pytest.mark.thorough
@pytest.mark.parametrize("message", [(WORKER_UP, (1,)), (ACK, (10**9, None, 1.5, 1, None))], ids=["up", "ack"])
def test_a_process_cannot_speak_for_another_one(running: RunningPool, message: tuple[int, tuple[Any, ...]]) -> None:
    result = running.run(send_and_stay, framed(content_of(message)))

    assert isinstance(error_of(result), WorkerLostError)
    assert running.run(succeed).get(0) == DONE


@pytest.mark.thorough
def test_a_process_may_say_twice_that_it_is_up(running: RunningPool) -> None:
    running.run(send, framed(content_of((WORKER_UP, (running.process(),)))))

    assert running.run(succeed).get(0) == DONE


def test_tasks_left_in_a_pipe_are_not_decoded(running: RunningPool) -> None:
    [process] = running.pool._pool

    assert isinstance(process.inq._reader, UndecodedReader)


@pytest.mark.parametrize("processes", [2])
def test_a_process_has_no_pipe_of_another_one(running: RunningPool) -> None:
    processes = [*running.pool._pool]
    pipes = [process.outq._writer for process in processes if not process.outq._writer.closed]
    descriptors = [pipe.fileno() for pipe in pipes] or [running.pool._outqueue.writer.fileno()]

    error = error_of(running.run(write_as_others, descriptors))

    assert isinstance(error, FailedProcessError)
    assert error.name == "OSError"
    assert running.pool._pool == processes


def test_a_process_that_replaces_another_inherits_only_its_pipes(running: RunningPool) -> None:
    ours, others = socket.socketpair()
    with ours, others, selectors.EpollSelector():
        running.run(end)
        # The process has written a message, so it has forgotten what it inherited.
        done = running.run(succeed).get(0)
        links = [path.readlink() for path in Path(f"/proc/{running.process()}/fd").iterdir() if int(path.name) > 2]

    assert done == DONE
    assert [str(link).split("[")[0] for link in links if link != Path(os.devnull)] == ["pipe:", "pipe:"]


def test_what_a_process_leaves_behind_in_place_of_a_descriptor_cannot_be_written(running: RunningPool) -> None:
    ours, others = socket.socketpair()
    with ours, others:
        running.run(end)
        error = error_of(running.run(write_in, others.fileno()))
        with pytest.raises(BlockingIOError):
            ours.recv(1, socket.MSG_DONTWAIT)

    assert isinstance(error, FailedProcessError)
    assert error.name == "OSError"


def test_a_process_cannot_feign_its_end(running: RunningPool) -> None:
    [process] = running.pool._pool

    running.run(close_all_but_its_pipes)

    assert not wait([process._popen.sentinel], 0)


def test_the_main_process_waits_for_no_lock_that_its_processes_share(running: RunningPool) -> None:
    assert running.pool._result_handler.on_ready_counters is None
    assert running.run(know_no_counter).get(0) == DONE


@pytest.mark.thorough
def test_a_process_that_is_killed_while_it_waits_stops_no_other() -> None:
    pool: Any = ThreadedPool(2, lost_worker_timeout=0.1)
    pool.apply_async(succeed).get(STATE_SECONDS)

    for process in [*pool._pool]:
        os.kill(process.pid, signal.SIGKILL)
        done = pool.apply_async(succeed).get(STATE_SECONDS)
        assert done == DONE
    pool.terminate()


def test_an_idle_process_survives_what_another_one_sends() -> None:
    pool: Any = ThreadedPool(2, lost_worker_timeout=0.1)
    before = {process.pid for process in pool._pool}

    pool.apply_async(send_and_stay, (b"\xff" * 100,)).wait(STATE_SECONDS)
    done = pool.apply_async(succeed).get(STATE_SECONDS)
    left = before & {process.pid for process in pool._pool}
    pool.terminate()

    assert done == DONE
    assert len(left) == 1
