"""Owners of files, on both stacks and with real keys: files of other owners appear not to exist."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

import httpx2
import pytest

from tests.support.client import FILES, Served, new_key
from tests.support.environment import INNER_SECRETS, WORKER_SECRET
from tests.support.stacks import Stack

pytestmark = pytest.mark.both_stacks

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


@dataclass(frozen=True)
class Case:
    """A request for an object of Bob's."""

    method: str
    path: str
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def send(self, client: Served, things: Mapping[str, object]) -> httpx2.Response:
        place, headers = self.path, dict(self.headers)
        for name, value in things.items():
            place = place.replace(f"{{{name}}}", str(value))
            headers = {header: text.replace(f"{{{name}}}", str(value)) for header, text in headers.items()}
        return client.http.request(self.method, f"{FILES}{place}", json=self.json, headers=headers)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


NOT_THERE = [
    Case("GET", "/{id}"),
    Case("PATCH", "/{id}", {"comment": "stolen"}),
    Case("DELETE", "/{id}"),
    Case("POST", "/{id}/copy", {}),
    Case("POST", "/{id}/links", {}),
    Case("GET", "/{id}/download"),
    Case("GET", "/archive?id={id}"),
    Case("GET", "/idempotency-keys/{key}"),
    Case("DELETE", "/links/{link}"),
    Case("PATCH", "/links/{link}", {"note": "stolen"}),
    Case("HEAD", "/uploads/{upload_id}", headers=TUS),
    Case("PATCH", "/uploads/{upload_id}", headers=TUS | BYTES),
    Case("DELETE", "/uploads/{upload_id}", headers=TUS),
    Case("POST", "/uploads/", headers=TUS | {"Upload-Concat": "final;/uploads/{upload_id}"}),
]
"""Requests that return 404 for another owner's key."""
FOR_ALL = {
    "DELETE /idempotency-keys/{key}",
    "GET /links/{link}",
    "GET /shared/{token}",
    "GET /shared/{token}/{file_id}",
    "GET /shared/{token}/{file_id}/thumbnails/{size}",
    "GET /shared/{token}/archive",
    "POST /shared/{token}/unlock",
}
"""Routes with a path parameter that behave differently for another owner: see the tests below."""


class People:
    """Clients with keys of three owners, and Bob's objects."""

    def __init__(self, anyone: Served, bob: Served, ann: Served, admin: Served) -> None:
        self.anyone, self.bob, self.ann, self.admin = anyone, bob, ann, admin
        self.name_of_bob = str(bob.http.get("/api/session").json()["owner"])
        headers = {"Idempotency-Key": "a key of Bob's"}
        stored = bob.http.put(f"{FILES}/?name=bob.txt", content=b"of Bob", headers=headers).raise_for_status()
        self.file_id = stored.json()["id"]
        created = bob.http.post(f"{FILES}/{self.file_id}/links", json={"note": "for Carol"}).raise_for_status().json()
        self.link = str(created["url"])
        headers = TUS | {"Upload-Length": "6", "Upload-Concat": "partial"}
        upload = bob.http.post(f"{FILES}/uploads/", headers=headers).raise_for_status().headers["Location"]
        self.things = {
            "id": self.file_id,
            "key": "a key of Bob's",
            "link": created["id"],
            "upload_id": upload.rsplit("/", 1)[-1],
        }


@pytest.fixture(scope="module")
def people(stack: Stack) -> Iterator[People]:
    with ExitStack() as clients:
        anyone = clients.enter_context(Served(stack.url))
        run = secrets.token_hex(4)
        keys = [(f"bob-{run}", "writer"), (f"ann-{run}", "writer"), (f"root-{run}", "admin")]
        named = [clients.enter_context(with_key(stack, new_key(anyone, owner, role))) for owner, role in keys]
        yield People(anyone, *named)


def with_key(stack: Stack, key: str, **headers: str) -> Served:
    client = Served(stack.url, key=key)
    client.http.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return client


@pytest.mark.parametrize("case", NOT_THERE, ids=str)
def test_what_belongs_to_another_owner_is_not_there(people: People, case: Case) -> None:
    assert case.send(people.ann, people.things).status_code == 404


def test_every_route_with_a_parameter_has_a_line(people: People) -> None:
    described = people.anyone.http.get(f"{FILES}/openapi.json").json()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in described.items() if "{" in path for method in methods}

    assert routes - {str(case) for case in NOT_THERE} == FOR_ALL


