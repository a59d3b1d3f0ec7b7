"""The bytes that a range selects, and their form in a response (RFC 9110, 14 and 15.3.7)."""

import random
from collections.abc import Sequence
from io import BytesIO

import pytest
from file_storage.sending.ranges import bytes_of, partial_content, spans
from file_storage.storage import READ_BYTES
from flask import Response
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import DomainError
from werkzeug.datastructures import Range
from werkzeug.http import parse_range_header

CONTENT = random.Random(9110).randbytes(1000)

Spec = tuple[int, int | None]
"""A range in werkzeug's form: the first offset and the offset after the last byte, or a negative suffix length."""

specs = st.one_of(
    st.tuples(st.integers(0, 60), st.integers(1, 60)).map(lambda ends: (ends[0], ends[0] + ends[1])),
    st.tuples(st.integers(-60, 60), st.none()).filter(lambda spec: spec[0] != 0),
    st.just((0, None)),
)


def wanted(header: str) -> Range:
    parsed = parse_range_header(header)
    assert parsed is not None
    return parsed


def offsets_named(specs: Sequence[Spec], size: int) -> set[int]:
    """Return the offsets that RFC 9110, 14.1.2 selects: by position, or by distance from the end for a suffix range."""
    return {
        offset
        for offset in range(size)
        for first, stop in specs
        if (offset >= size + first if first < 0 else first <= offset and (stop is None or offset < stop))
    }


def byteranges(body: bytes, boundary: str) -> list[tuple[list[str], bytes]]:
    """Return the header lines and the bytes of each part, by the grammar of RFC 2046, 5.1.1."""
    preamble, *parts, epilogue = body.split(f"\r\n--{boundary}".encode())
    assert (preamble, epilogue) == (b"", b"--\r\n")
    split = [part.split(b"\r\n\r\n", 1) for part in parts]
    return [(head.decode().removeprefix("\r\n").split("\r\n"), content) for head, content in split]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        # The examples of RFC 9110, 14.1.2, for a representation of 10,000 bytes.
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 1000)]),
        ("bytes=-500", [(9500, 10_000)]),
        ("bytes=9500-", [(9500, 10_000)]),
        ("bytes=0-0,-1", [(0, 1), (9999, 10_000)]),
        ("bytes= 0-999, 4500-5499, -1000", [(0, 1000), (4500, 5500), (9000, 10_000)]),
        ("bytes=500-600,601-999", [(500, 601), (601, 1000)]),
    ],
)
def test_the_examples_of_rfc_9110_select_their_bytes(header: str, expected: list[tuple[int, int]]) -> None:
    assert spans(wanted(header), 10_000) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 10)),
        ("bytes=0-8", (0, 9)),
        ("bytes=0-9", (0, 10)),
        ("bytes=0-10", (0, 10)),
        ("bytes=8-9", (8, 10)),
        ("bytes=9-", (9, 10)),
        ("bytes=9-9", (9, 10)),
        ("bytes=9-10", (9, 10)),
        ("bytes=-1", (9, 10)),
        ("bytes=-9", (1, 10)),
        ("bytes=-10", (0, 10)),
        ("bytes=-11", (0, 10)),
    ],
)
def test_a_range_ends_with_the_file_and_includes_both_of_its_ends(header: str, expected: tuple[int, int]) -> None:
    assert spans(wanted(header), 10) == [expected]


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=10-10", "bytes=11-", "bytes=10-20,30-"])
def test_a_range_after_the_last_byte_selects_nothing(header: str) -> None:
    assert spans(wanted(header), 10) == []


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=1-", "bytes=-1"])
def test_no_range_selects_a_byte_of_an_empty_file(header: str) -> None:
    assert spans(wanted(header), 0) == []


def test_ranges_outside_the_file_are_skipped() -> None:
    assert spans(wanted("bytes=2-3,9-12,20-30"), 10) == [(2, 4), (9, 10)]


@given(specs=st.lists(specs, min_size=1, max_size=5), size=st.integers(0, 50))
def test_the_parts_have_exactly_the_selected_bytes(specs: list[Spec], size: int) -> None:
    parts = spans(Range("bytes", specs), size)

    assert {offset for first, stop in parts for offset in range(first, stop)} == offsets_named(specs, size)


@given(specs=st.lists(specs, min_size=1, max_size=5), size=st.integers(0, 50))
def test_every_part_is_within_the_file_and_not_empty(specs: list[Spec], size: int) -> None:
    parts = spans(Range("bytes", specs), size)

    assert all(0 <= first < stop <= size for first, stop in parts)


