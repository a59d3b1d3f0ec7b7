"""The columns of an index are JSON, whole or compressed."""

import gzip
import json
from itertools import accumulate

import pytest
from file_storage.sending.columns import PART, columns_of, compressed

Cells = tuple[int, int | None, int | None]


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


def test_compressed_columns_are_the_same() -> None:
    pieces = [b'{"ids":[', b"1" * 100_000, b"]}"]

    assert gzip.decompress(b"".join(compressed(pieces))) == b"".join(pieces)
