"""Repeated requests for copies: the idempotency key answers first, even if the source has changed since."""

from collections.abc import Callable, Mapping

import pytest
from flask.testing import FlaskClient

pytestmark = pytest.mark.slow

Start = Callable[[str], FlaskClient]
Sent = Mapping[str, object]
Send = Callable[[FlaskClient, int, Sent], tuple[int, Mapping[str, object]]]
"""Copies a file with the key ``key`` and these fields; returns the status and the file or the problem."""


@pytest.fixture(params=["86400", "0"])
def client(request: pytest.FixtureRequest, start: Start) -> FlaskClient:
    """Return a client of a server with a trash, and of one without."""
    return start(request.param)


def alone(client: FlaskClient, source: int, fields: Sent) -> tuple[int, Mapping[str, object]]:
    response = client.post(f"/{source}/copy", json=fields, headers={"Idempotency-Key": "key"})
    assert isinstance(response.json, dict)
    return response.status_code, response.json


def among_others(client: FlaskClient, source: int, fields: Sent) -> tuple[int, Mapping[str, object]]:
    wanted = {"file_id": source, "idempotency_key": "key", **fields}
    response = client.post("/copies", json={"copies": [{"file_id": 2**40}, wanted, {"file_id": 2**40}]})
    assert isinstance(response.json, dict)
    before, answer, after = response.json["files"]
    assert before["problem"]["status"] == after["problem"]["status"] == 404
    return (201, answer["file"]) if "file" in answer else (answer["problem"]["status"], answer["problem"])


@pytest.fixture(params=[alone, among_others])
def send(request: pytest.FixtureRequest) -> Send:
    chosen: Send = request.param
    return chosen


def uploaded(client: FlaskClient, name: str = "folder/a.jpg", content: bytes = b"content") -> int:
    made = client.put("/", query_string={"name": name}, data=content).json
    assert isinstance(made, dict)
    return int(made["id"])


CHANGES: Mapping[str, Callable[[FlaskClient, int], object]] = {
    "nothing": lambda client, source: None,
    "renamed": lambda client, source: client.patch(f"/{source}", json={"name": "renamed"}),
    "moved": lambda client, source: client.patch(f"/{source}", json={"folder": "elsewhere"}),
    "deleted": lambda client, source: client.delete(f"/{source}"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("fields", [{}, {"name": "b", "extension": ".png", "folder": "c", "expires_in": 60}])
def test_the_same_request_gets_the_same_copy(client: FlaskClient, send: Send, change: str, fields: Sent) -> None:
    source = uploaded(client)
    first = send(client, source, fields)

    CHANGES[change](client, source)
    again = send(client, source, fields)

    assert first[0] == 201
    assert again == first


@pytest.mark.parametrize("fields", [{"name": "b"}, {"extension": ".png"}, {"folder": ""}, {"expires_in": 60}])
def test_another_request_with_the_key_is_refused(client: FlaskClient, send: Send, fields: Sent) -> None:
    source = uploaded(client)
    send(client, source, {})

    status, problem = send(client, source, fields)

    assert (status, problem["code"]) == (422, "idempotency-key-reused")


def test_a_copy_of_another_file_with_the_key_is_refused(client: FlaskClient, send: Send) -> None:
    source, twin = uploaded(client), uploaded(client)
    send(client, source, {})

    status, problem = send(client, twin, {})

    assert (status, problem["code"]) == (422, "idempotency-key-reused")


def test_an_upload_and_a_copy_do_not_share_a_key(client: FlaskClient, send: Send) -> None:
    source = uploaded(client)
    send(client, source, {})

    refused = client.put("/?name=a.jpg", data=b"content", headers={"Idempotency-Key": "key"})

    assert isinstance(refused.json, dict)
    assert (refused.status_code, refused.json["code"]) == (422, "idempotency-key-reused")


def test_a_revoked_key_copies_nothing_even_if_the_source_is_gone(client: FlaskClient, send: Send) -> None:
    source = uploaded(client)
    send(client, source, {})
    client.delete("/idempotency-keys/key")
    client.delete(f"/{source}")

    status, problem = send(client, source, {})

    assert (status, problem["code"]) == (409, "idempotency-key-revoked")


def test_a_key_forgets_a_deleted_copy(client: FlaskClient, send: Send) -> None:
    source = uploaded(client)
    _, first = send(client, source, {})
    client.delete(f"/{first['id']}")

    status, second = send(client, source, {})

    assert status == 201
    assert second["id"] != first["id"]


def test_a_key_of_a_missing_source_is_not_used_up(client: FlaskClient, send: Send) -> None:
    status, problem = send(client, 2**40, {})
    made, _ = send(client, uploaded(client), {})

    assert (status, problem["code"], made) == (404, "file-not-found", 201)
