"""After an upgrade, the API returns everything that an earlier version stored, on both databases.

``python -m tests.upgrade COMMIT`` made the installation with that version's code. Only PostgreSQL is started as a
server.
"""

import hashlib
import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest
import svcs
from file_storage.app import create_app as create_file_server
from flask.testing import FlaskClient
from image_processor.app import create_app as create_image_processing
from image_processor.services.tasks.webhooks import WebhookService
from service_kit.access.app import create_app as create_access
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text
from werkzeug.test import TestResponse

from tests.support.databases import postgres_database
from tests.support.environment import ENVIRONMENT, LINK_SECRET, PROJECT
from tests.support.folders import temporary_folder
from tests.upgrade.installation import databases_in, environment_of, load_dump, unpack

MANY = 10_000
STATES = ("pending", "processing", "finished", "error", "cancelled")
TUS = {"Tus-Resumable": "1.0.0"}

MORE_FILES = [
    f"""
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {MANY})
    INSERT INTO files (owner, name, extension, search_name, comment, size, sha256, media_type, created_at, updated_at)
    SELECT 'local', 'many ' || n, '.txt', 'many ' || n || '.txt', '', size, sha256, 'text/plain', n, n
    FROM counted, (SELECT size, sha256 FROM blobs ORDER BY sha256 LIMIT 1) AS blob
    """,
    f"UPDATE blobs SET file_count = file_count + {MANY} WHERE sha256 = (SELECT min(sha256) FROM blobs)",
]
MORE_TASKS = f"""
    WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < {MANY})
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, losses, due_at, retry_seconds, created_at, updated_at)
    SELECT 'local', 1, 'many', '.png',
           CASE n % 5 WHEN 0 THEN 'pending' WHEN 1 THEN 'processing' WHEN 2 THEN 'finished' WHEN 3 THEN 'error'
                      ELSE 'cancelled' END,
           'flip', 0, true, 'many ' || n, 0, 0, 0, 0, 0, 0, n, n
    FROM counted
"""


@dataclass(frozen=True)
class Installation:
    """An earlier version's installation.

    :param databases: the database URLs by service.
    """

    folder: Path
    databases: dict[str, str]

    def migrate(self) -> None:
        for service, package in (
            ("access", "service_kit.access"),
            ("file-storage", "file_storage"),
            ("image-processor", "image_processor"),
        ):
            migrate(self.databases[service], package)

    def database(self, service: str) -> Database:
        return Database(self.databases[service])


@dataclass(frozen=True)
class Upgraded:
    """The API of an upgraded installation, and the earlier version's answers.

    :param key: a key of the owner ``ann``.
    :param upload: an unfinished upload.
    :param answers: the earlier version's answers by service and path.
    """

    installation: Installation
    services: dict[str, FlaskClient]
    key: str
    upload: str
    answers: dict[str, object]

    def send(
        self,
        service: str,
        method: str,
        path: str,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, object] | None = None,
    ) -> TestResponse:
        named = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        client = self.services[service]
        return client.open(path, method=method, base_url="http://127.0.0.1", headers=named, data=data)

    def json(self, service: str, path: str) -> object:
        answer = self.send(service, "GET", path)
        assert answer.status_code == 200, answer.text
        return answer.get_json()


def installed(name: str, url: str = "") -> Installation:
    folder = unpack(name, temporary_folder("upgrade"))
    if not url:
        return Installation(folder, databases_in(folder))
    load_dump(folder, url)
    return Installation(folder, dict.fromkeys(databases_in(folder), url))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest) -> Iterator[Installation]:
    if request.param == "sqlite":
        yield installed("sqlite")
        return
    with postgres_database("upgrade") as url:
        yield installed("postgresql", url)


@pytest.fixture(scope="module")
def upgraded(installation: Installation) -> Iterator[Upgraded]:
    installation.migrate()
    with serving(installation) as api:
        yield api


@contextmanager
def serving(installation: Installation) -> Iterator[Upgraded]:
    """Serve an installation in this process during the block."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(PROJECT)
        for name, value in (ENVIRONMENT | environment_of(installation.folder, installation.databases)).items():
            monkeypatch.setenv(name, value)
        services = {"access": create_access(), "files": create_file_server(), "tasks": create_image_processing()}
        facts = json.loads((installation.folder / "answers.json").read_text())
        yield Upgraded(installation, {name: app.test_client() for name, app in services.items()}, **facts)
        for app in services.values():
            svcs.flask.close_registry(app)


def lost(before: object, now: object, place: str = "") -> Iterator[str]:
    """Yield the paths at which an answer differs from the earlier one; new keys are allowed."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name, value in before.items():
            yield from lost(value, now.get(name, "nothing"), f"{place}/{name}")
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for index, value in enumerate(before):
            yield from lost(value, now[index], f"{place}/{index}")
    elif before != now:
        yield f"{place}: {before!r} is now {now!r}"


def test_the_api_says_what_it_said_of_everything(upgraded: Upgraded) -> None:
    asked = [(question, *question.split(" ", 1)) for question in upgraded.answers]

    changed = [
        difference
        for question, service, path in asked
        for difference in lost(upgraded.answers[question], upgraded.json(service, path), question)
    ]

    assert changed == []
    assert len(asked) > 20
    tasks = upgraded.answers["tasks /"]
    assert isinstance(tasks, list)
    assert {task["status"] for task in tasks} == set(STATES)


def test_every_file_has_its_bytes(upgraded: Upgraded) -> None:
    files = upgraded.json("files", "/")
    assert isinstance(files, list)

    digests = {file["id"]: digest_of(upgraded, file["id"]) for file in files}

    assert digests == {file["id"]: file["sha256"] for file in files}
    assert len(files) > 10


