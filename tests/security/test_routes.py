"""Every route with every kind of principal: who has access, and with which status.

A route without a line in the table fails a test, so that none is forgotten.
"""

import subprocess
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from uuid import uuid4

import httpx2
import pytest
from file_storage.app import create_app as create_file_server
from image_processor.app import create_app as create_image_processing
from image_processor.render.app import create_app as create_render
from playwright.sync_api import Browser
from service_kit.access.app import create_app as create_access
from starlette.routing import Route

from tests.support.applications import configure_applications
from tests.support.browser import enter, open_page
from tests.support.client import FILES, TASKS, Served, ended_task, new_key
from tests.support.environment import (
    ENVIRONMENT,
    IMAGE_PROCESSOR_SECRET,
    PROJECT,
    RENDER_SECRET,
    SCRIPTS,
    WORKER_SECRET,
)
from tests.support.folders import temporary_folder
from tests.support.images import photo
from tests.support.stacks import EmbeddedStack

pytestmark = pytest.mark.both_stacks

PEOPLE = ("nobody", "reader", "other", "writer", "admin")
"""The senders of the requests, in this order.

They have no key, the owner's key for reading, another owner's key for writing, the owner's key for writing, and an
admin's key.
"""


class Line(NamedTuple):
    """A route, the path to request, and the status for each of ``PEOPLE``.

    A status of 400, 412, 415 or 422 means that the gate passed a request that lacks its body.
    """

    route: str
    path: str
    statuses: str


