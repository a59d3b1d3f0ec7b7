"""``python -m bench.jobs``: throughput, latency and memory of the job engine.

Compares tasks per second of the whole service (including the upload of results) with the same work done by libvips and
by Pillow in bare processes on the same cores, alternating in the same run; then measures memory and the time from POST
to finished. At the end, or alone with ``--stack sandbox``, it measures what the sandbox costs, as the ratio of the
throughput without it to that with it, and exits with 1 if that is too much.
"""

import argparse
import json
import math
import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from image_processor.confinement.sandbox import describe
from image_processor.models import TaskEvent
from service_kit.database import Database
from sqlalchemy import select

from bench.bare import drafted, thumbnail
from bench.photographs import photographs
from tests.support.client import FILES, TASKS, Served, ended_task
from tests.support.processes import memory_of, processes_of
from tests.support.stacks import STACKS, EmbeddedStack, FullStack

SIZES = {
    "0.3 MP to 128 px": (640, 480, 128),
    "2 MP to 128 px": (1632, 1224, 128),
    "12 MP to 1024 px": (4000, 3000, 1024),
}
TARGETS = {"0.3 MP to 128 px": (0.6, 0.35), "2 MP to 128 px": (0.8, 0.6), "12 MP to 1024 px": (0.95, 0.9)}
"""Required shares of the throughput of libvips alone, and of the faster of libvips and Pillow."""
QUALITY = 80
VARIANTS = 8
LATENCY_SAMPLES = 100
FIRST_POLL_SECONDS = 0.015
"""Delay before the first poll: no task finishes sooner, and polling would slow down the measured work."""
UNDISTURBED_SECONDS = 0.1
"""Delay before the first request for a task's status; by then an idle service has finished the task."""
LOAD = 2000
"""Number of tasks that keep the worker busy."""
WANTED_MS = {"full": 30, "embedded": 80}
SANDBOX_MOST = 1.05
"""Maximum time of the tasks with the sandbox, times that without it."""
SANDBOX_ROUNDS = 10
WARMING_TASKS = 50
"""Number of tasks after a start that are not measured: the worker's processes load code in them."""

Stack = EmbeddedStack | FullStack
Peer = Callable[[str, str, int, int | None, int], None]


def bare(peer: Peer, paths: Sequence[Path], width: int, count: int) -> float:
    """Return the pictures per second of a peer alone, from file to file, in one process per core without our code."""
    processes = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder, multiprocessing.get_context("spawn").Pool(processes) as pool:
        jobs = [(str(paths[n % len(paths)]), f"{folder}/{n}.jpg", width, None, QUALITY) for n in range(count)]
        pool.starmap(peer, jobs[:processes], chunksize=1)
        began = time.perf_counter()
        pool.starmap(peer, jobs, chunksize=1)
        return count / (time.perf_counter() - began)


def service(pixmill: Served, paths: Sequence[Path], width: int, count: int, at_most: float) -> float:
    """Return the tasks per second of the whole service, from the POST of a batch to the end of its last task.

    :param at_most: an upper bound of the result.
    """
    originals = [pixmill.files.upload(path.read_bytes(), name=path.name).id for path in paths]
    copies = [copy_of(pixmill, originals[n % len(originals)]) for n in range(count)]
    params = {"width": width, "output": {"quality": QUALITY}}
    body = {"file_ids": copies, "algorithm": "resize", "params": params, "cache": False}
    began = time.perf_counter()
    pixmill.http.post(f"{TASKS}/", json=body).raise_for_status()
    time.sleep(count / at_most)  # earlier polling would slow down the measured work
    await_all(pixmill)
    return count / (time.perf_counter() - began)


def copy_of(pixmill: Served, file_id: int) -> int:
    return int(pixmill.http.post(f"{FILES}/{file_id}/copy", json={}).raise_for_status().json()["id"])


def await_all(pixmill: Served) -> None:
    """Wait until no task is left; poll rarely, so as not to slow the service down."""
    for status in ("pending", "processing"):
        while pixmill.http.get(f"{TASKS}/", params={"status": status, "limit": 1}).json():
            time.sleep(0.1)


def latency(pixmill: Served, database: Database, file_id: int) -> list[float]:
    """Return the milliseconds from the POST of a small task until its row says finished, by the database's clock.

    No client polls in the meantime: responses would take CPU time from the task.
    """
    began = {}
    for _ in range(LATENCY_SAMPLES):
        moment = time.time()
        task_id = post_small_task(pixmill, file_id)
        began[task_id] = moment
        time.sleep(UNDISTURBED_SECONDS)
        ended_task(pixmill, task_id)
    finished = select(TaskEvent.task_id, TaskEvent.created_at).where(
        TaskEvent.task_id.in_(began), TaskEvent.status == "finished"
    )
    with database.read() as session:
        return [(ended - began[task_id]) * 1000 for task_id, ended in session.execute(finished)]