def test_what_another_owner_was_refused_is_unchanged(people: People) -> None:
    for case in NOT_THERE:
        case.send(people.ann, people.things)

    assert people.bob.http.get(f"{FILES}/{people.file_id}").json()["comment"] == ""
    assert people.bob.files.read(people.file_id) == b"of Bob"
    assert Case("HEAD", "/uploads/{upload_id}", headers=TUS).send(people.bob, people.things).status_code == 200
    assert people.anyone.http.get(people.link).content == b"of Bob"


def test_lists_and_look_ups_have_only_what_belongs_to_the_owner(people: People) -> None:
    lookup, copies = {"ids": [people.file_id]}, {"copies": [{"file_id": people.file_id}]}

    assert people.ann.http.get(f"{FILES}/?name=bob.txt").json() == []
    assert people.ann.http.get(f"{FILES}/links").json() == []
    assert people.ann.http.post(f"{FILES}/lookup", json=lookup).json() == {"files": []}
    assert people.ann.http.post(f"{FILES}/archive", json=lookup).status_code == 404
    [copied] = people.ann.http.post(f"{FILES}/copies", json=copies).json()["files"]
    assert copied["problem"]["status"] == 404
    assert [file["id"] for file in people.bob.http.post(f"{FILES}/lookup", json=lookup).json()["files"]] == [
        people.file_id
    ]


def test_an_admin_and_the_machines_own_user_see_all(people: People) -> None:
    for client in (people.admin, people.anyone):
        assert client.files.read(people.file_id) == b"of Bob"
        assert people.file_id in [file["id"] for file in client.http.get(f"{FILES}/?name=bob.txt").json()]
        assert people.things["link"] in [link["id"] for link in client.http.get(f"{FILES}/links").json()]


def test_each_owner_has_idempotency_keys_of_its_own(people: People) -> None:
    headers = {"Idempotency-Key": str(people.things["key"])}

    of_ann = people.ann.http.put(f"{FILES}/?name=ann.txt", content=b"of Ann", headers=headers)
    revoked = people.ann.http.delete(f"{FILES}/idempotency-keys/{people.things['key']}")

    assert (of_ann.status_code, revoked.status_code) == (201, 204)
    assert people.ann.http.get(f"{FILES}/{of_ann.json()['id']}").status_code == 404
    assert people.bob.http.get(f"{FILES}/idempotency-keys/{people.things['key']}").json()["id"] == people.file_id


def test_a_link_needs_no_key_until_its_owner_revokes_it(people: People) -> None:
    link = people.bob.http.post(f"{FILES}/{people.file_id}/links", json={"disposition": "inline"}).json()

    shown = people.anyone.http.get(link["url"])
    listed = {each["id"]: each for each in people.bob.http.get(f"{FILES}/links").json()}
    revoked = people.bob.http.delete(f"{FILES}/links/{link['id']}")

    assert (shown.content, shown.headers["Content-Disposition"]) == (b"of Bob", 'inline; filename="bob.txt"')
    assert listed[link["id"]]["file_id"] == people.file_id
    assert "url" not in listed[link["id"]]
    assert revoked.status_code == 204
    assert people.anyone.http.get(link["url"]).status_code == 404


def test_a_link_of_the_form_of_earlier_versions_is_refused(people: People) -> None:
    assert people.anyone.http.get(f"{FILES}/links/WzEsOTk5OTk5OTk5OV0.c2lnbmF0dXJl").status_code == 403


def stored_by(worker: Served, content: bytes) -> int:
    """Store a result as a worker does; return its id."""
    response = worker.http.put(f"{FILES}/", params={"name": "result.txt"}, content=content)
    return int(response.raise_for_status().json()["id"])


def test_pixmills_own_processes_act_for_an_owner(people: People, stack: Stack) -> None:
    lookup = {"ids": [people.file_id, people.ann.files.upload(b"of Ann", name="a.txt").id]}
    with with_key(stack, WORKER_SECRET, X_Pixmill_Owner=people.name_of_bob) as inner:
        seen = [file["id"] for file in inner.http.post(f"{FILES}/lookup", json=lookup).json()["files"]]
        result = stored_by(inner, b"a result")
        inner.http.headers["X-Pixmill-Sees"] = "all"
        all_seen = [file["id"] for file in inner.http.post(f"{FILES}/lookup", json=lookup).json()["files"]]
        second = stored_by(inner, b"another result")

    assert (seen, all_seen) == ([people.file_id], lookup["ids"])
    assert people.bob.files.read(result) == b"a result"
    assert people.bob.files.read(second) == b"another result"
    assert people.ann.http.get(f"{FILES}/{result}").status_code == 404