TABLE = [
    Line("GET /api/audit", "/api/audit", "401 403 403 403 200"),
    Line("GET /api/docs", "/api/docs", "302 302 302 302 302"),
    Line("GET /api/docs/oauth2-redirect.html", "/api/docs/oauth2-redirect.html", "200 200 200 200 200"),
    Line("GET /api/docs/swagger", "/api/docs/swagger", "200 200 200 200 200"),
    Line("GET /api/docs/swagger/<path:filename>", "/api/docs/swagger/nothing", "404 404 404 404 404"),
    Line("GET /api/file-server/", "/api/file-server/", "401 200 200 200 200"),
    Line("POST /api/file-server/", "/api/file-server/", "401 403 415 415 415"),
    Line("PUT /api/file-server/", "/api/file-server/", "401 403 422 422 422"),
    Line("DELETE /api/file-server/<int:id>", "/api/file-server/{file}", "401 403 404 204 404"),
    Line("GET /api/file-server/<int:id>", "/api/file-server/{file}", "401 200 404 200 200"),
    Line("PATCH /api/file-server/<int:id>", "/api/file-server/{file}", "401 403 415 415 415"),
    Line("POST /api/file-server/<int:id>/copy", "/api/file-server/{file}/copy", "401 403 415 415 415"),
    Line("GET /api/file-server/<int:id>/download", "/api/file-server/{file}/download", "401 200 404 200 200"),
    Line("POST /api/file-server/<int:id>/links", "/api/file-server/{file}/links", "401 403 415 415 415"),
    Line("DELETE /api/file-server/<new_name:name>", "/api/file-server/new.bin", "401 404 404 404 404"),
    Line("GET /api/file-server/<new_name:name>", "/api/file-server/new.bin", "401 404 404 404 404"),
    Line("PATCH /api/file-server/<new_name:name>", "/api/file-server/new.bin", "401 404 404 404 404"),
    Line("POST /api/file-server/<new_name:name>", "/api/file-server/new.bin", "401 404 404 404 404"),
    Line("PUT /api/file-server/<new_name:name>", "/api/file-server/new.bin", "401 403 201 201 201"),
    Line("GET /api/file-server/archive", "/api/file-server/archive?id={file}", "401 200 404 200 200"),
    Line("POST /api/file-server/archive", "/api/file-server/archive", "401 415 415 415 415"),
    Line("POST /api/file-server/batch", "/api/file-server/batch", "401 403 415 415 415"),
    Line("POST /api/file-server/copies", "/api/file-server/copies", "401 403 415 415 415"),
    Line("POST /api/file-server/delete", "/api/file-server/delete", "401 403 415 415 415"),
    Line("GET /api/file-server/docs", "/api/file-server/docs", "302 302 302 302 302"),
    Line(
        "GET /api/file-server/docs/oauth2-redirect.html",
        "/api/file-server/docs/oauth2-redirect.html",
        "200 200 200 200 200",
    ),
    Line("GET /api/file-server/docs/swagger", "/api/file-server/docs/swagger", "200 200 200 200 200"),
    Line(
        "GET /api/file-server/docs/swagger/<path:filename>",
        "/api/file-server/docs/swagger/nothing",
        "404 404 404 404 404",
    ),
    Line("GET /api/file-server/events", "/api/file-server/events", "401 200 200 200 200"),
    Line("GET /api/file-server/healthz", "/api/file-server/healthz", "200 200 200 200 200"),
    Line(
        "DELETE /api/file-server/idempotency-keys/<string:key>",
        "/api/file-server/idempotency-keys/{once}",
        "401 403 204 204 204",
    ),
    Line(
        "GET /api/file-server/idempotency-keys/<string:key>",
        "/api/file-server/idempotency-keys/{once}",
        "401 200 404 200 404",
    ),
    Line("GET /api/file-server/folders", "/api/file-server/folders", "401 200 200 200 200"),
    Line("GET /api/file-server/index", "/api/file-server/index", "401 200 200 200 200"),
    Line("GET /api/file-server/links", "/api/file-server/links", "401 403 200 200 200"),
    Line("POST /api/file-server/links", "/api/file-server/links", "401 403 415 415 415"),
    Line("PATCH /api/file-server/links/<string:link>", "/api/file-server/links/{link}", "401 403 415 415 415"),
    Line("DELETE /api/file-server/links/<string:link>", "/api/file-server/links/{token}", "401 403 404 204 404"),
    Line("GET /api/file-server/links/<string:link>", "/api/file-server/links/{token}", "200 200 200 200 200"),
    Line("POST /api/file-server/lookup", "/api/file-server/lookup", "401 415 415 415 415"),
    Line("GET /api/file-server/metrics", "/api/file-server/metrics", "401 403 403 403 200"),
    Line("GET /api/file-server/openapi.json", "/api/file-server/openapi.json", "200 200 200 200 200"),
    Line("GET /api/file-server/readyz", "/api/file-server/readyz", "200 200 200 200 200"),
    Line("POST /api/file-server/restore", "/api/file-server/restore", "401 403 415 415 415"),
    Line("GET /api/file-server/stats", "/api/file-server/stats", "401 200 200 200 200"),
    Line("GET /api/file-server/trash", "/api/file-server/trash", "401 403 200 200 200"),
    Line("POST /api/file-server/trash/empty", "/api/file-server/trash/empty", "401 403 415 415 415"),
    Line("GET /api/file-server/shared/<string:token>", "/api/file-server/shared/{shared}", "200 200 200 200 200"),
    Line(
        "GET /api/file-server/shared/<string:token>/<int:file_id>",
        "/api/file-server/shared/{shared}/{file}",
        "200 200 200 200 200",
    ),
    Line(
        "GET /api/file-server/shared/{token}/{file_id}/thumbnails/{size}",
        "/api/file-server/shared/{shared}/{file}/thumbnails/128",
        "200 200 200 200 200",
    ),
    Line(
        "GET /api/file-server/shared/<string:token>/archive",
        "/api/file-server/shared/{shared}/archive",
        "200 200 200 200 200",
    ),
    Line(
        "POST /api/file-server/shared/<string:token>/unlock",
        "/api/file-server/shared/{shared}/unlock",
        "415 415 415 415 415",
    ),
    Line("POST /api/file-server/uploads/", "/api/file-server/uploads/", "401 403 400 400 400"),
    Line(
        "DELETE /api/file-server/uploads/<string:upload_id>", "/api/file-server/uploads/{upload}", "401 403 404 204 404"
    ),
    Line(
        "HEAD /api/file-server/uploads/<string:upload_id>", "/api/file-server/uploads/{upload}", "401 403 404 200 200"
    ),
    Line(
        "PATCH /api/file-server/uploads/<string:upload_id>", "/api/file-server/uploads/{upload}", "401 403 415 415 415"
    ),
    Line("GET /api/healthz", "/api/healthz", "200 200 200 200 200"),
    Line("GET /api/image-processing/", "/api/image-processing/", "401 200 200 200 200"),
    Line("POST /api/image-processing/", "/api/image-processing/", "401 403 415 415 415"),
    Line("DELETE /api/image-processing/<int:id>", "/api/image-processing/{task}", "401 403 404 204 404"),
    Line("GET /api/image-processing/<int:id>", "/api/image-processing/{task}", "401 200 404 200 200"),
    Line("POST /api/image-processing/<int:id>/cancel", "/api/image-processing/{task}/cancel", "401 403 404 409 409"),
    Line("POST /api/image-processing/<int:id>/restart", "/api/image-processing/{task}/restart", "401 403 404 409 409"),
    Line("GET /api/image-processing/algorithms", "/api/image-processing/algorithms", "401 200 200 200 200"),
    Line("GET /api/image-processing/batches", "/api/image-processing/batches", "401 200 200 200 200"),
    Line(
        "DELETE /api/image-processing/batches/<int:id>", "/api/image-processing/batches/{batch}", "401 403 404 200 404"
    ),
    Line("GET /api/image-processing/batches/<int:id>", "/api/image-processing/batches/{batch}", "401 200 404 200 200"),
    Line("POST /api/image-processing/cancel", "/api/image-processing/cancel", "401 403 415 415 415"),
    Line("GET /api/image-processing/docs", "/api/image-processing/docs", "302 302 302 302 302"),
    Line(
        "GET /api/image-processing/docs/oauth2-redirect.html",
        "/api/image-processing/docs/oauth2-redirect.html",
        "200 200 200 200 200",
    ),
    Line("GET /api/image-processing/docs/swagger", "/api/image-processing/docs/swagger", "200 200 200 200 200"),
    Line(
        "GET /api/image-processing/docs/swagger/<path:filename>",
        "/api/image-processing/docs/swagger/nothing",
        "404 404 404 404 404",
    ),
    Line("GET /api/image-processing/events", "/api/image-processing/events", "401 200 200 200 200"),
    Line("POST /api/image-processing/forget", "/api/image-processing/forget", "401 403 415 415 415"),
    Line("GET /api/image-processing/healthz", "/api/image-processing/healthz", "200 200 200 200 200"),
    Line("GET /api/image-processing/metrics", "/api/image-processing/metrics", "401 403 403 403 200"),
    Line(
        "GET /api/image-processing/metadata/sha256/{sha256}",
        "/api/image-processing/metadata/sha256/{sha256}",
        "401 200 404 200 200",
    ),
    Line(
        "GET /api/image-processing/metadata/{file_id}", "/api/image-processing/metadata/{file}", "401 200 404 200 200"
    ),
    Line("GET /api/image-processing/openapi.json", "/api/image-processing/openapi.json", "200 200 200 200 200"),
    Line("GET /api/image-processing/catalog", "/api/image-processing/catalog", "401 200 200 200 200"),
    Line("GET /api/image-processing/presets", "/api/image-processing/presets", "401 200 200 200 200"),
    Line(
        "DELETE /api/image-processing/presets/<string:name>",
        "/api/image-processing/presets/avatar",
        "401 403 409 409 409",
    ),
    Line(
        "GET /api/image-processing/presets/<string:name>", "/api/image-processing/presets/avatar", "401 200 200 200 200"
    ),
    Line(
        "PUT /api/image-processing/presets/<string:name>", "/api/image-processing/presets/mine", "401 403 415 415 415"
    ),
    Line("POST /api/image-processing/preview", "/api/image-processing/preview", "401 400 400 400 400"),
    Line("GET /api/image-processing/readyz", "/api/image-processing/readyz", "200 200 200 200 200"),
    Line("POST /api/image-processing/render-urls", "/api/image-processing/render-urls", "401 403 400 400 400"),
    Line("GET /api/image-processing/renders/metrics", "/api/image-processing/renders/metrics", "401 403 403 403 200"),
    Line(
        "DELETE /api/image-processing/renders/{file_id}", "/api/image-processing/renders/{file}", "401 403 404 204 204"
    ),
    Line("POST /api/image-processing/restart", "/api/image-processing/restart", "401 403 415 415 415"),
    Line("GET /api/image-processing/stats", "/api/image-processing/stats", "401 200 200 200 200"),
    Line(
        "GET /api/image-processing/thumbnails/sha256/{sha256}/{size}",
        "/api/image-processing/thumbnails/sha256/{sha256}/128",
        "401 200 404 200 200",
    ),
    Line(
        "GET /api/image-processing/thumbnails/{file_id}/{size}",
        "/api/image-processing/thumbnails/{file}/128",
        "401 200 404 200 200",
    ),
    Line("GET /api/keys", "/api/keys", "401 403 403 403 200"),
    Line("GET /api/image-processing/webhook-secrets", "/api/image-processing/webhook-secrets", "401 403 200 200 200"),
    Line("POST /api/keys", "/api/keys", "401 403 403 403 415"),
    Line("DELETE /api/keys/<key_id>", "/api/keys/{key}", "401 403 403 403 200"),
    Line("POST /api/keys/<key_id>/rotate", "/api/keys/{key}/rotate", "401 403 403 403 415"),
    Line("GET /api/metrics", "/api/metrics", "401 403 403 403 200"),
    Line("GET /api/openapi.json", "/api/openapi.json", "200 200 200 200 200"),
    Line("GET /api/owners", "/api/owners", "401 403 403 403 200"),
    Line("PUT /api/owners/<name>/limits", "/api/owners/alice/limits", "401 403 403 403 415"),
    Line("GET /api/readyz", "/api/readyz", "200 200 200 200 200"),
    Line("DELETE /api/session", "/api/session", "204 204 204 204 204"),
    Line("GET /api/session", "/api/session", "200 200 200 200 200"),
    Line("POST /api/session", "/api/session", "415 415 415 415 415"),
]
_THINGS = ("once", "file", "task", "batch", "upload", "link", "token", "shared", "key")
ANYTHING = dict.fromkeys(_THINGS, 1) | {"sha256": "0" * 64}
"""For requests that are refused before their objects are looked up."""
READING = {"POST /api/file-server/lookup", "GET /api/file-server/<int:id>/download"}
OF_PROCESSES = {
    WORKER_SECRET: READING
    | {
        "PUT /api/file-server/",
        "POST /api/file-server/batch",
        "POST /api/file-server/copies",
        "GET /api/file-server/idempotency-keys/<string:key>",
        "DELETE /api/file-server/idempotency-keys/<string:key>",
    },
    RENDER_SECRET: READING | {"GET /api/image-processing/presets/<string:name>"},
    IMAGE_PROCESSOR_SECRET: {"POST /api/file-server/lookup"},
}
"""The routes that the secret of each of Pixmill's own processes opens, apart from those that need no key."""
CHANGES = [line for line in TABLE if line.route.split()[0] not in ("GET", "HEAD", "OPTIONS")]


