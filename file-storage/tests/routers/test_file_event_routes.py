"""The stream of file events: its content and its refusals. No server is started: the application is called directly."""

import json
from collections.abc import Mapping
from io import BytesIO

import pytest
from file_storage.app import create_app as create_api
from file_storage.config import Settings
from file_storage.events import create_app
from flask.testing import FlaskClient
from starlette.types import ASGIApp

from tests.support.listening import listen

PATH = "/api/file-server/events"
BEGINNING = {"Last-Event-ID": "0-0"}


@pytest.fixture
def app(settings: Settings, restored_logging: None) -> ASGIApp:
    return create_app()


@pytest.fixture
def api(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_api().test_client()


def upload(api: FlaskClient, name: str) -> dict[str, object]:
    response = api.post("/", data={"file": (BytesIO(b"text"), name)}, base_url="http://127.0.0.1")
    assert response.status_code == 201, response.text
    created: dict[str, object] = response.get_json()
    return created


def test_the_event_of_a_file_has_what_the_api_says_of_it(api: FlaskClient, app: ASGIApp) -> None:
    file = upload(api, "снимок.txt")

    heard = listen(app, PATH, 1, headers=BEGINNING)

    assert heard.status == 200
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.data == [{"id": file["id"], "change": "created", "file": file}]
    assert [event["event"] for event in heard.events] == ["file"]


def test_the_events_of_a_deleted_file_have_no_data(api: FlaskClient, app: ASGIApp) -> None:
    file = upload(api, "a.txt")
    api.delete(f"/{file['id']}", base_url="http://127.0.0.1")

    heard = listen(app, PATH, 2, headers=BEGINNING)

    assert heard.data == [
        {"id": file["id"], "change": "created", "file": None},
        {"id": file["id"], "change": "deleted"},
    ]


def test_a_filter_by_id_hides_other_files(api: FlaskClient, app: ASGIApp) -> None:
    first, second, third = (upload(api, f"{name}.txt") for name in "abc")

    heard = listen(app, PATH, 2, f"id={first['id']}&id={third['id']}", BEGINNING)

    assert second["id"] not in {first["id"], third["id"]}
    assert [event["id"] for event in heard.data] == [first["id"], third["id"]]


@pytest.mark.parametrize(
    ("query", "headers", "status", "kind", "detail"),
    [
        ("id=x", {}, 422, "invalid-fields", "ids"),
        ("folder=a", {}, 422, "invalid-fields", "/folder"),
        ("last_event_id=x", {}, 400, "invalid-event-id", "Last-Event-ID"),
        ("", {"Host": "rebind.example"}, 421, "unknown-host", ""),
        ("", {"Authorization": "Bearer pm_nothing"}, 401, "invalid-key", ""),
    ],
)
def test_bad_input_is_refused(
    app: ASGIApp, query: str, headers: Mapping[str, str], status: int, kind: str, detail: str
) -> None:
    refused = listen(app, PATH, 0, query, headers)

    problem = json.loads(refused.body)
    assert (refused.status, problem["type"]) == (status, f"urn:pixmill:problem:{kind}")
    assert detail in problem["detail"]
    assert refused.headers["content-type"] == "application/problem+json"


def test_the_openapi_document_describes_the_stream(api: FlaskClient) -> None:
    described = api.get("/openapi.json", base_url="http://127.0.0.1").get_json()["paths"]["/events"]["get"]

    assert "text/event-stream" in described["responses"]["200"]["content"]
    assert {parameter["name"] for parameter in described["parameters"]} == {"id", "Last-Event-ID", "last_event_id"}
