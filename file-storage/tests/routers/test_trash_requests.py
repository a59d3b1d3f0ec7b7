"""Requests that delete, restore and empty, and their responses."""

from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime

import pytest
from flask.testing import FlaskClient

DAY = 86_400
MANY = list(range(1, 10_002))

NOTHING_CHOSEN = "either ids or filter"
BAD: dict[str, tuple[str, object, int, str]] = {
    "delete without a body": ("/delete", None, 415, "application/json"),
    "delete nothing": ("/delete", {}, 422, NOTHING_CHOSEN),
    "delete by both": ("/delete", {"ids": [1], "filter": {"name": "a"}}, 422, NOTHING_CHOSEN),
    "delete null": ("/delete", {"ids": None}, 422, NOTHING_CHOSEN),
    "delete by null and a filter": ("/delete", {"ids": None, "filter": {"name": "a"}}, 422, NOTHING_CHOSEN),
    "delete no ids": ("/delete", {"ids": []}, 422, "ids"),
    "delete too many": ("/delete", {"ids": MANY}, 422, "10000"),
    "delete an id that is text": ("/delete", {"ids": ["1"]}, 422, "integer"),
    "delete an id that is true": ("/delete", {"ids": [True]}, 422, "integer"),
    "delete an id with a fraction": ("/delete", {"ids": [1.5]}, 422, "integer"),
    "delete the id 0": ("/delete", {"ids": [0]}, 422, "greater"),
    "delete an id beyond 2^63": ("/delete", {"ids": [2**63]}, 422, "less"),
    "delete a list": ("/delete", [1], 422, '"pointer": ""'),
    "delete with an unknown field": ("/delete", {"ids": [1], "forever": True}, 422, "forever"),
    "an empty filter": ("/delete", {"filter": {}}, 422, "every file"),
    "a filter of an empty text": ("/delete", {"filter": {"name": ""}}, 422, "every file"),
    "a filter of the folder above all": ("/delete", {"filter": {"folder": "/"}}, 422, "every file"),
    "a filter of a folder that nobody sees": ("/delete", {"filter": {"folder": " /\u200e"}}, 422, "every file"),
    "a filter of null": ("/delete", {"filter": {"name": None}}, 422, "every file"),
    "a filter that only sorts": ("/delete", {"filter": {"sort": "-size"}}, 422, "remove sort"),
    "a filter with a page": ("/delete", {"filter": {"name": "a", "limit": 1}}, 422, "remove limit"),
    "a filter of a folder that leads elsewhere": (
        "/delete",
        {"filter": {"folder": "../a"}},
        422,
        '"pointer": "/filter/folder"',
    ),
    "a filter of a folder that is too long": (
        "/delete",
        {"filter": {"folder": "a" * 501}},
        422,
        '"pointer": "/filter/folder"',
    ),
    "a filter of a task that is text": ("/delete", {"filter": {"task_id": ["5"]}}, 422, "task_id should be"),
    "an unknown filter": ("/delete", {"filter": {"color": "red"}}, 422, "/filter/color"),
    "an unknown filter, with the known ones": ("/delete", {"filter": {"x": 1}}, 422, "the fields are: name, q,"),
    "a filter of the wrong type": ("/delete", {"filter": {"size_min": "5"}}, 422, "size_min should be"),
    "a filter that is true": ("/delete", {"filter": {"size_min": True}}, 422, "size_min should be"),
    "a filter below the least": ("/delete", {"filter": {"size_min": -1}}, 422, "/filter/size_min"),
    "a filter with a number as time": ("/delete", {"filter": {"created_after": 1}}, 422, "created_after should be"),
    "a filter of null and another": ("/delete", {"filter": {"name": None, "size_min": 0}}, 422, "every file"),
    "a filter with a wrong time": ("/delete", {"filter": {"created_after": "1"}}, 422, "/filter/created_after"),
    "a filter that is text": ("/delete", {"filter": "name"}, 422, "/filter"),
    "restore without a body": ("/restore", None, 415, "application/json"),
    "restore nothing": ("/restore", {}, 422, "ids"),
    "restore no ids": ("/restore", {"ids": []}, 422, "ids"),
    "restore too many": ("/restore", {"ids": MANY}, 422, "10000"),
    "restore text": ("/restore", {"ids": ["1"]}, 422, "integer"),
    "restore by a filter": ("/restore", {"ids": [1], "filter": {"name": "a"}}, 422, "filter"),
    "empty without a body": ("/trash/empty", None, 415, "application/json"),
    "empty of no ids": ("/trash/empty", {"ids": []}, 422, "ids"),
    "empty of null": ("/trash/empty", {"ids": None}, 422, "ids"),
    "empty of too many": ("/trash/empty", {"ids": MANY}, 422, "10000"),
    "empty with an unknown field": ("/trash/empty", {"all": True}, 422, "all"),
}
BAD_QUERIES = {
    "limit=0": 422,
    "limit=10001": 422,
    "limit=x": 422,
    "name=a": 422,
    "after=x": 422,
    "after=" + "1" * 101: 422,
    "after=1": 404,
}


