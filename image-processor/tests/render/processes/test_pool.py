"""The pool with real render processes: they render, die, are replaced, and never make a client wait forever."""

import asyncio
import os
import random
import resource
import signal
import struct
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from image_processor.confinement.sandbox import describe
from image_processor.imaging.output import Output
from image_processor.render.cache import MAKING, ORIGINS
from image_processor.render.config import RenderSettings
from image_processor.render.failures import BUSY, LOST, NOT_RENDERABLE, TOO_SLOW
from image_processor.render.plans.plan import DigestSource, Encoding, RenderPlan, step
from image_processor.render.processes.job import Job, LocalFile, Made, Refused
from image_processor.render.processes.messages import message_of_answer
from image_processor.render.processes.pool import MALFORMED, Pool
from image_processor.render.processes.queue import Ticket
from PIL import Image
from service_kit.errors import DomainError
from structlog.testing import capture_logs

from tests.support import hostile_renders

pytestmark = pytest.mark.slow

_T = TypeVar("_T")
PLAN = RenderPlan(
    DigestSource("0" * 64), (step("resize", {"width": 20, "fit": "inside"}),), Encoding(Output(format="png"))
)


@pytest.fixture
def source(tmp_path: Path) -> LocalFile:
    (tmp_path / MAKING).mkdir()
    path = tmp_path / ORIGINS / "source.png"
    path.parent.mkdir()
    Image.new("RGB", (40, 30), "red").save(path)
    return LocalFile(str(path), "0" * 64)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def settings(tmp_path: Path, pool: Mapping[str, object], max_seconds: float = 60) -> RenderSettings:
    return RenderSettings.model_validate(
        {
            "native": {"keys": []},
            "file_storage": {"blobs_folder": "", "blobs_url": ""},
            "cache": {"folder": str(tmp_path)},
            "pool": {"processes": 1, "queue_seconds": 60, **pool},
            "limits": {"max_seconds": max_seconds},
        }
    )


