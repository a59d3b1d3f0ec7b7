"""An event stream over HTTP: its form (WHATWG HTML, 9.2), its refusals, and who may listen how long."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from service_kit.access import keys as keys_module
from service_kit.access.cors import Cors
from service_kit.access.gate import Gate, Rules
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import READER, Limits, Scope
from service_kit.access.wrong_keys import WrongKeys
from service_kit.database import Database
from service_kit.events import routes
from service_kit.events.routes import EventRoutes, Kind, application, id_in, ids_in
from service_kit.events.rows import Events
from service_kit.events.stream import EventStream
from service_kit.languages import Language
from sqlalchemy.event import listens_for
from starlette.datastructures import QueryParams
from starlette.types import ASGIApp

from tests.support.databases import empty_sqlite
from tests.support.listening import StreamResponse, listen, listened
from tests.support.measurements import Measurement, MeasuringAfterReads, SensorChoice, measure
from tests.support.tables import table_away

PATH = "/api/sensors/events"
BEGINNING = {"Last-Event-ID": "0-0"}


class Site:
    """An application that serves the stream of a table of measurements.

    :ivar encoded: the events that were encoded, with the language.
    """

    def __init__(
        self, database: Database, access: Database, *, backlog: int = 100, events: Events[Measurement] | None = None
    ) -> None:
        self.database = database
        self.keys = KeyService(access)
        self.owners = OwnerService(access)
        self.encoded: list[tuple[int, Language]] = []
        gate = Gate(Rules("local", {}, [], []), self.keys, WrongKeys(access))
        live = Events(database, Measurement)
        stream = EventStream(events or live, 0.005, backlog, live)
        kind = Kind("measured", Scope.FILES_READ, _choice, self._as_json, ("id", "sensor"), _name_of)
        self.app: ASGIApp = application("/api/sensors", EventRoutes(stream, kind, gate), Cors([]))

    def _as_json(self, event: Measurement, language: Language) -> dict[str, object]:
        self.encoded.append((event.id, language))
        return {"sensor": event.sensor_id, "text": "Ünïcode\nin two lines"}

    def listen(self, events: int = 0, query: str = "", headers: Mapping[str, str] | None = None) -> StreamResponse:
        return listen(self.app, PATH, events, query, headers)

    def key(self, owner: str, scopes: frozenset[Scope] = READER) -> Mapping[str, str]:
        """Return the header with a new key."""
        return {"Authorization": f"Bearer {self.keys.create(KeyRequest(owner, scopes)).secret}"}


def _choice(query: QueryParams) -> SensorChoice:
    sensor_id = id_in(query, "sensor")
    return SensorChoice(ids_in(query) if sensor_id is None else {sensor_id})


def _name_of(event: Measurement) -> str:
    return "alarm" if event.sensor_id == 13 else "measured"


@pytest.fixture
def access(tmp_path: Path) -> Database:
    return Database(empty_sqlite(tmp_path / "access.db", "service_kit.access"))


@pytest.fixture
def site(database: Database, access: Database) -> Site:
    return Site(database, access)


def test_a_stream_has_the_fields_of_the_standard(site: Site) -> None:
    measure(site.database, 7, 13)

    heard = site.listen(2, headers=BEGINNING)

    first, second = heard.events
    assert (heard.status, heard.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert heard.headers["x-accel-buffering"] == "no"
    assert heard.body.startswith(": listening\r\nretry: 1000\r\n\r\n")
    assert (first["event"], second["event"]) == ("measured", "alarm")
    assert [event["sensor"] for event in heard.data] == [7, 13]
    assert heard.data[0]["text"] == "Ünïcode\nin two lines"


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_listener_continues_after_the_event_that_it_names(site: Site, way: str) -> None:
    measure(site.database, 1)
    [seen] = site.listen(1, headers=BEGINNING).events
    measure(site.database, 2)

    headers = {"Last-Event-ID": seen["id"]} if way == "header" else {}
    heard = site.listen(1, "" if way == "header" else f"last_event_id={seen['id']}", headers)

    assert [event["sensor"] for event in heard.data] == [2]


@pytest.mark.parametrize(("query", "expected"), [("id=1&id=3", [1, 3]), ("sensor=2", [2]), ("", [1, 2, 3])])
def test_a_filter_hides_other_events(site: Site, query: str, expected: list[int]) -> None:
    measure(site.database, 1, 2, 3)

    heard = site.listen(len(expected), query, BEGINNING)

    assert [event["sensor"] for event in heard.data] == expected


def test_an_event_is_encoded_once_for_all_listeners_that_come_back(site: Site) -> None:
    measure(site.database, 1, 2)

    for _ in range(3):
        heard = site.listen(2, headers=BEGINNING)

    assert [event["sensor"] for event in heard.data] == [1, 2]
    assert len(site.encoded) == 2


def test_a_limited_number_of_encoded_events_is_kept(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "MAX_TEXTS", 1)
    measure(site.database, 1, 2)

    for _ in range(2):
        site.listen(2, headers=BEGINNING)

    assert len(site.encoded) == 4


def test_an_event_is_encoded_once_for_all_listeners_of_a_language(database: Database, access: Database) -> None:
    languages = ("en", "ru", "en", "ru")
    site = Site(database, access, events=MeasuringAfterReads(database, len(languages)))

    async def listen_all() -> list[StreamResponse]:
        headers = ({"Accept-Language": language} for language in languages)
        return await asyncio.gather(*(listened(site.app, PATH, 1, headers=header) for header in headers))

    answers = asyncio.run(listen_all())

    assert [answer.data[0]["sensor"] for answer in answers] == [1, 1, 1, 1]
    assert sorted(language for _, language in site.encoded) == ["en", "ru"]
    assert [answer.headers["content-language"] for answer in answers] == [*languages]


@pytest.mark.parametrize(
    ("query", "pointer", "detail"),
    [
        *((query, "/id", "at most 1000 ids") for query in ("id=x", "id=-1", "id=0", "id=1&id=0", "id=1.5", "id=")),
        (f"id={'9' * 30}", "/id", "at most 1000 ids"),
        ("id=%D9%A1", "/id", "at most 1000 ids"),  # ARABIC-INDIC DIGIT ONE
        ("&".join(f"id={n}" for n in range(1, 1002)), "/id", "at most 1000 ids"),
        ("sensor=x", "/sensor", "?sensor=1"),
        ("sensor=1&sensor=2", "/sensor", "?sensor=1"),
        ("last_event_id=0-0&last_event_id=0-0", "/last_event_id", "?last_event_id=1"),
        ("folder=a", "/folder", "id, sensor, last_event_id"),
    ],
)
def test_a_query_that_cannot_be_is_refused(site: Site, query: str, pointer: str, detail: str) -> None:
    refused = site.listen(0, query)

    problem = json.loads(refused.body)
    assert (refused.status, refused.headers["content-type"]) == (422, "application/problem+json")
    assert [error["pointer"] for error in problem["errors"]] == [pointer]
    assert detail in problem["detail"]


def test_a_thousand_ids_are_a_filter(site: Site) -> None:
    measure(site.database, 1001, 1000)

    heard = site.listen(1, "&".join(f"id={n}" for n in range(1, 1001)), BEGINNING)

    assert [event["sensor"] for event in heard.data] == [1000]


@pytest.mark.parametrize("event_id", ["x", "1", f"0-{2**64}", "-1-2"])
@pytest.mark.parametrize("way", ["header", "query"])
def test_what_is_not_the_id_of_an_event_is_refused(site: Site, event_id: str, way: str) -> None:
    by_header = {"Last-Event-ID": event_id} if way == "header" else {}

    refused = site.listen(0, "" if by_header else f"last_event_id={event_id}", by_header)

    assert (refused.status, json.loads(refused.body)["type"]) == (400, "urn:pixmill:problem:invalid-event-id")


def test_another_method_is_refused(site: Site) -> None:
    refused = listen(site.app, PATH, method="POST")

    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.headers["content-type"] == "application/problem+json"


def test_a_key_without_the_scope_may_not_listen(site: Site) -> None:
    refused = site.listen(0, headers=site.key("ann", frozenset({Scope.TASKS_READ})))

    assert (refused.status, json.loads(refused.body)["code"]) == (403, "scope-missing")


def test_a_listener_gets_the_events_of_the_owner_of_its_key(site: Site) -> None:
    measure(site.database, 1, owner="bob")
    measure(site.database, 2, owner="ann")

    heard = site.listen(1, headers={**BEGINNING, **site.key("ann")})

    assert [event["sensor"] for event in heard.data] == [2]


def test_a_revoked_key_gets_no_further_event(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "READMIT_SECONDS", -1)
    made = site.keys.create(KeyRequest("ann", READER))
    measure(site.database, 1, owner="ann")

    async def revoke_and_go_on(body: str) -> None:
        if "data: " in body:
            site.keys.revoke(made.key.id)
            measure(site.database, 2, owner="ann")

    headers = {**BEGINNING, "Authorization": f"Bearer {made.secret}"}
    heard = asyncio.run(listened(site.app, PATH, 2, headers=headers, on_body=revoke_and_go_on))

    assert [event["sensor"] for event in heard.data] == [1]


def test_the_stream_of_a_revoked_key_ends_without_an_event(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "READMIT_SECONDS", 0.01)
    made = site.keys.create(KeyRequest("ann", READER))
    site.owners.limit("ann", Limits(listeners=1))

    async def revoke(_body: str) -> None:
        site.keys.revoke(made.key.id)

    headers = {"Authorization": f"Bearer {made.secret}"}
    ended = asyncio.run(listened(site.app, PATH, 1, headers=headers, on_body=revoke))
    measure(site.database, 1, owner="ann")
    after = site.listen(1, headers={**BEGINNING, **site.key("ann")})

    assert (ended.status, ended.events) == (200, [])
    assert [event["sensor"] for event in after.data] == [1]


def test_a_repeated_check_of_a_key_does_not_count_as_a_request(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "READMIT_SECONDS", -1)
    key = site.key("ann")
    site.owners.limit("ann", Limits(requests_per_second=1))
    measure(site.database, 1, owner="ann")

    async def measure_next(body: str) -> None:
        if "data: " in body:
            measure(site.database, 2, owner="ann")

    heard = asyncio.run(listened(site.app, PATH, 9, headers={**BEGINNING, **key}, on_body=measure_next))

    assert len(heard.events) == 9


def test_a_silent_stream_goes_on_after_an_outage_of_the_keys(
    site: Site, access: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "READMIT_SECONDS", 0.01)
    monkeypatch.setattr(keys_module, "CACHE_SECONDS", 0.0)
    key = site.key("ann")
    failed: list[object] = []
    listens_for(access.engine, "handle_error")(failed.append)

    async def listen_through_an_outage() -> StreamResponse:
        is_listening = asyncio.Event()

        async def begin(_body: str) -> None:
            is_listening.set()

        async def outage() -> None:
            await is_listening.wait()
            with table_away(access, "access_keys"):
                while len(failed) < 2:
                    await asyncio.sleep(0.005)
            measure(site.database, 1, owner="ann")

        heard, _ = await asyncio.gather(listened(site.app, PATH, 1, headers=key, on_body=begin), outage())
        return heard

    assert [event["sensor"] for event in asyncio.run(listen_through_an_outage()).data] == [1]


def test_an_owner_with_too_many_listeners_must_close_one(site: Site) -> None:
    key = site.key("ann")
    site.owners.limit("ann", Limits(listeners=1))
    measure(site.database, 1, owner="ann")
    refusals: list[StreamResponse] = []

    async def listen_too(_body: str) -> None:
        if not refusals:
            refusals.append(await listened(site.app, PATH, headers=key))

    asyncio.run(listened(site.app, PATH, 1, headers={**BEGINNING, **key}, on_body=listen_too))
    after = site.listen(1, headers={**BEGINNING, **key})

    assert (refusals[0].status, refusals[0].headers["retry-after"]) == (429, "5")
    assert after.status == 200


def test_the_stream_of_a_listener_that_is_too_slow_ends(database: Database, access: Database) -> None:
    site = Site(database, access, backlog=1)

    async def be_slow(body: str) -> None:
        if body.startswith(":"):
            before = asyncio.all_tasks()
            measure(database, 1, 2, 3)
            while asyncio.all_tasks() >= before:  # the reader ends with its last listener
                await asyncio.sleep(0.005)

    heard = asyncio.run(listened(site.app, PATH, 4, on_body=be_slow))

    assert [event["sensor"] for event in heard.data] == [1, 2, 3]


def test_a_database_that_is_away_is_a_problem_and_counts_no_listener(site: Site) -> None:
    key = site.key("ann")
    site.owners.limit("ann", Limits(listeners=1))
    measure(site.database, 1, owner="ann")

    with table_away(site.database, "measurements"):
        refused = site.listen(0, headers=key)
    later = site.listen(1, headers={**BEGINNING, **key})

    assert (refused.status, json.loads(refused.body)["code"]) == (503, "database-unavailable")
    assert later.status == 200