@pytest.fixture(scope="module")
def keys_stack() -> Iterator[EmbeddedStack]:
    stack = EmbeddedStack(temporary_folder("routes"), {"ACCESS_AUTH__MODE": "keys"})
    yield stack
    stack.stop()


@pytest.fixture(scope="module")
def secrets(keys_stack: EmbeddedStack) -> Mapping[str, str]:
    people = {"reader": ("alice", "reader"), "writer": ("alice", "writer"), "other": ("bob", "writer")}
    # The first key of an installation is made on its machine, the others by the API.
    words = ["keys", "create", "--owner", "root", "--role", "admin", "--data", str(keys_stack.data)]
    command = [str(SCRIPTS / "pixmill"), *words]
    run = subprocess.run(command, env=ENVIRONMENT, cwd=PROJECT, check=True, capture_output=True, text=True)
    admin = run.stdout.strip()
    with Served(keys_stack.url, key=admin) as root:
        return {person: new_key(root, owner, role) for person, (owner, role) in people.items()} | {"admin": admin}


@pytest.fixture(scope="module")
def untouched(keys_stack: EmbeddedStack, secrets: Mapping[str, str]) -> Mapping[str, object]:
    """The objects shared by all requests that change nothing."""
    return _things(keys_stack, secrets)


@pytest.fixture
def mine(
    keys_stack: EmbeddedStack, secrets: Mapping[str, str], untouched: Mapping[str, object], line: Line
) -> Mapping[str, object]:
    """New objects of the owner of the reader's and the writer's keys."""
    return _things(keys_stack, secrets) if line in CHANGES and "{" in line.path else untouched


