"""The worker stores and revokes results for the owner of each task."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest
from image_processor.config import LimitSettings
from image_processor.models import DiscardedResult
from image_processor.services.causes import Cause
from image_processor.services.files.client import FileStorage
from image_processor.services.files.sources import Sources
from image_processor.services.jobs.attempts import AttemptService, ResultFile
from image_processor.services.jobs.discarded_results import DiscardedResults
from image_processor.services.jobs.outcomes import Ended, Failed, Finished, Outcome, Postponed
from image_processor.services.jobs.result_cache import CacheHit, ResultCache
from image_processor.services.jobs.result_upload import ResultUpload
from image_processor.services.jobs.reuse import ReuseService
from service_kit.database import Database
from service_kit.languages import translated
from service_kit.texts import all_values_of, restored, stored
from sqlalchemy import insert, select, update

from tests.support.claims import claim_of
from tests.support.web_server import WebServer

REFUSALS = {"over-quota": "quota-exceeded", "on-a-full-disk": "storage-full", "unwelcome": "invalid-fields"}
"""Owners whose results the server refuses."""
UPLOADING = "uploading"
"""An owner with an upload that ends during the first revocation of its key."""
DELETED = 404
"""The id of a file that does not exist."""
LIMITS = LimitSettings(
    max_file_bytes=1000,
    max_task_bytes=1000,
    max_pixels=1,
    max_decoded_bytes=1,
    max_frames=1,
    max_seconds=1,
    max_memory_bytes=2**30,
    max_written_bytes=2**30,
)


class Seen(NamedTuple):
    """A request that the server has received."""

    method: str
    path: str
    owner: str | None
    sees: str | None


class FileServer(WebServer):
    """Uses the length of the owner's name as the id of each result."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.received: list[str] = []
        """The data of results in requests: the JSON or, for a raw body, its query and headers."""
        self.has_refused = False
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        owner = self.headers["X-Pixmill-Owner"]
        self.server.seen.append(Seen(self.command, self.path.split("?")[0], owner, self.headers["X-Pixmill-Sees"]))
        file = {"id": len(owner)}
        self.server.received.append(_data_of(self.path, self.headers, body))
        if self.command == "DELETE":
            self.send_response(409 if owner == UPLOADING and not self.server.has_refused else 204)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.server.has_refused = True
        elif owner in REFUSALS:
            status = 422 if owner == "unwelcome" else 507
            refused = {"status": status, "detail": "Full.", "context": {"owner": owner, "limit": 5000, "used": 4999}}
            self._send(status, {"type": f"urn:pixmill:problem:{REFUSALS[owner]}", **refused})
        elif self.path == "/copies":
            self._send(200, {"files": [{"file": file} for _ in json.loads(body)["copies"]]})
        elif self.path == "/lookup":
            found = [number for number in json.loads(body)["ids"] if number != DELETED]
            stored = {"name": "mark", "extension": ".png", "sha256": "1" * 64}
            self._send(200, {"files": [{**stored, "id": number} for number in found]})
        elif self.path == "/batch":
            self._send(200, {"files": [{"file": file} for _ in range(body.count(b'name="file"'))]})
        else:
            self._send(201 if self.command == "PUT" else 200, file)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 (the base class's names)

    def _send(self, status: int, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


def _data_of(path: str, headers: Message, body: bytes) -> str:
    if path == "/copies":
        return body.decode()
    if path == "/batch":
        return str(re.findall(rb"(?m)^\[\{.*\}\]", body)[0], "utf-8")
    return f"{path.partition('?')[2]} {headers['X-Pixmill-Source-Id']} {headers['X-Pixmill-Task-Id']}"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as started:
        threading.Thread(target=started.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield started
        started.shutdown()


@pytest.fixture
def storage(server: FileServer) -> Iterator[FileStorage]:
    with httpx2.Client(base_url=server.url) as http:
        yield FileStorage(http)


def test_results_are_stored_for_the_owner_of_each_task(
    database: Database, storage: FileStorage, server: FileServer, tmp_path: Path
) -> None:
    claims = [claim_of(number, owner) for number, owner in enumerate(["ann", "robert", "ann"])]
    paths = [tmp_path / str(claim.task_id) for claim in claims]
    for path in paths:
        path.write_bytes(b"result")
    results = [(claim, ResultFile(path, None, None)) for claim, path in zip(claims, paths, strict=True)]

    ended = ResultUpload(storage, ResultCache(database)).store(results)

    assert ended == [Ended(claim, Finished(len(claim.owner))) for claim in claims]
    assert server.seen == [Seen("POST", "/batch", "ann", "all"), Seen("PUT", "/", "robert", "all")]


@pytest.mark.parametrize(("owner", "outcome"), [("over-quota", Failed), ("on-a-full-disk", Postponed)])
def test_a_result_over_the_quota_fails_its_task_and_one_that_waits_for_the_disk_does_not(
    database: Database, storage: FileStorage, tmp_path: Path, owner: str, outcome: type[Outcome]
) -> None:
    (tmp_path / "result").write_bytes(b"result")

    [ended] = ResultUpload(storage, ResultCache(database)).store(
        [(claim_of(1, owner), ResultFile(tmp_path / "result", None, None))]
    )

    assert isinstance(ended.outcome, outcome)


def test_a_refusal_for_a_quota_is_reported_in_both_languages_with_its_numbers(
    database: Database, storage: FileStorage, tmp_path: Path
) -> None:
    (tmp_path / "result").write_bytes(b"result")

    [ended] = ResultUpload(storage, ResultCache(database)).store(
        [(claim_of(1, "over-quota"), ResultFile(tmp_path / "result", None, None))]
    )

    assert isinstance(ended.outcome, Failed)
    assert ended.outcome.reason == "The file server refused the result: Full."
    assert all_values_of(ended.outcome.reason) == {"reason": "Full.", "used": 4999, "limit": 5000}
    assert "4\xa0999 из 5\xa0000" in translated(ended.outcome.reason, "ru")


def test_any_other_refusal_is_reported_in_russian_without_english_words(
    database: Database, storage: FileStorage, tmp_path: Path
) -> None:
    (tmp_path / "result").write_bytes(b"result")

    [ended] = ResultUpload(storage, ResultCache(database)).store(
        [(claim_of(1, "unwelcome"), ResultFile(tmp_path / "result", None, None))]
    )

    assert isinstance(ended.outcome, Failed)
    reason = restored(stored(ended.outcome.reason))
    assert reason == "The file server refused the result: Full."
    assert translated(reason, "ru") == "Файловый сервер не принял результат: его ответ — 422 (invalid-fields)."


def test_a_result_says_which_task_made_it_from_which_file_and_how_long_it_is_kept(
    database: Database, storage: FileStorage, server: FileServer, tmp_path: Path
) -> None:
    first, second, alone = (replace(claim_of(n, owner), expires_in=60) for n, owner in enumerate(["ann", "ann", "bob"]))
    claims = [first, replace(second, expires_in=None), alone]
    results = [(claim, ResultFile(tmp_path / str(claim.task_id), ".png", None)) for claim in claims]
    for _, result in results:
        result.path.write_bytes(b"result")
    cache = ResultCache(database)
    reuse = ReuseService(storage, cache)
    cache.remember({reuse.reuse([first]).missed[0].key or "": CacheHit(7, None)})

    ResultUpload(storage, cache).store(results)
    reuse.reuse([first])

    of_batch, of_single, of_copy = server.received
    assert json.loads(of_batch) == [
        {"name": "p.png", "idempotency_key": "key-0", "source_id": 1, "task_id": 0, "expires_in": 60},
        {"name": "p.png", "idempotency_key": "key-1", "source_id": 1, "task_id": 1},
    ]
    assert of_single == "name=p.png&expires_in=60 1 2"
    copy = {"file_id": 7, "name": "p", "extension": ".jpg", "idempotency_key": "key-0"}
    assert json.loads(of_copy) == {"copies": [{**copy, "source_id": 1, "task_id": 0, "expires_in": 60}]}


def test_no_owner_gets_the_cached_result_of_another(
    database: Database, storage: FileStorage, server: FileServer
) -> None:
    cache = ResultCache(database)
    reuse = ReuseService(storage, cache)
    anns, roberts, local = claim_of(1, "ann"), claim_of(2, "robert"), claim_of(3, "local")
    [planned] = reuse.reuse([anns]).missed
    assert planned.key is not None
    cache.remember({planned.key: CacheHit(7, None)})

    reused = reuse.reuse([anns, roberts, local])

    assert reused.ended == [Ended(anns, Finished(len("ann")))]
    assert [claim for claim, _, _ in reused.missed] == [roberts, local]
    assert server.seen == [Seen("POST", "/copies", "ann", "all")]


def test_a_task_that_names_a_file_asks_once_for_its_digest(
    database: Database, storage: FileStorage, server: FileServer, tmp_path: Path
) -> None:
    named = replace(claim_of(1, "ann"), algorithm="watermark", params={"mark": {"file_id": 7}})
    attempts = AttemptService(Sources(storage, None, None, LIMITS), LIMITS, nullcontext)

    [planned] = ReuseService(storage, ResultCache(database)).reuse([named]).missed
    outcome = attempts.attempt(planned, None, tmp_path)

    assert isinstance(outcome, Failed)
    assert outcome.cause == Cause.IMAGE_UNREADABLE, "the files of this server are JSON"
    assert [seen.path for seen in server.seen] == ["/lookup", "/1/download", "/7/download"]


def test_a_task_whose_named_file_was_deleted_fails_without_an_attempt(
    database: Database, storage: FileStorage, server: FileServer
) -> None:
    named = replace(claim_of(1, "ann"), algorithm="watermark", params={"mark": {"file_id": DELETED}})

    [ended], missed = ReuseService(storage, ResultCache(database)).reuse([named])

    assert missed == []
    assert isinstance(ended.outcome, Failed)
    assert ended.outcome.reason == f"File {DELETED}, which is named in params, no longer exists."
    assert [seen.path for seen in server.seen] == ["/lookup"]


def test_a_discarded_result_is_revoked_among_the_keys_of_its_owner(
    database: Database, storage: FileStorage, server: FileServer
) -> None:
    with database.write() as session:
        session.execute(insert(DiscardedResult), [{"key": "k", "owner": "ann"}, {"key": "l", "owner": "robert"}])

    DiscardedResults(database, storage).revoke_due()

    assert sorted(server.seen) == [
        Seen("DELETE", "/idempotency-keys/k", "ann", "all"),
        Seen("DELETE", "/idempotency-keys/l", "robert", "all"),
    ]


def test_a_discarded_result_that_is_being_uploaded_is_revoked_again(database: Database, storage: FileStorage) -> None:
    discarded = DiscardedResults(database, storage)
    with database.write() as session:
        session.execute(insert(DiscardedResult), [{"key": "k", "owner": UPLOADING}])

    left = []
    for _ in range(2):
        discarded.revoke_due()
        with database.write() as session:
            left.append(session.scalars(select(DiscardedResult.key)).all())
            session.execute(update(DiscardedResult).values(due_at=0))

    assert left == [["k"], []]


def test_a_principal_that_does_not_see_all_finds_only_its_own_files(storage: FileStorage, server: FileServer) -> None:
    storage.acting_for("ann", sees_all=False).revoke("key")

    assert server.seen == [Seen("DELETE", "/idempotency-keys/key", "ann", None)]
