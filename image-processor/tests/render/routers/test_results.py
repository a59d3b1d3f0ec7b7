"""Responses for results that disappear from the cache before they are sent."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from image_processor.render.cache import Stored
from image_processor.render.routers.results import response_of
from image_processor.render.service import Result
from starlette.responses import Response


def body_of(paths: Sequence[Path]) -> bytes:
    """Return the body sent when the results are at these paths, one after the other."""
    results = iter(paths)

    async def find() -> Result:
        return Result(Stored(next(results), ".webp", 3), "hit")

    response = asyncio.run(response_of(find, lambda result: Response(result.stored.path.read_bytes())))
    return bytes(response.body)


@pytest.fixture
def present(tmp_path: Path) -> Path:
    path = tmp_path / "present"
    path.write_bytes(b"new")
    return path


def test_a_result_that_went_from_the_cache_is_found_again(tmp_path: Path, present: Path) -> None:
    assert body_of([tmp_path / "gone", present]) == b"new"


def test_a_result_is_looked_for_once_where_it_stays(present: Path) -> None:
    assert body_of([present]) == b"new"


def test_a_result_that_goes_twice_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        body_of([tmp_path / "gone", tmp_path / "gone"])
