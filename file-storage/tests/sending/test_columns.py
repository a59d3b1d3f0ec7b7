"""The columns of an index are JSON, whole or compressed."""

import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from os import urandom
from random import Random

import pytest
from file_storage.sending.columns import BUFFERED, PART, columns_of, compressed

Cells = tuple[int, int | None, int | None]

FILES = 100_000


@pytest.mark.parametrize(
    ("parts", "ids", "ratios"),
    [
        ([], [], []),
        ([[]], [], []),
        ([[(7, 300, 200)]], [7], [1.5]),
        ([[(9, 2, 3), (7, None, None)], [(8, 1, 1)]], [9, 7, 8], [0.67, None, 1]),
        ([[(1, 100_000, 1), (2, 1, 100_000)]], [1, 2], [655.35, 0.01]),
    ],
)
def test_columns_have_a_row_for_each_file(parts: list[list[Cells]], ids: list[int], ratios: list[float | None]) -> None:
    assert json.loads(b"".join(columns_of(parts))) == {"ids": ids, "ratios": ratios, "total": len(ids)}


def test_the_sums_of_the_deltas_are_the_ids() -> None:
    rows = [(5, 3, 2), (9, 3, 2), (7, 3, 2)]

    answer = json.loads(b"".join(columns_of([rows[:2], [], rows[2:]], as_deltas=True)))

    assert answer["deltas"] == [5, 4, -2]
    assert list(accumulate(answer["deltas"])) == [5, 9, 7]
    assert answer.keys() == {"deltas", "ratios", "total"}


def test_many_ratios_are_written_in_parts() -> None:
    row = (7, 3, 2)

    pieces = list(columns_of([[row] * PART, [row] * 3]))

    assert json.loads(b"".join(pieces))["ratios"] == [1.5] * (PART + 3)
    assert max(map(len, pieces)) < 5 * PART


@pytest.mark.parametrize("length", [100_000, BUFFERED + 1])
def test_compressed_columns_are_the_same(length: int) -> None:
    pieces = [b'{"ids":[', b"1" * length, b"]}"]

    assert gzip.decompress(b"".join(compressed(pieces))) == b"".join(pieces)


def test_a_very_long_index_is_compressed_while_it_is_generated() -> None:
    generated = 0

    def pieces() -> Iterator[bytes]:
        nonlocal generated
        for _ in range(8):
            generated += 1
            yield urandom(BUFFERED // 4)

    next(compressed(pieces()))

    assert generated == 5


@pytest.mark.parametrize("first", [1, 1_000_000])
@pytest.mark.parametrize(
    "ids_of",
    [
        pytest.param(lambda first: range(first, first + FILES), id="oldest first"),
        pytest.param(lambda first: range(first + FILES, first, -1), id="newest first"),
        pytest.param(lambda first: sorted(Random(1).sample(range(first, first + 3 * FILES), FILES)), id="gaps"),
    ],
)
def test_the_index_of_100_000_files_in_the_order_of_ids_has_at_most_250_kb(
    ids_of: Callable[[int], Sequence[int]], first: int
) -> None:
    shapes = [(3, 2), (4, 3), (2, 3), (3, 4), (16, 9), (9, 16), (1, 1), (8, 5)]
    rows = [(file_id, *shape) for file_id, shape in zip(ids_of(first), Random(2).choices(shapes, k=FILES), strict=True)]

    assert len(b"".join(compressed(columns_of([rows])))) <= 250_000
