"""Both stacks, each started once."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client import Pixmill
from tests.processes import MissingProgramError
from tests.stacks import EmbeddedStack, FullStack, Stack


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = EmbeddedStack(_folder(tmp_path_factory, "embedded"))
    yield stack
    stack.stop()


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    try:
        stack = FullStack(_folder(tmp_path_factory, "full"))
    except MissingProgramError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))
    yield stack
    stack.stop()


class RemoteStack:
    """A Pixmill that runs already, such as one under docker-compose."""

    name = "remote"

    def __init__(self, url: str) -> None:
        self.url = url
        self.files = Path()

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


def _folder(factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.mktemp(name)
    # PostgreSQL runs as another user and has to pass through.
    for part in (folder, folder.parent, folder.parent.parent):
        part.chmod(0o755)
    return folder
