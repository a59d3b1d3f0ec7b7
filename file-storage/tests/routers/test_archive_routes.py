"""Archives by ids and by filters, the batch of a result file, and contradicting filters."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from zipfile import ZipFile

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.environment import WORKER_SECRET

LIMIT = 3


@pytest.fixture(scope="module")
def client(start: Callable[[str], FlaskClient]) -> FlaskClient:
    """Return a client of a server with the files 1 to 4: three results of batch 7, and one of batch 8."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FILE_STORAGE_ARCHIVE__MAX_FILES", str(LIMIT))
        client = start("86400")
    for number, batch_id in enumerate((7, 7, 7, 8), 1):
        claims = {"X-Pixmill-Source-Id": "1", "X-Pixmill-Task-Id": str(number), "X-Pixmill-Batch-Id": str(batch_id)}
        stored = client.put("/", query_string={"name": f"{number}.txt"}, data=b"content", headers=worker() | claims)
        assert stored.status_code == 201, stored.text
    return client


def worker() -> dict[str, str]:
    return {"Authorization": f"Bearer {WORKER_SECRET}", "X-Pixmill-Owner": "local"}


def names_in(response: TestResponse) -> Sequence[str]:
    assert response.status_code == 200, response.text
    return ZipFile(BytesIO(response.data)).namelist()


def test_a_result_says_of_which_batch_it_is(client: FlaskClient) -> None:
    assert json.loads(client.get("/1").data)["batch_id"] == 7


def test_an_archive_has_the_results_of_a_batch(client: FlaskClient) -> None:
    assert names_in(client.get("/archive?batch_id=7")) == ["1.txt", "2.txt", "3.txt"]


def test_an_archive_has_its_files_in_the_order_of_the_list(client: FlaskClient) -> None:
    assert names_in(client.get("/archive?batch_id=7&sort=-id")) == ["3.txt", "2.txt", "1.txt"]


def test_an_archive_takes_every_filter(client: FlaskClient) -> None:
    assert names_in(client.get("/archive?batch_id=7&name=2")) == ["2.txt"]


def test_lists_and_the_index_are_filtered_by_batch(client: FlaskClient) -> None:
    assert [file["id"] for file in json.loads(client.get("/?batch_id=8").data)] == [4]
    assert json.loads(client.get("/index?batch_id=7").data)["ids"] == [1, 2, 3]


def test_the_results_of_a_batch_are_deleted_and_restored(client: FlaskClient) -> None:
    deleted = json.loads(client.post("/delete", json={"filter": {"batch_id": 8}}).data)["ids"]
    listed_meanwhile = json.loads(client.get("/?batch_id=8").data)
    client.post("/restore", json={"ids": [4]})

    assert (deleted, listed_meanwhile) == ([4], [])
    assert [file["id"] for file in json.loads(client.get("/?batch_id=8").data)] == [4]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("", 422, "invalid-fields"),
        ("sort=-id", 422, "invalid-fields"),
        ("id=1&batch_id=7", 422, "invalid-fields"),
        ("id=1&sort=name", 422, "invalid-fields"),
        ("batch_id=0", 422, "invalid-fields"),
        ("batch_id=seven", 422, "invalid-fields"),
        ("batch_id=7&batch_id=8", 422, "invalid-fields"),
        (f"batch_id={2**63}", 422, "invalid-fields"),
        ("batch_id=7&limit=1", 422, "invalid-fields"),
        ("batch_id=99", 404, "archive-empty"),
        ("source_id=1", 422, "archive-too-large"),
        ("id=1&id=2&id=3&id=4", 422, "archive-too-large"),
        ("id=99", 404, "file-not-found"),
    ],
)
def test_an_archive_that_cannot_be_is_refused(client: FlaskClient, query: str, status: int, code: str) -> None:
    refused = client.get(f"/archive?{query}")

    assert (refused.status_code, json.loads(refused.data)["code"]) == (status, code), refused.text


def test_an_archive_that_is_too_large_names_the_limit(client: FlaskClient) -> None:
    assert json.loads(client.get("/archive?source_id=1").data)["context"] == {"limit": LIMIT}


def test_a_file_that_is_named_twice_counts_once(client: FlaskClient) -> None:
    assert names_in(client.post("/archive", json={"ids": [1, 2, 2, 3, 3]})) == ["1.txt", "2.txt", "3.txt"]


def test_only_our_own_processes_say_of_which_batch_a_file_is(client: FlaskClient) -> None:
    refused = client.put("/", query_string={"name": "a"}, data=b"a", headers={"X-Pixmill-Batch-Id": "7"})

    assert (refused.status_code, json.loads(refused.data)["code"]) == (403, "services-only")


