"""The stream of file events: its content and its refusals. No server is started: the application is called directly."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import pytest
from file_storage.app import create_app as create_api
from file_storage.config import Settings
from file_storage.events import create_app
from flask.testing import FlaskClient
from starlette.types import ASGIApp, Message, Scope

from tests.support.waiting import STATE_SECONDS

PATH = "/api/file-server/events"
BEGINNING = {"Last-Event-ID": "0-0"}


@dataclass(frozen=True)
class Answer:
    """The response that a listener received until it disconnected."""

    status: int
    headers: Mapping[str, str]
    body: str

    @property
    def events(self) -> list[dict[str, str]]:
        """The events of the stream as dictionaries of their fields."""
        blocks = [block for block in self.body.replace("\r\n", "\n").split("\n\n") if "data: " in block]
        return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]

    @property
    def data(self) -> list[dict[str, object]]:
        return [json.loads(event["data"]) for event in self.events]


def listen(
    app: ASGIApp, events: int = 0, query: str = "", headers: Mapping[str, str] | None = None, method: str = "GET"
) -> Answer:
    """Listen until ``events`` events have arrived, or until the response has ended."""
    named = {"host": "127.0.0.1"} | {name.lower(): value for name, value in (headers or {}).items()}
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Message] = []

    async def run() -> None:
        gone = asyncio.Event()

        async def receive() -> Message:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            sent.append(message)
            body = b"".join(part.get("body", b"") for part in sent)
            if b"data: " in body and body.count(b"data: ") >= events:
                gone.set()

        async with asyncio.timeout(STATE_SECONDS):
            await app(scope, receive, send)

    asyncio.run(run())
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(sent[0]["status"], head, b"".join(part.get("body", b"") for part in sent).decode())


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

    heard = listen(app, 1, headers=BEGINNING)

    assert heard.status == 200
    assert heard.headers["content-type"].startswith("text/event-stream")
    assert heard.data == [{"id": file["id"], "change": "created", "file": file}]
    assert [event["event"] for event in heard.events] == ["file"]


def test_the_events_of_a_deleted_file_have_no_data(api: FlaskClient, app: ASGIApp) -> None:
    file = upload(api, "a.txt")
    api.delete(f"/{file['id']}", base_url="http://127.0.0.1")

    heard = listen(app, 2, headers=BEGINNING)

    assert heard.data == [
        {"id": file["id"], "change": "created", "file": None},
        {"id": file["id"], "change": "deleted"},
    ]


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_listener_continues_after_the_event_that_it_names(api: FlaskClient, app: ASGIApp, way: str) -> None:
    upload(api, "a.txt")
    [seen] = listen(app, 1, headers=BEGINNING).events
    second = upload(api, "b.txt")

    headers = {"Last-Event-ID": seen["id"]} if way == "header" else {}
    heard = listen(app, 1, "" if way == "header" else f"last_event_id={seen['id']}", headers)

    assert [event["id"] for event in heard.data] == [second["id"]]


def test_a_filter_by_id_hides_other_files(api: FlaskClient, app: ASGIApp) -> None:
    first, second, third = (upload(api, f"{name}.txt") for name in "abc")

    heard = listen(app, 2, f"id={first['id']}&id={third['id']}", BEGINNING)

    assert second["id"] not in {first["id"], third["id"]}
    assert [event["id"] for event in heard.data] == [first["id"], third["id"]]


@pytest.mark.parametrize(
    ("query", "headers", "status", "kind", "detail"),
    [
        ("id=x", {}, 422, "invalid-fields", "ids"),
        ("id=-1", {}, 422, "invalid-fields", "ids"),
        ("id=0", {}, 422, "invalid-fields", "ids"),
        ("id=1&id=0", {}, 422, "invalid-fields", "ids"),
        ("id=1.5", {}, 422, "invalid-fields", "ids"),
        ("id=", {}, 422, "invalid-fields", "ids"),
        (f"id={'9' * 30}", {}, 422, "invalid-fields", "ids"),
        ("&".join(f"id={n}" for n in range(1, 1002)), {}, 422, "invalid-fields", "at most 1000"),
        ("folder=a", {}, 422, "invalid-fields", "/folder"),
        ("last_event_id=x", {}, 400, "invalid-event-id", "Last-Event-ID"),
        ("", {"Last-Event-ID": "1"}, 400, "invalid-event-id", "Last-Event-ID"),
        ("", {"Last-Event-ID": f"0-{2**64}"}, 400, "invalid-event-id", "Last-Event-ID"),
        ("", {"Last-Event-ID": "-1-2"}, 400, "invalid-event-id", "Last-Event-ID"),
        ("", {"Host": "rebind.example"}, 421, "unknown-host", ""),
        ("", {"Authorization": "Bearer pm_nothing"}, 401, "invalid-key", ""),
    ],
)
def test_bad_input_is_refused(
    app: ASGIApp, query: str, headers: Mapping[str, str], status: int, kind: str, detail: str
) -> None:
    refused = listen(app, 0, query, headers)

    problem = json.loads(refused.body)
    assert (refused.status, problem["type"]) == (status, f"urn:pixmill:problem:{kind}")
    assert detail in problem["detail"]
    assert refused.headers["content-type"] == "application/problem+json"


def test_another_method_is_refused(app: ASGIApp) -> None:
    refused = listen(app, method="POST")

    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def test_the_openapi_document_describes_the_stream(api: FlaskClient) -> None:
    described = api.get("/openapi.json", base_url="http://127.0.0.1").get_json()["paths"]["/events"]["get"]

    assert "text/event-stream" in described["responses"]["200"]["content"]
    assert {parameter["name"] for parameter in described["parameters"]} == {"id", "Last-Event-ID", "last_event_id"}