@pytest.fixture(scope="module")
def client(start: Callable[[str], FlaskClient]) -> FlaskClient:
    return start(str(DAY))


@pytest.fixture
def ids(client: FlaskClient) -> Iterator[list[int]]:
    """Return the ids of the only files."""
    names = ("a.txt", "b.txt", "c.bin")
    yield [client.put(f"/{name}", data=name.encode()).get_json()["id"] for name in names]
    client.post("/delete", json={"filter": {"size_min": 0}})
    client.post("/trash/empty", json={})


def listed(client: FlaskClient) -> list[int]:
    return [file["id"] for file in client.get("/").get_json()]


@pytest.mark.parametrize(("path", "body", "status", "word"), BAD.values(), ids=BAD.keys())
def test_a_bad_request_is_refused_and_deletes_nothing(
    client: FlaskClient, ids: list[int], path: str, body: object, status: int, word: str
) -> None:
    response = client.post(path) if body is None else client.post(path, json=body)

    assert (response.status_code, response.mimetype) == (status, "application/problem+json")
    assert word in response.get_data(as_text=True)
    assert listed(client) == ids


@pytest.mark.parametrize(("query", "status"), BAD_QUERIES.items())
def test_a_bad_query_of_the_trash_is_refused(client: FlaskClient, query: str, status: int) -> None:
    response = client.get(f"/trash?{query}")

    assert (response.status_code, response.mimetype) == (status, "application/problem+json")


def test_deleted_files_are_named_with_the_time_until_which_they_can_be_restored(
    client: FlaskClient, ids: list[int]
) -> None:
    response = client.post("/delete", json={"ids": [ids[1], ids[0], 999_999]})

    answer = response.get_json()
    until = parsedate_to_datetime(answer.pop("restore_until"))
    [first, *_] = client.get("/trash").get_json()
    assert (response.status_code, answer) == (200, {"deleted": 2, "ids": ids[:2], "more": False})
    assert until == parsedate_to_datetime(first["restore_until"])
    assert (until - parsedate_to_datetime(first["deleted_at"])).total_seconds() == DAY


@pytest.mark.parametrize("extension", ["txt", ["txt"], ["txt", "none"]])
def test_files_are_deleted_by_the_filters_of_a_list(client: FlaskClient, ids: list[int], extension: object) -> None:
    answer = client.post("/delete", json={"filter": {"extension": extension}}).get_json()

    assert (answer["deleted"], answer["ids"]) == (2, ids[:2])
    assert listed(client) == ids[2:]


@pytest.mark.parametrize("extension", ["", [""]])
def test_files_without_an_extension_are_deleted_by_an_empty_one(
    client: FlaskClient, ids: list[int], extension: object
) -> None:
    plain = client.put("/plain", data=b"plain").get_json()["id"]

    answer = client.post("/delete", json={"filter": {"extension": extension}}).get_json()

    assert answer["ids"] == [plain]
    assert listed(client) == ids


def test_the_trash_shows_files_as_a_list_does_and_has_pages(client: FlaskClient, ids: list[int]) -> None:
    before = {file["id"]: file for file in client.get("/").get_json()}
    client.post("/delete", json={"ids": ids})

    first = client.get("/trash?limit=2")
    place = first.headers["Link"].partition("<")[2].partition(">")[0]
    second = client.get(place)

    shown = first.get_json() + second.get_json()
    assert [file["id"] for file in shown] == ids[::-1]
    assert "Link" not in second.headers
    for file in shown:
        assert file.keys() - before[file["id"]].keys() == {"deleted_at", "restore_until"}
        assert before[file["id"]].items() <= file.items()


def test_restored_files_are_named(client: FlaskClient, ids: list[int]) -> None:
    client.post("/delete", json={"ids": ids[:2]})

    first = client.post("/restore", json={"ids": [ids[1], ids[2], 999_999]})
    again = client.post("/restore", json={"ids": [ids[1]]})

    assert (first.status_code, first.get_json()) == (200, {"restored": 1, "ids": [ids[1]]})
    assert again.get_json() == {"restored": 0, "ids": []}
    assert listed(client) == ids[1:]


def test_the_trash_is_emptied_of_some_and_of_all(client: FlaskClient, ids: list[int]) -> None:
    client.post("/delete", json={"ids": ids})

    some = client.post("/trash/empty", json={"ids": [ids[0], 999_999]})
    rest = client.post("/trash/empty", json={})
    again = client.post("/trash/empty", json={})

    assert (some.status_code, some.get_json()) == (200, {"removed": 1, "more": False})
    assert (rest.get_json(), again.get_json()) == ({"removed": 2, "more": False}, {"removed": 0, "more": False})
    assert client.post("/restore", json={"ids": ids}).get_json() == {"restored": 0, "ids": []}


def test_emptying_the_trash_leaves_files_that_are_not_in_it(client: FlaskClient, ids: list[int]) -> None:
    client.post("/trash/empty", json={"ids": ids})

    assert listed(client) == ids
