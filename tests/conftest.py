"""Fixtures for stacks. Tests that share a stack run on the same test runner (tests.support.distribution).

The API suite runs on the full stack. The embedded stack mounts the same two Flask apps, so it can behave differently
only where one of these differs:

- the front (`pixmill/front`) instead of nginx: framing, bodies, their limits, ranges, how bytes are sent;
- SQLite instead of PostgreSQL: statements, especially lists, claims and idempotency keys;
- kombu's file transport instead of RabbitMQ: hints;
- one process group instead of several services: the event stream, file-storage called in the worker's process.

Tests of these have the marker ``both_stacks``. ``make test-all`` also runs the others on the embedded stack.
"""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.browser import start_chromium
from tests.support.client import Served
from tests.support.environment import STRICT, TUNED
from tests.support.folders import temporary_folder
from tests.support.images import FALLBACK_SIZE, photo
from tests.support.processes import skip_where_missing
from tests.support.stacks import EmbeddedStack, FullStack, Stack, start

HERE = Path(__file__).parent
REMOTE = os.environ.get("PIXMILL_URL")


@pytest.fixture(scope="session")
def embedded() -> Iterator[Stack]:
    stack = start("embedded", temporary_folder("embedded"))
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def full() -> Iterator[Stack]:
    stack = start("full", temporary_folder("full"))
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def strict() -> Iterator[FullStack]:
    """A full stack with short leases and limits that a test can exceed; tests may break and restore it."""
    stack = start("full", temporary_folder("strict"), STRICT)
    assert isinstance(stack, FullStack)
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def tuned() -> Iterator[EmbeddedStack]:
    """An embedded stack with an operator's settings for images by URL, and small limits for images and waits."""
    stack = start("embedded", temporary_folder("tuned"), TUNED)
    assert isinstance(stack, EmbeddedStack)
    with Served(stack.url) as client:
        assert client.files.upload(photo(*FALLBACK_SIZE), name="fallback.png").id == 1
    yield stack
    stack.stop()


class RemoteStack:
    """A Pixmill that is already running, such as one in docker-compose."""

    name = "remote"

    def __init__(self, url: str) -> None:
        self.url = url
        self.folder = self.files = self.scratch = self.worker_log = self.render_log = Path()

    def stop(self) -> None:
        """Do nothing: the tests have not started it."""


@pytest.fixture(scope="session", params=["remote"] if REMOTE else ["full", "embedded"])
def stack(request: pytest.FixtureRequest) -> Stack:
    if request.param == "remote":
        return RemoteStack(str(REMOTE))
    started: Stack = request.getfixturevalue(request.param)
    return started


# Cached, because each test runner asks for sixteen thousand tests of a few hundred modules.
@cache
def starts_servers(module: Path) -> bool:
    return any(module.is_relative_to(HERE / name) for name in ("api", "e2e", "faults", "security", "compose"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that start servers as ``server``, and those on the embedded stack as ``thorough``, with exceptions."""
    for item in items:
        if starts_servers(item.path):
            item.add_marker("server")
        params = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if params.get("stack") == "embedded" and item.get_closest_marker("both_stacks") is None:
            item.add_marker("thorough")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser, which ends with the module: tests of other modules may call ``asyncio.run``."""
    with skip_where_missing(), start_chromium() as browser:
        yield browser


@pytest.fixture
def pixmill(stack: Stack) -> Iterator[Served]:
    with Served(stack.url) as client:
        yield client
