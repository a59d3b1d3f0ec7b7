"""Both stacks, each started once."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.client import Pixmill
from tests.processes import MissingProgramError, free_port, kill_all
from tests.servers import start_postgres
from tests.stacks import ENVIRONMENT, EmbeddedStack, FullStack, Stack

STACKS: dict[str, type[EmbeddedStack] | type[FullStack]] = {"embedded": EmbeddedStack, "full": FullStack}


@contextmanager
def skipped_where_a_program_is_missing() -> Iterator[None]:
    """Skips the test where this machine lacks a server, but never in CI."""
    try:
        yield
    except MissingProgramError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


def start(name: str, folder: Path, environment: Mapping[str, str] | None = None) -> EmbeddedStack | FullStack:
    """The stack of that name, started in ``folder``."""
    with skipped_where_a_program_is_missing():
        try:
            return STACKS[name](folder, environment)
        except BaseException:
            # Whatever has started is not known to anybody who could stop it.
            kill_all(folder)
            raise


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = start("embedded", temporary_folder(tmp_path_factory, "embedded"))
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = start("full", temporary_folder(tmp_path_factory, "full"))
    yield stack
    stack.stop()


class RemoteStack:
    """A Pixmill that runs already, such as one under docker-compose."""

    name = "remote"

    def __init__(self, url: str) -> None:
        self.url = url
        self.folder = self.files = self.scratch = Path()

    def stop(self) -> None:
        """It was not started here."""


@pytest.fixture(scope="session", params=["remote"] if os.environ.get("PIXMILL_URL") else ["embedded", "full"])
def stack(request: pytest.FixtureRequest) -> Stack:
    if request.param == "remote":
        return RemoteStack(os.environ["PIXMILL_URL"])
    started: Stack = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def pixmill(stack: Stack) -> Iterator[Pixmill]:
    with Pixmill(stack.url) as client:
        yield client


@contextmanager
def started_postgres(factory: pytest.TempPathFactory, name: str) -> Iterator[str]:
    """The URL of an empty database on a PostgreSQL of its own, which ends with the block."""
    port = free_port()
    with skipped_where_a_program_is_missing():
        server = start_postgres(temporary_folder(factory, name), port, ENVIRONMENT)
    try:
        yield f"postgresql+psycopg://pixmill@127.0.0.1:{port}/pixmill"
    finally:
        server.stop()


def temporary_folder(factory: pytest.TempPathFactory, name: str) -> Path:
    """A new folder that every user may pass through, as PostgreSQL runs as another one."""
    folder = factory.mktemp(name)
    place = folder
    while place.owner() == folder.owner() and place != Path(tempfile.gettempdir()):
        place.chmod(0o755)
        place = place.parent
    return folder