def test_bytes_that_two_parts_share_are_counted_twice() -> None:
    assert bytes_of([(0, 10), (5, 7), (9, 10)]) == 10 + 2 + 1


def test_no_parts_have_no_bytes() -> None:
    assert bytes_of([]) == 0


@pytest.mark.parametrize(
    ("part", "content_range"),
    [
        ((0, 1), "bytes 0-0/1000"),
        ((0, 1000), "bytes 0-999/1000"),
        ((1, 999), "bytes 1-998/1000"),
        ((999, 1000), "bytes 999-999/1000"),
    ],
)
def test_a_single_part_gets_206_with_its_position(part: tuple[int, int], content_range: str) -> None:
    response = Response(content_type="image/png")

    partial_content(response, BytesIO(CONTENT), [part], 1000)

    assert response.status_code == 206
    assert response.headers["Content-Range"] == content_range
    assert response.headers["Content-Type"] == "image/png"


@given(first=st.integers(0, 999), length=st.integers(1, 1000))
def test_a_single_part_has_the_bytes_of_the_file_at_its_position(first: int, length: int) -> None:
    part, response = (first, min(first + length, 1000)), Response()

    body = b"".join(partial_content(response, BytesIO(CONTENT), [part], 1000))

    assert body == CONTENT[first : first + length]
    assert response.headers["Content-Length"] == str(len(body))


@pytest.mark.parametrize("length", [READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, 2 * READ_BYTES, 2 * READ_BYTES + 1])
def test_a_part_longer_than_a_chunk_is_sent_whole_and_in_order(length: int) -> None:
    content = random.Random(length).randbytes(length + 20)

    body = b"".join(partial_content(Response(), BytesIO(content), [(10, 10 + length)], len(content)))

    assert body == content[10:-10]


def test_no_piece_is_longer_than_a_chunk() -> None:
    content = bytes(3 * READ_BYTES + 5)

    pieces = list(partial_content(Response(), BytesIO(content), [(0, len(content))], len(content)))

    assert max(map(len, pieces)) == READ_BYTES


def test_several_parts_each_have_their_type_and_position() -> None:
    response = Response(content_type="text/plain; charset=utf-8")

    body = b"".join(partial_content(response, BytesIO(CONTENT), [(0, 1), (500, 600), (999, 1000)], 1000))

    heads = [head for head, _ in byteranges(body, response.mimetype_params["boundary"])]
    assert heads == [
        ["Content-Type: text/plain; charset=utf-8", "Content-Range: bytes 0-0/1000"],
        ["Content-Type: text/plain; charset=utf-8", "Content-Range: bytes 500-599/1000"],
        ["Content-Type: text/plain; charset=utf-8", "Content-Range: bytes 999-999/1000"],
    ]


def test_several_parts_get_206_without_a_content_range_header() -> None:
    response = Response()

    partial_content(response, BytesIO(CONTENT), [(0, 1), (500, 600)], 1000)

    assert (response.status_code, response.mimetype) == (206, "multipart/byteranges")
    assert "Content-Range" not in response.headers


@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(1, 1000)), min_size=2, max_size=6).map(
        lambda pairs: [(first, min(first + length, 1000)) for first, length in pairs]
    )
)
def test_several_parts_have_the_bytes_of_the_file_at_their_positions(parts: list[tuple[int, int]]) -> None:
    response = Response()

    body = b"".join(partial_content(response, BytesIO(CONTENT), parts, 1000))

    found = [content for _, content in byteranges(body, response.mimetype_params["boundary"])]
    assert found == [CONTENT[first:stop] for first, stop in parts]
    assert response.headers["Content-Length"] == str(len(body))


def test_two_responses_have_different_boundaries() -> None:
    first, second = Response(), Response()

    for response in (first, second):
        partial_content(response, BytesIO(CONTENT), [(0, 1), (2, 3)], 1000)

    assert first.mimetype_params["boundary"] != second.mimetype_params["boundary"]


@pytest.mark.parametrize("parts", [[(0, 1000)], [(0, 10), (990, 1000)], [(999, 1000)]])
def test_a_file_that_has_become_shorter_raises_bytes_lost(parts: list[tuple[int, int]]) -> None:
    pieces = partial_content(Response(), BytesIO(CONTENT[:-1]), parts, 1000)

    with pytest.raises(DomainError) as raised:
        list(pieces)

    assert raised.value.kind == "bytes-lost"