@pytest.mark.parametrize("path", ["/", "/index", "/archive"])
@pytest.mark.parametrize(
    ("lower", "upper", "values"),
    [
        ("size_min", "size_max", ("2", "1")),
        ("created_after", "created_before", ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z")),
        ("created_after", "created_before", ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00")),
        ("taken_after", "taken_before", ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00+01:00")),
    ],
)
def test_a_range_that_holds_nothing_is_refused_by_both_names(
    client: FlaskClient, path: str, lower: str, upper: str, values: tuple[str, str]
) -> None:
    refused = client.get(path, query_string=dict(zip((lower, upper), values, strict=True)))

    assert refused.status_code == 422
    assert [(error["pointer"], error["code"], error["context"]) for error in json.loads(refused.data)["errors"]] == [
        (f"/{name}", "contradicting_range", {"lower": lower, "upper": upper}) for name in (lower, upper)
    ]


def test_a_deletion_takes_no_range_that_holds_nothing(client: FlaskClient) -> None:
    refused = client.post("/delete", json={"filter": {"size_min": 2, "size_max": 1}})

    assert refused.status_code == 422
    assert [error["pointer"] for error in json.loads(refused.data)["errors"]] == [
        "/filter/size_min",
        "/filter/size_max",
    ]


def test_a_range_of_times_may_be_short(client: FlaskClient) -> None:
    between = {"created_after": "2026-01-01T00:00:00Z", "created_before": "2026-01-01T00:00:00.000001Z"}

    assert client.get("/", query_string=between).status_code == 200


def test_a_range_may_hold_one_value(client: FlaskClient) -> None:
    assert len(json.loads(client.get("/?size_min=7&size_max=7").data)) == 4


def test_a_lookup_of_nothing_is_refused(client: FlaskClient) -> None:
    refused = client.post("/lookup", json={})

    assert (refused.status_code, [error["pointer"] for error in json.loads(refused.data)["errors"]]) == (
        422,
        ["/ids", "/sha256"],
    )
    assert json.loads(client.post("/lookup", json={"ids": []}).data) == {"files": []}


def test_a_lookup_of_many_files_is_sent_in_pieces_and_a_short_one_with_its_length(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = client.post("/lookup", json={"ids": [4, 2, 1]})
    monkeypatch.setattr("file_storage.routers.files.LOOKUP_PART", 2)
    monkeypatch.setattr("service_kit.paging.PIECE_BYTES", 1)

    pieces = list(client.post("/lookup", json={"ids": [4, 2, 1]}, buffered=False).iter_encoded())

    assert [file["id"] for file in json.loads(short.data)["files"]] == [1, 2, 4]
    assert short.headers["Content-Length"] == str(len(short.data))
    assert b"".join(pieces) == short.data
    assert len(pieces) > 3


def test_an_archive_of_ids_in_a_body_has_their_order(client: FlaskClient) -> None:
    archive = client.post("/archive", json={"ids": [4, 1, 4]})

    assert names_in(archive) == ["4.txt", "1.txt"]
    assert archive.headers["Content-Length"] == str(len(archive.data))


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        ({"filter": {"batch_id": 7}}, ["1.txt", "2.txt", "3.txt"]),
        ({"filter": {"batch_id": 7}, "sort": "-id"}, ["3.txt", "2.txt", "1.txt"]),
        ({"filter": {"task_id": [1, 4]}}, ["1.txt", "4.txt"]),
        ({"filter": {"task_id": 2}}, ["2.txt"]),
    ],
)
def test_an_archive_takes_a_filter_in_a_body(client: FlaskClient, wanted: dict[str, object], names: list[str]) -> None:
    assert names_in(client.post("/archive", json=wanted)) == names


def test_an_archive_of_several_tasks_has_their_results(client: FlaskClient) -> None:
    assert names_in(client.get("/archive?task_id=1&task_id=4")) == ["1.txt", "4.txt"]


@pytest.mark.parametrize(
    ("wanted", "status", "code", "pointer"),
    [
        ({}, 422, "invalid-fields", ""),
        ({"ids": [1], "filter": {"batch_id": 7}}, 422, "invalid-fields", ""),
        ({"ids": [1], "sort": "-id"}, 422, "invalid-fields", "/sort"),
        ({"ids": list(range(1, 10_002))}, 422, "invalid-fields", "/ids"),
        ({"filter": {}}, 422, "invalid-fields", "/filter"),
        ({"filter": {"folder": ".."}}, 422, "invalid-fields", "/filter/folder"),
        ({"ids": [1, 99]}, 404, "file-not-found", "/ids"),
        ({"ids": [1, 2, 3, 4]}, 422, "archive-too-large", None),
        ({"filter": {"batch_id": 99}}, 404, "archive-empty", None),
        ({"filter": {"source_id": 1}}, 422, "archive-too-large", None),
    ],
)
def test_an_archive_in_a_body_that_cannot_be_is_refused(
    client: FlaskClient, wanted: dict[str, object], status: int, code: str, pointer: str | None
) -> None:
    refused = client.post("/archive", json=wanted)

    document = json.loads(refused.data)
    assert (refused.status_code, document["code"]) == (status, code), refused.text
    assert [error["pointer"] for error in document.get("errors", [])] == ([] if pointer is None else [pointer])
