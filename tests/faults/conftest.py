"""A full stack of its own for each module of faults: nobody else shall meet it broken."""

from collections.abc import Iterator

import pytest

from tests.conftest import start, temporary_folder
from tests.faults.breakage import LEASE
from tests.stacks import FullStack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FullStack]:
    started = start("full", temporary_folder(tmp_path_factory, "faults"), LEASE)
    assert isinstance(started, FullStack)
    yield started
    started.stop()