def digest_of(upgraded: Upgraded, file_id: int) -> str:
    answer = upgraded.send("files", "GET", f"/{file_id}/download")
    # In production nginx sends the bytes; here the response only names their path.
    name = answer.headers["X-Accel-Redirect"].rpartition("/")[2]
    [blob] = (upgraded.installation.folder / "files" / "blobs").glob(f"*/*/{name}")
    return hashlib.sha256(blob.read_bytes()).hexdigest()


def test_a_key_admits_its_owner_to_its_files_only(upgraded: Upgraded) -> None:
    seen = upgraded.send("files", "GET", "/", upgraded.key).get_json()

    assert [file["name"] for file in seen] == ["of-ann"]


def test_a_link_made_before_downloads(upgraded: Upgraded) -> None:
    first = upgraded.json("files", "/links")
    assert isinstance(first, list)
    [link] = [each for each in first if each["note"] == "for Carol"]
    file = upgraded.json("files", f"/{link['file_id']}")
    assert isinstance(file, dict)
    # A token from the earlier version, which may be valid for at most a week.
    soon = int(time.time()) + 3600
    signed = f"{link['id']}.{soon}.{file['sha256'][:16]}"
    with upgraded.installation.database("file-storage").begin() as connection:
        connection.execute(text("UPDATE links SET expires_at = :soon"), {"soon": soon})
    digest = hmac.digest(LINK_SECRET.encode(), b"pixmill file link\0" + signed.encode(), "sha256")
    token = f"{signed}.{urlsafe_b64encode(digest).decode().rstrip('=')}"

    answer = upgraded.send("files", "GET", f"/links/{token}")

    assert answer.status_code == 200
    assert file["sha256"] in answer.headers["X-Accel-Redirect"]


def test_an_upload_with_a_key_used_before_makes_no_second_file(upgraded: Upgraded) -> None:
    before = upgraded.answers["files /idempotency-keys/a key of local's"]
    assert isinstance(before, dict)
    form = {"file": (BytesIO(b"text"), "notes.txt"), "comment": "of notes.txt"}

    again = upgraded.send("files", "POST", "/", data=form, headers={"Idempotency-Key": "a key of local's"})

    assert again.get_json()["id"] == before["id"]


def test_an_upload_begun_before_goes_on(upgraded: Upgraded) -> None:
    place = f"/uploads/{upgraded.upload}"
    offset = upgraded.send("files", "HEAD", place, headers=TUS).headers["Upload-Offset"]

    rest = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": offset}
    ended = upgraded.send("files", "PATCH", place, data=b"56789", headers=TUS | rest)

    assert (offset, ended.status_code) == ("5", 204)
    file = upgraded.json("files", f"/{ended.headers['Pixmill-File-Id']}")
    assert isinstance(file, dict)
    assert file["sha256"] == hashlib.sha256(b"0123456789").hexdigest()


def test_a_failed_task_can_be_restarted_and_a_pending_one_cancelled(upgraded: Upgraded) -> None:
    tasks = upgraded.json("tasks", "/")
    assert isinstance(tasks, list)
    by_status = {task["status"]: task["id"] for task in tasks}

    restarted = upgraded.send("tasks", "POST", f"/{by_status['error']}/restart")
    cancelled = upgraded.send("tasks", "POST", f"/{by_status['pending']}/cancel")

    assert (restarted.status_code, restarted.get_json()["status"]) == (200, "pending")
    assert (cancelled.status_code, cancelled.get_json()["status"]) == (200, "cancelled")


def test_webhooks_that_waited_are_sent(upgraded: Upgraded) -> None:
    waiting = WebhookService(upgraded.installation.database("image-processor"), 10, 86_400, 3600)

    taken = waiting.take_due(16, 16)

    assert {each.callback.url for each in taken} == {"http://127.0.0.1:9/hook"}


@pytest.fixture(params=["sqlite", "postgresql"])
def large(request: pytest.FixtureRequest) -> Iterator[Installation]:
    """Return an installation with ten thousand more files and tasks, in all states."""
    with ExitStack() as servers:
        url = servers.enter_context(postgres_database("upgrade-large")) if request.param == "postgresql" else ""
        grown = installed(request.param, url)
        for service, statements in (("file-storage", MORE_FILES), ("image-processor", [MORE_TASKS])):
            with grown.database(service).begin() as connection:
                for statement in statements:
                    connection.execute(text(statement))
        yield grown


def rows_of(installation: Installation, service: str, table: str) -> list[dict[str, object]]:
    with installation.database(service).connect() as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY id")).mappings()]


@pytest.mark.thorough
def test_ten_thousand_files_and_tasks_are_found_unchanged(large: Installation) -> None:
    tables = [("file-storage", "files"), ("image-processor", "tasks")]
    before = {table: rows_of(large, service, table) for service, table in tables}
    large.migrate()

    after = {table: rows_of(large, service, table) for service, table in tables}
    with serving(large) as api:
        files, tasks = api.json("files", "/"), api.json("tasks", "/")
        sample = [(file["sha256"], digest_of(api, file["id"])) for file in before["files"][::1000]]  # type: ignore[arg-type]  # ids are numbers

    for table, rows in before.items():
        assert len(rows) > MANY
        assert [{name: row[name] for name in rows[0]} for row in after[table]] == rows
    assert len(sample) > 10
    assert [actual for _, actual in sample] == [stored for stored, _ in sample]

    assert isinstance(files, list)
    assert isinstance(tasks, list)
    assert len([file for file in files if file["name"].startswith("many ")]) == MANY
    many = [task["status"] for task in tasks if task["algorithm"] == "flip"]
    assert {status: many.count(status) for status in STATES} == dict.fromkeys(STATES, MANY // 5)
