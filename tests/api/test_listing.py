"""Lists of files: filters, order and pages."""

import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.support.client import FILES, Served, assert_problem
from tests.support.images import photo
from tests.support.stacks import Stack

pytestmark = pytest.mark.both_stacks

NAMES = ["Ёлка зимой.JPG", "straße.png", "50%_off.txt", "b.txt", "a.txt", "c.txt"]
CONTENTS = [photo(60, 40, format="JPEG"), photo(10, 30), b"words of all sorts", b"xx", b"xx", b"x"]


def cursor(text: str) -> str:
    return urlsafe_b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def mark() -> str:
    """Return a name prefix that only the files of this module have."""
    return f"listing-{time.time_ns()} "


@pytest.fixture(scope="module")
def ids(stack: Stack, mark: str) -> Iterator[dict[str, object]]:
    """Return the ids of the files by their names."""
    with Served(stack.url) as pixmill:
        yield {
            name: pixmill.files.upload(content, name=mark + name).id
            for name, content in zip(NAMES, CONTENTS, strict=True)
        }


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, NAMES),
        ({"name": "ЁЛКА"}, ["Ёлка зимой.JPG"]),
        ({"name": "зим"}, ["Ёлка зимой.JPG"]),
        ({"name": "ЁЛ"}, ["Ёлка зимой.JPG"]),
        ({"name": "Ж"}, []),
        ({"name": "SSE"}, ["straße.png"]),
        ({"name": "ß"}, ["straße.png"]),
        ({"name": "STRASSE"}, ["straße.png"]),
        ({"name": "%"}, ["50%_off.txt"]),
        ({"name": "0%_O"}, ["50%_off.txt"]),
        ({"name": "_"}, ["50%_off.txt"]),
        ({"name": "nothing like this"}, []),
        ({"extension": "jpg"}, ["Ёлка зимой.JPG"]),
        ({"extension": ".PNG"}, ["straße.png"]),
        ({"media_type": "image/jpeg"}, ["Ёлка зимой.JPG"]),
        ({"media_type": "image/*"}, ["Ёлка зимой.JPG", "straße.png"]),
        ({"media_type": "text/plain", "size_min": "2"}, ["50%_off.txt", "b.txt", "a.txt"]),
        ({"size_max": "2"}, ["b.txt", "a.txt", "c.txt"]),
        ({"size_min": "2", "size_max": "2"}, ["b.txt", "a.txt"]),
        ({"size_max": "2", "sort": "name"}, ["a.txt", "b.txt", "c.txt"]),
        ({"size_max": "2", "sort": "-name"}, ["c.txt", "b.txt", "a.txt"]),
        ({"size_max": "2", "sort": "size"}, ["c.txt", "b.txt", "a.txt"]),
        ({"size_max": "2", "sort": "-size"}, ["a.txt", "b.txt", "c.txt"]),
        ({"sort": "created_at"}, NAMES),
        ({"sort": "-created_at"}, NAMES[::-1]),
        ({"sort": "-id"}, NAMES[::-1]),
    ],
)
def test_files_are_found(
    pixmill: Served, mark: str, ids: dict[str, object], query: dict[str, str], names: list[str]
) -> None:
    found = [file["id"] for file in pixmill.http.get(f"{FILES}/", params=query).raise_for_status().json()]

    assert [file_id for file_id in found if file_id in ids.values()] == [ids[name] for name in names]


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "size", "-size", "created_at", "-created_at"])
def test_pages_follow_each_other_in_every_order(pixmill: Served, mark: str, ids: dict[str, object], sort: str) -> None:
    query = {"name": mark, "sort": sort}
    whole = [file["id"] for file in pixmill.http.get(f"{FILES}/", params=query).json()]

    paged = []
    response = pixmill.http.get(f"{FILES}/", params=query | {"limit": "2"})
    paged += [file["id"] for file in response.json()]
    while "next" in response.links:
        response = pixmill.http.get(response.links["next"]["url"])
        paged += [file["id"] for file in response.json()]

    assert paged == whole
    assert set(paged) == set(ids.values())


def test_files_are_found_by_their_time(pixmill: Served, mark: str, ids: dict[str, object]) -> None:
    file_id = pixmill.files.upload(b"1", name=f"{mark}first.txt").id
    time.sleep(0.05)
    between = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    time.sleep(0.05)
    later_id = pixmill.files.upload(b"2", name=f"{mark}second.txt").id

    later = pixmill.http.get(f"{FILES}/", params={"name": mark, "created_after": between}).json()
    earlier = pixmill.http.get(f"{FILES}/", params={"name": mark, "created_before": between}).json()

    assert [file["id"] for file in later] == [later_id]
    assert {file["id"] for file in earlier} == {*ids.values(), file_id}
    for each in (file_id, later_id):
        pixmill.http.delete(f"{FILES}/{each}")


def test_a_renamed_file_is_found_by_its_new_name(pixmill: Served, mark: str) -> None:
    file_id = pixmill.files.upload(b"1", name=f"{mark}before.txt").id
    pixmill.http.patch(f"{FILES}/{file_id}", json={"name": f"{mark} Nachher"})

    found = pixmill.http.get(f"{FILES}/", params={"name": f"{mark} NACHHER.TXT"}).json()

    assert [file["id"] for file in found] == [file_id]
    pixmill.http.delete(f"{FILES}/{file_id}")


def test_a_file_has_the_type_and_size_of_its_content(pixmill: Served) -> None:
    file = pixmill.files.upload(photo(12, 34), name="a.txt")

    assert (file.media_type, file.width, file.height) == ("image/png", 12, 34)
    headers = pixmill.http.get(f"{FILES}/{file.id}/download").headers
    assert headers["Content-Type"] == "image/png"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"sort": "colour"}, "sort"),
        ({"size_min": "-1"}, "size_min"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "12.5"}, "created_after"),
        ({"after": "/"}, "after"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_wrong_query_is_refused(pixmill: Served, query: dict[str, str], field: str) -> None:
    response = pixmill.http.get(f"{FILES}/", params=query)

    assert_problem(response, 422, "")
    assert response.json()["errors"][0]["pointer"] == f"/{field}"


@pytest.mark.parametrize(
    "query",
    [
        {"after": "x"},
        {"after": "12", "sort": "name"},
        {"after": "WzEsIDJd", "sort": "name"},
        {"after": "99999999999999999999"},
        {"after": "WzEsIC0xXQ==", "sort": "size"},
        {"after": cursor("[NaN, 1]"), "sort": "size"},
        {"after": cursor("[1e400, 1]"), "sort": "created_at"},
        {"after": cursor("[123456789012345678901234567890, 1]"), "sort": "size"},
        {"after": cursor('["\\u0000", 1]'), "sort": "name"},
        {"after": cursor('["\\ud800", 1]'), "sort": "name"},
        {"after": cursor("[[1], 1]"), "sort": "size"},
        {"after": cursor("[true, 1]"), "sort": "size"},
        {"after": cursor("[1, true]"), "sort": "size"},
        {"after": cursor("{}"), "sort": "size"},
    ],
)
def test_an_invalid_cursor_is_refused(pixmill: Served, query: dict[str, str]) -> None:
    assert_problem(pixmill.http.get(f"{FILES}/", params=query), 404, "Link header")