def _things(keys_stack: EmbeddedStack, secrets: Mapping[str, str]) -> Mapping[str, object]:
    once = str(uuid4())
    with Served(keys_stack.url, key=secrets["writer"]) as alice:
        file = alice.http.post(
            f"{FILES}/", files={"file": ("a.png", photo(8, 6))}, headers={"Idempotency-Key": once}
        ).json()
        [task] = alice.run([file["id"]], "flip").task_ids
        alice_task = ended_task(alice, task)
        upload = alice.http.post(f"{FILES}/uploads/", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
        link = alice.http.post(f"{FILES}/{file['id']}/links", json={}).json()
        shared = alice.http.post(f"{FILES}/links", json={"file_ids": [file["id"]]}).json()["token"]
        upload_id = upload.headers["Location"].rpartition("/")[2]
        token = link["url"].rpartition("/")[2]
    with Served(keys_stack.url, key=secrets["admin"]) as root:
        key = root.http.post("/api/keys", json={"owner": "alice", "role": "reader"}).json()
    return {
        "once": once,
        "file": file["id"],
        "task": task,
        "batch": alice_task.batch_id,
        "upload": upload_id,
        "link": link["id"],
        "token": token,
        "shared": shared,
        "key": key["id"],
        "sha256": file["sha256"],
    }


@pytest.fixture(scope="module")
def http(keys_stack: EmbeddedStack) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=keys_stack.url, timeout=60, trust_env=False) as client:
        yield client


