"""Every route, asked by everybody: who gets in, and with which status.

A route without a line in the table fails a test, so that nobody forgets one.
"""

import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import httpx2
import pytest
from file_storage.app import create_app as create_file_server
from image_processor.app import create_app as create_image_processing
from service_kit.access.app import create_app as create_access

from tests.support.client import FILES, TASKS, Pixmill
from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.stacks import EmbeddedStack

pytestmark = pytest.mark.both_stacks

PEOPLE = ("nobody", "reader", "writer", "other", "admin")
"""Without a key; with a key that reads, and one that writes, of the owner of what the route names; with a key of another
owner that writes; with the key of an admin."""


class Line(NamedTuple):
    """A route, the path to ask, and the status for each of ``PEOPLE``.

    A status of 400, 412, 415 or 422 means that the gate let a request pass that lacks its body.
    """

    route: str
    path: str
    statuses: str


TABLE = []


@pytest.fixture(scope="module")
def keys_stack() -> Iterator[EmbeddedStack]:
    stack = EmbeddedStack(temporary_folder("routes"), {"ACCESS_AUTH__MODE": "keys"})
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def secrets(keys_stack: EmbeddedStack) -> Mapping[str, str]:
    people = {"reader": ("alice", "reader"), "writer": ("alice", "writer"), "other": ("bob", "writer")}
    made = {person: _key(keys_stack, owner, role) for person, (owner, role) in people.items()}
    return made | {"admin": _key(keys_stack, "root", "admin")}


def _key(stack: EmbeddedStack, owner: str, role: str) -> str:
    command = [str(SCRIPTS / "pixmill"), "keys", "create", "--owner", owner, "--role", role, "--data", str(stack.data)]
    made = subprocess.run(command, env=ENVIRONMENT, cwd=PROJECT, check=True, capture_output=True, text=True)
    return made.stdout.strip()


@pytest.fixture
def mine(keys_stack: EmbeddedStack, secrets: Mapping[str, str]) -> Mapping[str, object]:
    """Things of the owner whom the keys of the reader and of the writer belong to."""
    with Pixmill(keys_stack.url) as alice:
        alice.http.headers["Authorization"] = f"Bearer {secrets['writer']}"
        file = alice.http.post(
            f"{FILES}/", files={"file": ("a.png", photo(8, 6))}, headers={"Idempotency-Key": "mine"}
        ).json()
        [task] = alice.create_tasks([file["id"]], "flip")
        upload = alice.http.post(f"{FILES}/uploads/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
        link = alice.http.post(f"{FILES}/{file['id']}/links", json={}).json()
        upload_id = upload.headers["Location"].rpartition("/")[2]
        token = link["url"].rpartition("/")[2]
    with Pixmill(keys_stack.url) as root:
        root.http.headers["Authorization"] = f"Bearer {secrets['admin']}"
        key = root.http.post("/api/keys", json={"owner": "alice", "role": "reader"}).json()
    return {"file": file["id"], "task": task, "upload": upload_id, "link": link["id"], "token": token, "key": key["id"]}


def asked(stack: EmbeddedStack, line: Line, mine: Mapping[str, object], **headers: str) -> int:
    """Return the status of the line's route."""
    method = line.route.split()[0]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with (
        httpx2.Client(base_url=stack.url, timeout=60, trust_env=False) as http,
        http.stream(method, line.path.format_map(mine), headers={"Tus-Resumable": "1.0.0", **named}) as answer,
    ):
        return answer.status_code


@pytest.mark.parametrize("line", TABLE, ids=[line.route for line in TABLE])
def test_each_person_gets_what_the_table_says(
    keys_stack: EmbeddedStack, secrets: Mapping[str, str], mine: Mapping[str, object], line: Line
) -> None:
    statuses = {
        person: asked(
            keys_stack, line, mine, **({"Authorization": f"Bearer {secrets[person]}"} if person in secrets else {})
        )
        for person in PEOPLE
    }

    assert " ".join(str(statuses[person]) for person in PEOPLE) == line.statuses


@pytest.mark.parametrize("line", TABLE, ids=[line.route for line in TABLE])
def test_a_foreign_host_gets_nothing(
    keys_stack: EmbeddedStack, secrets: Mapping[str, str], mine: Mapping[str, object], line: Line
) -> None:
    key = f"Bearer {secrets['admin']}"

    assert asked(keys_stack, line, mine, Host="rebind.example", Authorization=key) == 421


@pytest.mark.parametrize(
    "line",
    [line for line in TABLE if line.route.split()[0] not in ("GET", "HEAD", "OPTIONS")],
    ids=lambda line: line.route,
)
def test_a_page_of_another_site_changes_nothing(
    keys_stack: EmbeddedStack, secrets: Mapping[str, str], mine: Mapping[str, object], line: Line
) -> None:
    key = f"Bearer {secrets['admin']}"

    assert asked(keys_stack, line, mine, Sec_Fetch_Site="cross-site", Authorization=key) == 403


def test_the_table_has_every_route(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = temporary_folder("all-routes")
    monkeypatch.chdir(PROJECT)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{folder}/access.db")
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", f"sqlite:///{folder}/files.db")
    monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(folder))
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")
    monkeypatch.setenv("IMAGE_PROCESSOR_DATABASE__URL", f"sqlite:///{folder}/tasks.db")
    monkeypatch.setenv("IMAGE_PROCESSOR_BROKER__URL", "memory://")
    monkeypatch.setenv("IMAGE_PROCESSOR_FILE_STORAGE__URL", "http://127.0.0.1:1")

    found = {
        f"{method} {base}{rule.rule}"
        for base, create in ((FILES, create_file_server), (TASKS, create_image_processing), ("/api", create_access))
        for rule in create().url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        # HEAD is answered by the route of GET, but where a route has HEAD alone.
        if method != "HEAD" or "GET" not in (rule.methods or set())
    }

    # The event stream is an application of its own.
    assert found | {f"GET {TASKS}/events"} == {line.route for line in TABLE if not line.route.startswith("OPTIONS")}