def post_small_task(pixmill: Served, file_id: int) -> int:
    body = {"file_ids": [file_id], "algorithm": "resize", "params": {"width": 128}, "cache": False, "priority": 9}
    return int(pixmill.http.post(f"{TASKS}/", json=body).json()["task_ids"][0])


def polled_latency(pixmill: Served, file_id: int) -> list[float]:
    """Return the milliseconds from the POST of a small task until a polling client sees it finished."""
    samples = []
    for _ in range(LATENCY_SAMPLES):
        began = time.perf_counter()
        task_id = post_small_task(pixmill, file_id)
        time.sleep(FIRST_POLL_SECONDS)
        while pixmill.http.get(f"{TASKS}/{task_id}").json()["status"] != "finished":
            time.sleep(0.001)
        samples.append((time.perf_counter() - began) * 1000)
        time.sleep(0.05)
    return samples


def event_delays(pixmill: Served, file_id: int) -> list[float]:
    """Return the milliseconds from seeing a task finished until its event arrives; never below 0."""
    received: dict[int, float] = {}
    listening, ended = threading.Event(), threading.Event()

    def listen() -> None:
        with pixmill.http.stream("GET", f"{TASKS}/events") as events:
            for line in events.iter_lines():
                listening.set()
                if ended.is_set():
                    return
                if line.startswith("data:") and '"finished"' in line:
                    received[json.loads(line[5:])["id"]] = time.perf_counter()

    listener = threading.Thread(target=listen)
    listener.start()
    listening.wait()
    seen = {}
    for _ in range(LATENCY_SAMPLES):
        task_id = post_small_task(pixmill, file_id)
        await_all(pixmill)
        seen[task_id] = time.perf_counter()
    time.sleep(1)
    ended.set()
    post_small_task(pixmill, file_id)
    listener.join()
    return [max(0.0, received[task_id] - moment) * 1000 for task_id, moment in seen.items()]


def begin_load(pixmill: Served, paths: Sequence[Path]) -> None:
    """Create a batch of large photographs that keeps every worker process busy while latency is measured."""
    originals = [pixmill.files.upload(path.read_bytes(), name=path.name).id for path in paths]
    file_ids = [copy_of(pixmill, originals[n % len(originals)]) for n in range(LOAD)]
    body = {"file_ids": file_ids, "algorithm": "resize", "params": {"width": 1024}, "cache": False}
    pixmill.http.post(f"{TASKS}/", json=body).raise_for_status()


def tasks_database(stack: Stack) -> Database:
    if isinstance(stack, EmbeddedStack):
        return Database(f"sqlite:///{stack.data}/image-processor.db")
    return Database(stack.environment["WORKER_DATABASE__URL"])


def worker_memory(stack: Stack) -> int:
    """Return the bytes of the largest worker process."""
    commands = processes_of(stack.folder)
    return max(memory_of(number) for number, command in commands.items() if "image_processor.worker" in command)


def percentiles(samples: Sequence[float]) -> str:
    cuts = statistics.quantiles(samples, n=20)
    return f"p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms"


@contextmanager
def started(name: str, settings: Mapping[str, str]) -> Iterator[tuple[Stack, Served]]:
    with tempfile.TemporaryDirectory() as data:
        Path(data).chmod(0o755)
        quiet = {"FILE_STORAGE_LOG__LEVEL": "warning", "IMAGE_PROCESSOR_LOG__LEVEL": "warning"}
        stack = STACKS[name](Path(data), {**quiet, **settings})
        try:
            with Served(stack.url) as pixmill:
                yield stack, pixmill
        finally:
            stack.stop()


def run(name: str, count: int, folder: Path) -> None:
    with started(name, {}) as (stack, pixmill):
        measure(name, stack, pixmill, count, folder)


