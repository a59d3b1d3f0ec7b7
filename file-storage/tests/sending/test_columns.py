"""The columns of an index are JSON, whole or compressed."""

import gzip
import json
from collections.abc import Iterator

import pytest
from file_storage.sending.columns import PART, columns_of, compressed
from sqlalchemy import Connection, Integer, bindparam, create_engine, select

Cells = tuple[int, int | None, int | None]


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with create_engine("sqlite://").connect() as opened:
        yield opened


def sent(connection: Connection, parts: list[list[Cells]]) -> bytes:
    columns = [bindparam(name, type_=Integer).label(name) for name in ("id", "width", "height")]
    rows = [
        [connection.execute(select(*columns), dict(zip(("id", "width", "height"), cells, strict=True))).one()]
        for part in parts
        for cells in part
    ]
    return b"".join(columns_of(rows))


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
def test_columns_have_a_row_for_each_file(
    connection: Connection, parts: list[list[Cells]], ids: list[int], ratios: list[float | None]
) -> None:
    assert json.loads(sent(connection, parts)) == {"ids": ids, "ratios": ratios, "total": len(ids)}


def test_many_ratios_are_written_in_parts(connection: Connection) -> None:
    row = connection.execute(select(bindparam("id", 7), bindparam("w", 3), bindparam("h", 2))).one()

    pieces = list(columns_of([[row] * PART, [row] * 3]))

    assert json.loads(b"".join(pieces))["ratios"] == [1.5] * (PART + 3)
    assert max(map(len, pieces)) < 5 * PART


def test_compressed_columns_are_the_same() -> None:
    pieces = [b'{"ids":[', b"1" * 100_000, b"]}"]

    assert gzip.decompress(b"".join(compressed(pieces))) == b"".join(pieces)