def asked(http: httpx2.Client, line: Line, mine: Mapping[str, object], **headers: str) -> int:
    """Return the status of a request to the line's route."""
    method = line.route.split()[0]
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    # Send no cookie that an earlier response may have set.
    http.cookies.clear()
    with http.stream(method, line.path.format_map(mine), headers={"Tus-Resumable": "1.0.0", **named}) as answer:
        return answer.status_code


@pytest.mark.parametrize("line", TABLE, ids=[line.route for line in TABLE])
def test_each_person_gets_what_the_table_says(
    http: httpx2.Client, secrets: Mapping[str, str], mine: Mapping[str, object], line: Line
) -> None:
    statuses = {
        person: asked(http, line, mine, **({"Authorization": f"Bearer {secrets[person]}"} if person in secrets else {}))
        for person in PEOPLE
    }

    assert " ".join(str(statuses[person]) for person in PEOPLE) == line.statuses


@pytest.mark.parametrize("line", TABLE, ids=[line.route for line in TABLE])
def test_a_foreign_host_gets_nothing(http: httpx2.Client, secrets: Mapping[str, str], line: Line) -> None:
    key = f"Bearer {secrets['admin']}"

    assert asked(http, line, ANYTHING, Host="rebind.example", Authorization=key) == 421


@pytest.mark.parametrize("line", CHANGES, ids=[line.route for line in CHANGES])
def test_a_page_of_another_site_changes_nothing(http: httpx2.Client, secrets: Mapping[str, str], line: Line) -> None:
    key = f"Bearer {secrets['admin']}"

    assert asked(http, line, ANYTHING, Sec_Fetch_Site="cross-site", Authorization=key) == 403