def check_sandbox(count: int, folder: Path) -> bool:
    """Print what the sandbox costs; return whether it is little enough.

    Two stacks process the same tasks in turn, so that other load on the machine affects both. The order changes every
    round: the second of two runs may find a faster machine.
    """
    if not describe("auto")[0]:
        print("sandbox: this kernel has none")
        return True
    paths = photographs(folder, 640, 480, VARIANTS)
    with (
        started("embedded", {"WORKER_SANDBOX": "auto"}) as (_, inside),
        started("embedded", {"WORKER_SANDBOX": "off"}) as (_, outside),
    ):
        for pixmill in (inside, outside):
            service(pixmill, paths, 128, WARMING_TASKS, at_most=math.inf)
        ratios, same = [], []
        for number in range(SANDBOX_ROUNDS):
            order = (inside, outside) if number % 2 else (outside, inside)
            rates = {pixmill: service(pixmill, paths, 128, count, at_most=math.inf) for pixmill in order}
            again = service(outside, paths, 128, count, at_most=math.inf)
            ratios.append(rates[outside] / rates[inside])
            same.append(rates[outside] / again)
    cost, (low, _, high) = statistics.median(ratios), statistics.quantiles(ratios, n=4)
    noise_low, _, noise_high = statistics.quantiles(same, n=4)
    print(
        f"sandbox: the time of {count} small tasks with it, times that without it: {cost:.3f} (at most {SANDBOX_MOST});"
        f" half of the rounds between {low:.3f} and {high:.3f}; two runs without it: {noise_low:.3f} to"
        f" {noise_high:.3f}",
        flush=True,
    )
    return cost <= SANDBOX_MOST


def measure(name: str, stack: Stack, pixmill: Served, count: int, folder: Path) -> None:
    small = photographs(folder, 640, 480, VARIANTS)
    file_id = pixmill.files.upload(small[0].read_bytes(), name="small.jpg").id
    database = tasks_database(stack)
    idle = percentiles(latency(pixmill, database, file_id))
    print(f"{name}: idle latency {idle} (wanted p50 {WANTED_MS[name]} ms)", flush=True)
    print(f"{name}: a client that polls sees it after {percentiles(polled_latency(pixmill, file_id))}", flush=True)
    print(f"{name}: events come after {percentiles(event_delays(pixmill, file_id))} (wanted 300)", flush=True)
    before = worker_memory(stack)
    for title, (width, height, target) in SIZES.items():
        paths = photographs(folder, width, height, VARIANTS)
        peers: Sequence[Peer] = (thumbnail, drafted)
        before_it = [bare(peer, paths, target, count) for peer in peers]
        whole = service(pixmill, paths, target, count, at_most=max(before_it))
        after_it = [bare(peer, paths, target, count) for peer in peers]
        libvips, pillow = (sum(rates) / 2 for rates in zip(before_it, after_it, strict=True))
        of_libvips, of_faster = TARGETS[title]
        print(
            f"{name}: {title}: {whole:.1f} tasks/s; bare pyvips.thumbnail {libvips:.1f}/s, ratio {whole / libvips:.2f}"
            f" (wanted {of_libvips}); bare Pillow with draft {pillow:.1f}/s, ratio to the faster of both"
            f" {whole / max(libvips, pillow):.2f} (wanted {of_faster})",
            flush=True,
        )
    print(
        f"{name}: worker process {before / 1e6:.0f} MB at the start, {worker_memory(stack) / 1e6:.0f} MB after",
        flush=True,
    )
    began = time.perf_counter()
    body = {"file_ids": [copy_of(pixmill, file_id) for _ in range(10_000)], "algorithm": "flip"}
    print(f"{name}: 10,000 files made by copy in {time.perf_counter() - began:.1f} s", flush=True)
    began = time.perf_counter()
    pixmill.http.post(f"{TASKS}/", json=body).raise_for_status()
    print(f"{name}: batch of 10,000 answered in {time.perf_counter() - began:.2f} s", flush=True)
    await_all(pixmill)
    print(f"{name}: 10,000 cached tasks, {10_000 / (time.perf_counter() - began):.0f} tasks/s", flush=True)
    print(f"{name}: worker process {worker_memory(stack) / 1e6:.0f} MB after 10,000 more tasks", flush=True)
    begin_load(pixmill, photographs(folder, 4000, 3000, VARIANTS))
    print(f"{name}: latency under load {percentiles(latency(pixmill, database, file_id))}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.jobs", description=__doc__)
    parser.add_argument("--stack", choices=[*STACKS, "both", "sandbox"], default="both")
    parser.add_argument("--count", type=int, default=1000, help="tasks of each size (default: 1000)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in STACKS if chosen.stack == "both" else {chosen.stack} - {"sandbox"}:
            run(name, chosen.count, Path(folder))
        if chosen.stack in ("both", "sandbox") and not check_sandbox(chosen.count, Path(folder)):
            sys.exit(1)


if __name__ == "__main__":
    main()
