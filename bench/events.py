"""``python -m bench.events``: the latency of events with many listeners, most of which listen to one task.

PostgreSQL and the event server are real; this process runs all listeners and also changes the tasks. A latency is the
time from the commit until the listener has received the bytes. ``--open`` keeps a transaction in another database open.
"""

import argparse
import asyncio
import os
import re
import resource
import statistics
import tempfile
import threading
import time
from contextlib import closing, nullcontext
from pathlib import Path

import psycopg
from image_processor.models import Task, TaskStatus
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import insert, update

from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.processes import Process, accepts, free_port
from tests.support.servers import create_roles, start_postgres

WANTED_MS = 300
A_COMMIT = 3
"""Number of events per transaction."""
_DATA = re.compile(rb'"id": (\d+), "status": "(\w+)"')
_REQUEST = "GET /api/image-processing/events{query} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


class Clock:
    """Records when each change of a task was committed, and the latency of its events."""

    def __init__(self) -> None:
        self.committed: dict[tuple[int, bytes], float] = {}
        self.latencies: list[float] = []
        self.listening = 0

    def record(self, received: bytes, now: float) -> None:
        """Record the events in some received bytes."""
        for task_id, status in _DATA.findall(received):
            self.latencies.append(now - self.committed[int(task_id), status])


async def listen(port: int, task_id: int | None, clock: Clock) -> None:
    """Follow the stream of a task, or of all tasks, forever."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_REQUEST.format(query="" if task_id is None else f"?id={task_id}").encode())
    await reader.readuntil(b": listening")
    clock.listening += 1
    rest = b""
    while received := await reader.read(2**20):
        complete, separator, rest = (rest + received).rpartition(b"\r\n\r\n")
        if separator:
            clock.record(complete, time.monotonic())


def change(database: Database, task_ids: list[int], rate: int, seconds: int, clock: Clock) -> None:
    """Change the status of each task in turn, ``rate`` times a second."""
    statuses = [TaskStatus.PROCESSING, TaskStatus.PENDING]
    began = time.monotonic()
    for number in range(rate * seconds // A_COMMIT):
        time.sleep(max(0.0, began + number * A_COMMIT / rate - time.monotonic()))
        chosen = [task_ids[(number * A_COMMIT + part) % len(task_ids)] for part in range(A_COMMIT)]
        status = statuses[number * A_COMMIT // len(task_ids) % 2]
        with database.begin() as connection:
            connection.execute(update(Task).where(Task.id.in_(chosen)).values(status=status))
            for task_id in chosen:
                clock.committed[task_id, status.value.encode()] = time.monotonic()
    print(f"{number * A_COMMIT / (time.monotonic() - began):.0f} events/s were made")


async def measure(port: int, database: Database, chosen: argparse.Namespace) -> Clock:
    """Return the clock after all listeners have received the events of the run."""
    row = {"source_id": 1, "algorithm": "flip"}
    # Use a whole number of transactions, so that each one changes the status of every task in it.
    count = -(-max(chosen.filtered, 1) // A_COMMIT) * A_COMMIT
    with database.begin() as connection:
        task_ids = list(connection.scalars(insert(Task).returning(Task.id), [row] * count))
    clock = Clock()
    targets = [None] * chosen.all + task_ids[: chosen.filtered]
    listeners = []
    for start in range(0, len(targets), 50):
        listeners += [asyncio.create_task(listen(port, target, clock)) for target in targets[start : start + 50]]
        while clock.listening < len(listeners):
            await asyncio.sleep(0.05)
    await asyncio.sleep(5)
    worker = threading.Thread(target=change, args=(database, task_ids, chosen.rate, chosen.seconds, clock))
    worker.start()
    while worker.is_alive():
        await asyncio.sleep(0.1)
    await asyncio.sleep(3)
    for listener in listeners:
        listener.cancel()
    return clock


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.events", description=__doc__)
    parser.add_argument("--filtered", type=int, default=1900, help="listeners to one task each")
    parser.add_argument("--all", type=int, default=100, help="listeners to all tasks")
    parser.add_argument("--rate", type=int, default=300, help="events a second")
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--open", action="store_true", help="keep a transaction of another database open")
    chosen = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-") as data:
        folder = Path(data)
        folder.chmod(0o755)
        database_port, port = free_port(), free_port()
        postgres = start_postgres(folder, database_port, ENVIRONMENT)
        urls = create_roles(folder, database_port)
        migrate(urls["image_processor"], "image_processor")
        migrate(urls["access"], "service_kit.access")
        settings = {
            "ACCESS_DATABASE__URL": urls["access"],
            "IMAGE_PROCESSOR_DATABASE__URL": urls["image_processor"],
            "IMAGE_PROCESSOR_BROKER__URL": "memory://",
        }
        command = [str(SCRIPTS / "uvicorn"), "--factory", "image_processor.events:create_app", "--port", str(port)]
        os.chdir(PROJECT)
        events = Process("events", [*command, "--no-access-log"], ENVIRONMENT | settings, folder / "events.log")
        try:
            events.wait_until(accepts(port))
            another = psycopg.connect(f"postgresql://pixmill@127.0.0.1:{database_port}/postgres")
            with closing(another) if chosen.open else nullcontext():
                if chosen.open:
                    another.execute("CREATE TABLE written (id int)")
                clock = asyncio.run(measure(port, Database(urls["image_processor"]), chosen))
            ticks = Path(f"/proc/{events.popen.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
            cpu = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
        finally:
            events.stop()
            postgres.stop()
        _print(clock, cpu, chosen)


def _print(clock: Clock, cpu: float, chosen: argparse.Namespace) -> None:
    late = sorted(latency * 1000 for latency in clock.latencies)
    expected = chosen.rate * chosen.seconds // A_COMMIT * A_COMMIT * (chosen.all + bool(chosen.filtered))
    print(
        f"{len(late):,} of {expected:,} deliveries to {chosen.all + chosen.filtered:,} listeners:"
        f" p50 {statistics.median(late):.0f} ms, p99 {late[len(late) * 99 // 100]:.0f} ms (wanted {WANTED_MS} ms),"
        f" max {late[-1]:.0f} ms; the server used {cpu:.1f} s of CPU"
    )


if __name__ == "__main__":
    main()