def with_pool(chosen: RenderSettings, work: Callable[[Pool], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        pool = Pool(chosen)
        await pool.start()
        try:
            return await work(pool)
        finally:
            await pool.stop()

    return asyncio.run(run())


def ticket(source: LocalFile, tmp_path: Path, name: str = "result") -> Ticket:
    return Ticket(Job(PLAN, source, (), "source", str(tmp_path / MAKING / name)), None, source)


def paused(pool: Pool) -> None:
    """Suspend the processes, so that a job given to one never ends."""
    for process in pool.process_ids:
        os.kill(process, signal.SIGSTOP)


async def refusal(work: Awaitable[object]) -> str:
    with pytest.raises(DomainError) as error:
        await work
    return error.value.kind


def test_a_job_is_rendered_into_its_file(source: LocalFile, tmp_path: Path) -> None:
    answer = with_pool(settings(tmp_path, {}), lambda pool: pool.run(ticket(source, tmp_path)))

    assert isinstance(answer, Made)
    assert answer.extension == ".png"
    assert Image.open(tmp_path / MAKING / "result").size == (20, 15)


def test_a_source_that_is_not_an_image_is_refused_and_leaves_no_file(source: LocalFile, tmp_path: Path) -> None:
    text = LocalFile(source.path, "0" * 64)
    Path(text.path).write_text("no image")

    answer = with_pool(settings(tmp_path, {}), lambda pool: pool.run(ticket(text, tmp_path)))

    assert isinstance(answer, Refused)
    assert answer.kind == NOT_RENDERABLE
    assert not (tmp_path / MAKING / "result").exists()


def test_a_picture_larger_than_a_process_may_write_is_refused_with_the_setting(
    source: LocalFile, tmp_path: Path
) -> None:
    noise = random.Random(0).randbytes(900 * 900 * 3)
    Image.frombytes("RGB", (900, 900), noise).save(source.path)
    chosen = settings(tmp_path, {})
    chosen.limits.max_written_bytes = 1024 * 1024
    plan = RenderPlan(DigestSource("0" * 64), (step("rotate", {"angle": 90}),), Encoding(Output(format="png")))
    result = tmp_path / MAKING / "result"

    answer = with_pool(
        chosen, lambda pool: pool.run(Ticket(Job(plan, source, (), "source", str(result)), None, source))
    )

    assert isinstance(answer, Refused)
    assert answer.kind == NOT_RENDERABLE
    assert answer.detail.startswith("The image needs a larger file on the disk of the render service")
    assert not result.exists()


def test_a_render_process_opens_no_file_of_others(source: LocalFile, tmp_path: Path) -> None:
    chosen = settings(tmp_path, {})
    if not describe(chosen.sandbox)[1].startswith("Landlock"):
        pytest.skip("this kernel has no Landlock")
    foreign = tmp_path / "results" / "result.png"
    foreign.parent.mkdir()
    Path(source.path).rename(foreign)

    answer = with_pool(chosen, lambda pool: pool.run(ticket(LocalFile(str(foreign), "0" * 64), tmp_path)))

    assert isinstance(answer, Refused)
    assert "PermissionError" in answer.detail


def test_a_killed_process_fails_its_job_alone_and_is_replaced(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[str, object]:
        paused(pool)
        lost = ticket(source, tmp_path)
        running = asyncio.create_task(refusal(pool.run(lost)))
        await lost.begun
        os.kill(pool.process_ids[0], signal.SIGKILL)
        return await running, await pool.run(ticket(source, tmp_path, "second"))

    kind, second = with_pool(settings(tmp_path, {}), work)

    assert kind == LOST
    assert isinstance(second, Made)


def test_a_render_that_takes_too_long_is_killed(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[str, object]:
        paused(pool)
        return await refusal(pool.run(ticket(source, tmp_path))), await pool.run(ticket(source, tmp_path, "second"))

    # The second render has this much time too; new processes start quickly.
    kind, second = with_pool(settings(tmp_path, {}, max_seconds=5), work)

    assert kind == TOO_SLOW
    assert isinstance(second, Made)


def with_hostile_first(
    monkeypatch: pytest.MonkeyPatch,
    chosen: RenderSettings,
    serve: Callable[..., None],
    work: Callable[[Pool], Awaitable[_T]],
) -> _T:
    """Return what the work returns in a pool whose first process a picture has taken over."""

    async def run(pool: Pool) -> _T:
        monkeypatch.undo()
        monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")
        return await work(pool)

    monkeypatch.setattr("image_processor.render.processes.pool.serve", serve)
    return with_pool(chosen, run)


@pytest.mark.parametrize("kind", ["garbage", "pickle", "too long"])
def test_a_process_that_sends_no_answer_is_killed_and_replaced(
    source: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    run = tmp_path / "run"
    pickled = hostile_renders.pickle_that_creates(run)
    content = {
        "garbage": struct.pack("!I", 3) + b"\xff{}",
        "pickle": struct.pack("!I", len(pickled)) + pickled,
        "too long": b"\xff" * 1000,
    }[kind]
    reasons = list[str]()

    async def work(pool: Pool) -> tuple[str, object]:
        pool.killed = reasons.append
        refused = await refusal(pool.run(ticket(source, tmp_path)))
        return refused, await pool.run(ticket(source, tmp_path, "second"))

    serve = partial(hostile_renders.answering, content)
    refused, second = with_hostile_first(monkeypatch, settings(tmp_path, {}), serve, work)

    assert refused == LOST
    assert isinstance(second, Made)
    assert reasons == [MALFORMED]
    assert not run.exists()


def test_an_answer_before_a_job_is_not_taken_for_its_answer(
    source: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reasons = list[str]()

    async def work(pool: Pool) -> object:
        pool.killed = reasons.append
        while not reasons:
            await asyncio.sleep(0.01)
        return await pool.run(ticket(source, tmp_path))

    serve = partial(hostile_renders.answering_unasked, message_of_answer(Made(".jpg", 1, ())))
    answer = with_hostile_first(monkeypatch, settings(tmp_path, {}), serve, work)

    assert isinstance(answer, Made)
    assert answer.extension == ".png"
    assert reasons == [MALFORMED]


def test_half_an_answer_stops_nothing_but_its_own_render(
    source: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(pool: Pool) -> tuple[str, object]:
        return await refusal(pool.run(ticket(source, tmp_path))), await pool.run(ticket(source, tmp_path, "second"))

    serve = partial(hostile_renders.answering, message_of_answer(Made(".png", 1, ()))[:-1])
    # If reading blocked the event loop, the timer of the time limit would not run.
    kind, second = with_hostile_first(monkeypatch, settings(tmp_path, {}, max_seconds=5), serve, work)

    assert kind == TOO_SLOW
    assert isinstance(second, Made)


def test_a_full_queue_refuses_at_once(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> str:
        paused(pool)
        begun, waiting = ticket(source, tmp_path), ticket(source, tmp_path)
        tasks = [asyncio.create_task(pool.run(begun))]
        await begun.begun
        tasks.append(asyncio.create_task(pool.run(waiting)))
        await asyncio.sleep(0)
        kind = await refusal(pool.run(ticket(source, tmp_path)))
        for task in tasks:
            task.cancel()
        return kind

    assert with_pool(settings(tmp_path, {"queue": 1}), work) == BUSY


def test_the_keys_of_one_owner_fill_a_third_of_the_queue(source: LocalFile, tmp_path: Path) -> None:
    def of_owner(owner: str | None) -> Ticket:
        return Ticket(ticket(source, tmp_path).job, owner, source)

    async def work(pool: Pool) -> tuple[str, int]:
        paused(pool)
        begun = of_owner("reader")
        tasks = [asyncio.create_task(pool.run(begun))]
        await begun.begun
        tasks += [asyncio.create_task(pool.run(of_owner(owner))) for owner in ("reader", "reader", None, "other")]
        await asyncio.sleep(0)
        kind, waiting = await refusal(pool.run(of_owner("reader"))), pool.waiting
        for task in tasks:
            task.cancel()
        return kind, waiting

    assert with_pool(settings(tmp_path, {"queue": 6}), work) == (BUSY, 4)


def test_all_images_by_url_leave_a_third_of_the_queue_to_keys(source: LocalFile, tmp_path: Path) -> None:
    def by_url(owner: str) -> Ticket:
        return Ticket(ticket(source, tmp_path).job, owner, source, by_url=True)

    async def work(pool: Pool) -> tuple[str, int]:
        paused(pool)
        begun = by_url("ann")
        tasks = [asyncio.create_task(pool.run(begun))]
        await begun.begun
        waiting = [by_url("ann"), by_url("ann"), by_url("bob"), by_url("bob")]
        tasks += [asyncio.create_task(pool.run(image)) for image in waiting]
        await asyncio.sleep(0)
        kind = await refusal(pool.run(by_url("carl")))
        tasks.append(asyncio.create_task(pool.run(Ticket(begun.job, "carl", source))))
        await asyncio.sleep(0)
        count = pool.waiting
        for task in tasks:
            task.cancel()
        return kind, count

    assert with_pool(settings(tmp_path, {"queue": 6}), work) == (BUSY, 5)


def test_a_render_that_waits_too_long_is_refused(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[str, int]:
        paused(pool)
        begun = ticket(source, tmp_path)
        task = asyncio.create_task(pool.run(begun))
        await begun.begun
        kind = await refusal(pool.run(ticket(source, tmp_path)))
        task.cancel()
        return kind, pool.waiting

    assert with_pool(settings(tmp_path, {"queue_seconds": 0.1}), work) == (BUSY, 0)


def test_a_caller_that_leaves_takes_its_waiting_render_along(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[int, int]:
        paused(pool)
        begun = ticket(source, tmp_path)
        running = asyncio.create_task(pool.run(begun))
        await begun.begun
        waiting = asyncio.create_task(pool.run(ticket(source, tmp_path)))
        await asyncio.sleep(0)
        before = pool.waiting
        waiting.cancel()
        await asyncio.wait([waiting])
        running.cancel()
        return before, pool.waiting

    assert with_pool(settings(tmp_path, {}), work) == (1, 0)


def test_an_abandoned_render_is_stopped(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[bool, object]:
        paused(pool)
        given_up = ticket(source, tmp_path)
        running = asyncio.create_task(refusal(pool.run(given_up)))
        await given_up.begun
        (before,) = pool.process_ids
        pool.abandon(given_up)
        await running
        second = await pool.run(ticket(source, tmp_path, "second"))
        return before in pool.process_ids, second

    is_alive, second = with_pool(settings(tmp_path, {}), work)

    assert not is_alive
    assert isinstance(second, Made)


def test_a_process_is_replaced_after_a_number_of_renders(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> list[list[int]]:
        seen = [pool.process_ids]
        for name in ("first", "second", "third"):
            await pool.run(ticket(source, tmp_path, name))
            seen.append(pool.process_ids)
        return seen

    before, _, after_two, _ = with_pool(settings(tmp_path, {"max_renders": 2}), work)

    assert before != after_two


def test_a_process_that_could_not_be_started_is_started_later(
    source: LocalFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("image_processor.render.processes.pool.START_AGAIN_SECONDS", 0.02)

    async def work(pool: Pool) -> object:
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Files that are open stay open, and a new process needs another.
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
        try:
            with capture_logs() as lines:
                os.kill(pool.process_ids[0], signal.SIGKILL)
                while "render process not started" not in [line["event"] for line in lines]:
                    await asyncio.sleep(0.01)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        return await pool.run(ticket(source, tmp_path))

    assert isinstance(with_pool(settings(tmp_path, {}), work), Made)


def test_at_most_half_of_the_processes_do_slow_renders(source: LocalFile, tmp_path: Path) -> None:
    async def work(pool: Pool) -> tuple[list[bool], object]:
        paused(pool)
        slow = [Ticket(ticket(source, tmp_path).job, None, name, slow=True) for name in "ab"]
        quick = ticket(source, tmp_path)
        tasks = [asyncio.create_task(pool.run(each)) for each in (*slow, quick)]
        # Not for the quick one alone: it would wait forever if two slow ones had begun.
        while [each.waits for each in (*slow, quick)].count(False) < 2:
            await asyncio.sleep(0.01)
        begun = [not each.waits for each in slow]
        for task in tasks:
            task.cancel()
        return begun, pool.waiting

    begun, waiting = with_pool(settings(tmp_path, {"processes": 2}), work)

    assert begun == [True, False]
    assert waiting == 1
