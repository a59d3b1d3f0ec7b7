"""Processes of the render service that are killed while requests wait for their pictures."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served, assert_problem, http
from tests.support.images import opened, photo
from tests.support.processes import children_of, frozen, processes_of
from tests.support.render_service import await_running, render_processes, signed
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

WIDTHS = range(301, 304)


@pytest.fixture
def stack(strict: FullStack) -> FullStack:
    return strict


@pytest.fixture
def urls(stack: FullStack, pixmill: Served) -> list[str]:
    """The URLs of pictures that were not rendered yet, one a process or more."""
    file_id = pixmill.files.upload(photo(640, 481 + os.urandom(1)[0], format="JPEG"), name="photo.jpg").id
    # A stack is ready before its render service has started all its processes.
    wait_until(lambda: _content_of(f"{stack.url}{signed(file_id, w=300)}"), "the service renders")
    return [f"{stack.url}{signed(file_id, w=width)}" for width in WIDTHS]


def answers_during(stack: FullStack, urls: Sequence[str], break_it: Callable[[], None]) -> list[httpx2.Response]:
    """Return the answers to requests in flight: each process has one, and the others wait in the queue."""
    processes = render_processes(stack)
    with ThreadPoolExecutor(len(urls)) as clients:
        with frozen(processes):
            answers = [clients.submit(http.get, url, timeout=120) for url in urls]
            await_running(stack, min(len(set(urls)), len(processes)))
            break_it()
        return [answer.result() for answer in answers]


@contextmanager
def started_again(stack: FullStack) -> Iterator[None]:
    """Start the render service again after the block."""
    try:
        yield
    finally:
        stack.render.kill()
        stack.render.start()


def assert_rendered_later(stack: FullStack, urls: Sequence[str]) -> None:
    """Check that the pictures are whole, and that no half of one is left."""
    for url, width in zip(urls, WIDTHS, strict=True):
        assert opened(_rendered(url)).width == width
    renders = stack.folder / "renders"
    wait_until(lambda: list((renders / "making").iterdir()) == [], "no half of a result is left")
    wait_until(lambda: _indexed(renders) == _sizes(renders), "the index has each file with its size")


def test_the_front_of_the_render_service_is_killed(stack: FullStack, urls: Sequence[str]) -> None:
    with started_again(stack):
        answers = answers_during(stack, urls, lambda: os.kill(stack.render.popen.pid, signal.SIGKILL))

    for answer in answers:
        assert_problem(answer, 503, "try again")
        assert int(answer.headers["Retry-After"]) >= 1
    assert_rendered_later(stack, urls)


@pytest.mark.thorough
def test_the_fork_server_and_its_processes_are_killed(stack: FullStack, urls: Sequence[str]) -> None:
    def kill() -> None:
        server = _fork_server(stack)
        for process in [server, *children_of(server)]:
            os.kill(process, signal.SIGKILL)

    before = _fork_server(stack)
    answers = answers_during(stack, urls, kill)

    # What waits in the queue is rendered by the next processes.
    assert {answer.status_code for answer in answers} <= {200, 503}
    lost = [answer for answer in answers if answer.status_code == 503]
    assert lost
    for answer in lost:
        assert_problem(answer, 503, "try again")
        assert int(answer.headers["Retry-After"]) >= 1
    assert_rendered_later(stack, urls)
    assert _fork_server(stack) != before


@pytest.mark.thorough
def test_the_fork_server_alone_is_killed(stack: FullStack, urls: Sequence[str]) -> None:
    processes = render_processes(stack)

    answers = answers_during(stack, urls, lambda: os.kill(_fork_server(stack), signal.SIGKILL))
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    # Its processes live on, and the next ones come from another fork server.
    assert [answer.status_code for answer in answers] == [200] * len(urls)
    assert_rendered_later(stack, urls)
    other = f"{urls[0].partition('/img/')[0]}{TASKS}/thumbnails/{urls[0].rpartition('/')[2]}/128"
    assert _rendered(other)


@pytest.mark.thorough
def test_what_nginx_keeps_ends_with_the_renders_although_the_service_crashed(
    stack: FullStack, urls: Sequence[str]
) -> None:
    file_id = urls[0].rpartition("/")[2]
    wait_until(lambda: http.get(urls[0]).headers["Server-Timing"] == "cache;desc=hit", "nginx keeps the image")
    with started_again(stack):
        os.kill(stack.render.popen.pid, signal.SIGKILL)
    with Served(stack.url) as client:
        client.http.delete(f"{FILES}/{file_id}").raise_for_status()
        wait_until(lambda: http.get(f"{stack.url}/img/x/1").status_code != 503, "the service is back")

        removed = client.http.delete(f"{TASKS}/renders/{file_id}", timeout=120)

    assert removed.status_code == 204
    assert http.get(urls[0]).status_code == 404


@pytest.mark.thorough
def test_nginx_does_not_keep_what_is_rendered_while_the_renders_are_removed(
    stack: FullStack, urls: Sequence[str]
) -> None:
    file_id = urls[0].rpartition("/")[2]

    def remove() -> None:
        with Served(stack.url) as client:
            client.http.delete(f"{FILES}/{file_id}").raise_for_status()
            client.http.delete(f"{TASKS}/renders/{file_id}", timeout=120).raise_for_status()

    # nginx keeps only what was requested twice.
    answers_during(stack, [urls[0]] * 3, remove)

    assert http.get(urls[0]).status_code == 404
    assert not any(path.stem for path in (stack.folder / "renders" / "making").iterdir())


def _fork_server(stack: FullStack) -> int:
    def found() -> int | None:
        # The processes that it has forked have its command.
        servers = [number for number, command in processes_of(stack.folder).items() if "forkserver" in command]
        return next((number for number in servers if set(children_of(number)) & set(servers)), None)

    return wait_until(found, "the fork server runs")


def _rendered(url: str) -> bytes:
    return wait_until(lambda: _content_of(url), "the picture is rendered")


def _content_of(url: str) -> bytes | None:
    response = http.get(url, timeout=120)
    return response.content if response.status_code == 200 else None


def _indexed(renders: Path) -> dict[str, int]:
    with closing(sqlite3.connect(renders / "index.db")) as index:
        return {
            f"{key}{extension}": size
            for key, extension, size in index.execute("SELECT key, extension, bytes FROM results")
        }


def _sizes(renders: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (renders / "results").rglob("*") if path.is_file()}
