"""A separate full stack for each module of faults, because these break it for other tests."""

from collections.abc import Iterator

import pytest

from tests.support.environment import LEASE
from tests.support.folders import temporary_folder
from tests.support.stacks import FullStack, start


@pytest.fixture(scope="module")
def stack() -> Iterator[FullStack]:
    started = start("full", temporary_folder("faults"), LEASE)
    assert isinstance(started, FullStack)
    yield started
    started.stop()