@pytest.mark.parametrize("secret", INNER_SECRETS.values(), ids=INNER_SECRETS)
def test_pixmills_own_processes_learn_who_owns_a_file(people: People, stack: Stack, secret: str) -> None:
    with with_key(stack, secret, X_Pixmill_Sees="all") as inner:
        [found] = inner.http.post(f"{FILES}/lookup", json={"ids": [people.file_id]}).json()["files"]

    assert found["owner"] == people.name_of_bob


def test_nobody_else_learns_who_owns_a_file(people: People) -> None:
    headers = {"X-Pixmill-Owner": people.name_of_bob, "X-Pixmill-Sees": "all"}

    for client in (people.bob, people.admin, people.anyone):
        file = client.http.get(f"{FILES}/{people.file_id}", headers=headers).json()
        listed = client.http.get(f"{FILES}/?name=bob.txt", headers=headers).json()
        found = client.http.post(f"{FILES}/lookup", json={"ids": [people.file_id]}, headers=headers).json()["files"]
        assert found == [file]
        assert file in listed
        assert "owner" not in file


@pytest.fixture
def limited(people: People, stack: Stack) -> Iterator[Served]:
    """Return a client whose owner may have 100 bytes in 2 files."""
    owner = f"carol-{secrets.token_hex(4)}"
    key = new_key(people.anyone, owner, "writer")
    people.anyone.http.put(f"/api/owners/{owner}/limits", json={"bytes": 100, "files": 2}).raise_for_status()
    with with_key(stack, key) as client:
        yield client


def refusal(response: httpx2.Response) -> tuple[int, str, bool]:
    problem = response.json()
    return response.status_code, problem["type"], "100 bytes" in problem["detail"] or "2 files" in problem["detail"]


EXCEEDED = (507, "urn:pixmill:problem:quota-exceeded", True)


def test_an_owner_may_not_exceed_its_bytes(limited: Served) -> None:
    file = limited.files.upload(b"x" * 60, name="a.bin")
    begun = limited.http.post(f"{FILES}/uploads/", headers=TUS | {"Upload-Length": "41"})

    assert refusal(limited.http.post(f"{FILES}/", files={"file": ("b.bin", b"y" * 41)})) == EXCEEDED
    assert refusal(limited.http.put(f"{FILES}/?name=b.bin", content=b"y" * 41)) == EXCEEDED
    assert refusal(limited.http.post(f"{FILES}/{file.id}/copy", json={})) == EXCEEDED
    assert refusal(begun) == EXCEEDED
    assert limited.files.upload(b"y" * 40, name="b.bin").size == 40


def test_an_owner_may_not_exceed_its_number_of_files(limited: Served) -> None:
    files = [limited.files.upload(b"x", name="a.bin").id for _ in range(2)]

    assert refusal(limited.http.post(f"{FILES}/", files={"file": ("b.bin", b"x")})) == EXCEEDED
    assert refusal(limited.http.post(f"{FILES}/{files[0]}/copy", json={})) == EXCEEDED
    limited.http.delete(f"{FILES}/{files[0]}").raise_for_status()
    assert refusal(limited.http.post(f"{FILES}/", files={"file": ("b.bin", b"x")})) == EXCEEDED
    limited.http.post(f"{FILES}/trash/empty", json={}).raise_for_status()

    assert limited.files.upload(b"x", name="b.bin").size == 1


def test_uploads_that_never_end_leave_no_room_for_others(limited: Served) -> None:
    parts = TUS | {"Upload-Length": "30", "Upload-Concat": "partial"}
    begun = [limited.http.post(f"{FILES}/uploads/", headers=parts) for _ in range(4)]

    assert [response.status_code for response in begun] == [201, 201, 201, 507]
    assert refusal(limited.http.post(f"{FILES}/", files={"file": ("a.bin", b"x" * 11)})) == EXCEEDED


def test_a_key_that_may_only_write_copies_nothing(people: People, stack: Stack) -> None:
    wanted = {"owner": people.name_of_bob, "scopes": ["files:write"]}
    key = people.anyone.http.post("/api/keys", json=wanted).raise_for_status().json()["secret"]

    with with_key(stack, key) as writer:
        copied = writer.http.post(f"{FILES}/{people.file_id}/copy", json={})

    assert copied.status_code == 403
    assert "files:read" in copied.json()["detail"]
