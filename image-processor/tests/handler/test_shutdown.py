"""A shutdown waits for running tasks, starts no new ones, and hands back the rest before the worker ends."""

import ctypes
import mmap
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from billiard import Process
from image_processor.handler.shutdown import GracefulShutdown

from tests.support.waiting import STATE_SECONDS, wait_until

pytestmark = pytest.mark.slow

NEVER = 3600
FAILED_AS_IT_SHOULD = 7

# A worker without Celery's loop. It reads commands from standard input and reports on standard output. An alarm kills
# it if a test waits for a report that never comes.
WORKER = """
import os, queue, signal, sys, threading
from billiard import Process
from celery.worker import state
from image_processor.config import BrokerSettings
from image_processor.handler.celery_app import QUEUE, WORK, create_celery
from image_processor.handler.queue import CeleryTaskQueue
from image_processor.handler.shutdown import GracefulShutdown
from celery.worker.request import Request


LIMIT_SECONDS = 120

def report(words):
    os.write(1, f"{words}\\n".encode())

def take_hints(hints):
    signal.alarm(LIMIT_SECONDS)
    os.close(to_process)
    for _ in hints:
        report("hint taken")
        shutdown.hold_if_draining()
        report("task begun")

def hand_back():
    report(f"handed back while the process was {'alive' if child.is_alive() else 'dead'}")

signal.alarm(LIMIT_SECONDS)
celery = create_celery(BrokerSettings(url="memory://", queue_type="classic", transport_options={}))
celery.task(name=WORK, shared=False)(report)
CeleryTaskQueue(celery).publish(2)
with celery.connection_for_read() as connection, connection.channel() as channel:
    messages = [celery.amqp.queues[QUEUE](channel).get(no_ack=True) for _ in range(2)]
request, next_request = (Request(message, app=celery) for message in messages)
shutdown = GracefulShutdown(float(sys.argv[1]), hand_back)
hints, to_process = os.pipe()
child = Process(target=take_hints, args=(os.fdopen(hints),), daemon=True)
child.start()
shutdown.listen()
lines = queue.SimpleQueue()

def read_lines():
    for line in sys.stdin:
        lines.put(line)

def commands():
    # A signal that arrives just before the main thread waits is handled when the wait ends.
    while True:
        try:
            yield lines.get(timeout=0.05).strip()
        except queue.Empty:
            pass

threading.Thread(target=read_lines, daemon=True).start()
report(child.pid)
for command in commands():
    match command:
        case "receive":
            state.task_reserved(next_request)
            report("done")
        case "accept":
            state.task_accepted(next_request)
            report("done")
        case "begin":
            state.task_reserved(request)
            state.task_accepted(request)
            report("done")
        case "end":
            report("task ended")
            state.task_ready(request)
        case "hint":
            os.write(to_process, b"\\n")
        case "begun?":
            report("draining" if shutdown.begun() else "working")
"""


class Worker:
    """The worker as a child process."""

    def __init__(self, seconds: float) -> None:
        command = [sys.executable, "-c", WORKER, str(seconds)]
        self._popen = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.process = int(self.next_report())

    def do(self, command: str) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{command}\n")

    def next_report(self) -> str:
        assert self._popen.stdout is not None
        return self._popen.stdout.readline().strip()

    def ask(self, command: str) -> str:
        self.do(command)
        return self.next_report()

    def signal(self, number: int = signal.SIGTERM) -> None:
        self._popen.send_signal(number)

    def drain(self) -> None:
        """Send the signal and wait until the worker has received it."""
        self.signal()
        wait_until(lambda: self.ask("begun?") == "draining")

    def remaining_reports(self) -> list[str]:
        """Return the reports until the worker and its process have ended."""
        return self._popen.communicate(timeout=STATE_SECONDS)[0].splitlines()

    def exit_code(self) -> int:
        return self._popen.wait(STATE_SECONDS)

    def kill(self) -> None:
        self._popen.kill()
        self._popen.communicate()


StartWorker = Callable[[float], Worker]


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    workers: list[Worker] = []

    def start_worker(seconds: float) -> Worker:
        workers.append(Worker(seconds))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.kill()


def is_sleeping(process: int) -> bool:
    return "\nState:\tS" in Path(f"/proc/{process}/status").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_ends_at_the_first_signal(start_worker: StartWorker, number: int) -> None:
    worker = start_worker(NEVER)

    worker.signal(number)

    assert worker.exit_code() == 0


def test_a_running_task_ends_before_the_worker_hands_back(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)
    worker.ask("begin")

    worker.drain()
    worker.do("end")

    assert worker.remaining_reports()[0] == "task ended"


def test_a_second_signal_does_not_interrupt_a_running_task(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)
    worker.ask("begin")
    worker.drain()

    worker.drain()
    worker.do("end")

    assert worker.remaining_reports()[0] == "task ended"


def test_a_task_that_exceeds_the_shutdown_time_is_handed_back(start_worker: StartWorker) -> None:
    worker = start_worker(0)
    worker.ask("begin")

    worker.signal()

    assert worker.remaining_reports()[0] == "handed back while the process was alive"


def test_the_shutdown_does_not_wait_for_a_hint_that_no_process_has_taken(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)
    worker.ask("receive")

    worker.signal()

    assert worker.exit_code() == 0


def test_the_shutdown_does_not_wait_for_a_hint_that_a_process_takes_meanwhile(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)
    worker.ask("receive")
    worker.ask("begin")
    worker.drain()

    worker.ask("accept")
    worker.do("end")

    assert worker.exit_code() == 0


def test_tasks_are_handed_back_before_their_process_is_killed(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)

    worker.signal()

    assert worker.remaining_reports()[0] == "handed back while the process was alive"


def test_a_process_starts_tasks_while_its_worker_runs(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)

    taken = worker.ask("hint")

    assert (taken, worker.next_report()) == ("hint taken", "task begun")


def test_a_process_starts_no_task_during_a_shutdown(start_worker: StartWorker) -> None:
    worker = start_worker(NEVER)
    worker.ask("begin")
    worker.drain()

    worker.ask("hint")
    wait_until(lambda: is_sleeping(worker.process))
    worker.do("end")

    assert "task begun" not in worker.remaining_reports()


def test_a_process_that_only_follows_a_shutdown_cannot_begin_one() -> None:
    shutdown = GracefulShutdown(NEVER, lambda: None)
    process = Process(target=begin_as_a_follower, args=(shutdown,))

    process.start()
    process.join()

    assert process.exitcode == FAILED_AS_IT_SHOULD
    assert not shutdown.begun()


def begin_as_a_follower(shutdown: GracefulShutdown) -> None:
    """Try to write in either view of the shared byte, and to make it writable, as a picture would."""
    shutdown.only_follow()
    with pytest.raises(ValueError, match="closed"):
        shutdown._mark[0] = 1
    with pytest.raises(TypeError, match="readonly"):
        shutdown._mark_as_read[0] = 1
    pages = re.findall(r"^([0-9a-f]+)-\S+ r--s .*pixmill-shutdown", Path("/proc/self/maps").read_text(), re.MULTILINE)
    change = ctypes.CDLL(None).mprotect
    changed = [
        change(ctypes.c_void_p(int(page, 16)), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) for page in pages
    ]
    os._exit(FAILED_AS_IT_SHOULD if {*changed} == {-1} else 1)