@pytest.mark.parametrize("secret", OF_PROCESSES)
def test_the_secret_of_a_process_opens_only_the_routes_of_its_job(
    keys_stack: EmbeddedStack, untouched: Mapping[str, object], secret: str
) -> None:
    headers = {"Authorization": f"Bearer {secret}", "X_Pixmill_Owner": "alice", "X_Pixmill_Sees": "all"}
    # Its own address, because services that do not know the secret count it as a wrong key.
    transport = httpx2.HTTPTransport(local_address="127.0.0.7")

    with httpx2.Client(base_url=keys_stack.url, timeout=60, trust_env=False, transport=transport) as client:
        opened = {
            line.route
            for line in TABLE
            if line.statuses.startswith("401")
            and asked(client, line, {**untouched, "once": str(uuid4())}, **headers) not in (401, 403, 429)
        }

    # With another method than PUT, the path of a new file exists for nobody.
    assert {route for route in opened if "<new_name:name>" not in route} == OF_PROCESSES[secret]


def test_the_page_asks_for_a_key(keys_stack: EmbeddedStack, chromium: Browser, secrets: Mapping[str, str]) -> None:
    with open_page(chromium, keys_stack.url) as page:
        page.open("/files")
        enter(page.field("Key"), "pxm_wrong")
        page.says("This key does not exist")
        enter(page.field("Key"), secrets["writer"])

        page.button("Upload")


def test_what_was_typed_outlives_the_session(
    keys_stack: EmbeddedStack, chromium: Browser, secrets: Mapping[str, str]
) -> None:
    with Served(keys_stack.url, key=secrets["writer"]) as client, open_page(chromium, keys_stack.url) as page:
        file_id = client.files.upload(b"text", name="typed.txt").id
        page.open(f"/files/{file_id}")
        enter(page.field("Key"), secrets["writer"])
        comment = page.field("Comment")
        page.tab.context.clear_cookies()
        enter(comment, "a long comment", "Tab")
        enter(page.field("Key", "dialog"), secrets["writer"])
        page.says("Saved")

        assert comment.input_value() == "a long comment"
        assert client.http.get(f"{FILES}/{file_id}").json()["comment"] == "a long comment"


def test_the_table_has_every_route(monkeypatch: pytest.MonkeyPatch) -> None:
    configure_applications(monkeypatch, "all-routes")

    found = {
        f"{method} {base}{rule.rule}"
        for base, create in ((FILES, create_file_server), (TASKS, create_image_processing), ("/api", create_access))
        for rule in create().url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        # GET routes also answer HEAD, unless HEAD has its own route.
        if method != "HEAD" or "GET" not in (rule.methods or set())
    }

    found |= {
        f"{method} {route.path}"
        for route in create_render().routes
        if isinstance(route, Route) and route.path.startswith("/api/")
        for method in (route.methods or set()) - {"HEAD"}
    }
    # The event streams are separate applications.
    found |= {f"GET {base}/events" for base in (FILES, TASKS)}
    assert found == {line.route for line in TABLE if not line.route.startswith("OPTIONS")}
