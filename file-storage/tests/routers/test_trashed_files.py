"""Every route treats a file in the trash like a file that was deleted permanently."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest
from flask.testing import FlaskClient

from tests.support.images import photo

Start = Callable[[str], FlaskClient]
TUS = {"Tus-Resumable": "1.0.0"}
TUS_BYTES = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


@dataclass(frozen=True)
class Ask:
    """A request that names the deleted file or would find it."""

    route: str
    path: str = ""
    json: object = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.route} {self.path}"


ASKED = [
    Ask("GET /"),
    Ask("GET /", "/?name=a.png"),
    Ask("GET /", "/?media_type=image/*&sort=-name"),
    Ask("GET /", "/?extension=png&limit=1"),
    Ask("GET /", "/?size_min=1&sort=size"),
    Ask("GET /", "/?created_after=2000-01-01T00:00:00Z&sort=-created_at"),
    Ask("GET /", "/?q=a.png"),
    Ask("GET /index"),
    Ask("GET /folders"),
    Ask("GET /<int:id>", "/{id}"),
    Ask("PATCH /<int:id>", "/{id}", {"name": "again"}),
    Ask("DELETE /<int:id>", "/{id}"),
    Ask("POST /<int:id>/copy", "/{id}/copy", {}),
    Ask("POST /<int:id>/links", "/{id}/links", {}),
    Ask("GET /<int:id>/download", "/{id}/download"),
    Ask("GET /<int:id>/download", "/{id}/download?disposition=inline", None, {"Range": "bytes=0-3,5-6"}),
    Ask("GET /<int:id>/download", "/{id}/download", None, {"If-None-Match": '"{sha256}"'}),
    Ask("GET /archive", "/archive?id={id}"),
    Ask("POST /archive", "/archive", {"ids": ["{id}"]}),
    Ask("POST /lookup", "/lookup", {"ids": ["{id}"]}),
    Ask("POST /lookup", "/lookup", {"sha256": ["{sha256}"]}),
    Ask("POST /copies", "/copies", {"copies": [{"file_id": "{id}"}]}),
    Ask("POST /delete", "/delete", {"ids": ["{id}"]}),
    Ask("POST /delete", "/delete", {"filter": {"name": "a.png"}}),
    Ask("GET /idempotency-keys/<string:key>", "/idempotency-keys/once"),
    Ask("GET /links"),
    Ask("POST /links", "/links", {"file_ids": ["{id}"]}),
    Ask("GET /links/<string:link>", "/links/{token}"),
    Ask("HEAD /uploads/<string:upload_id>", "/uploads/{upload}", None, TUS),
    Ask("PATCH /uploads/<string:upload_id>", "/uploads/{upload}", None, TUS | TUS_BYTES),
]
OF_THE_TRASH = {"GET /trash", "POST /restore", "POST /trash/empty", "GET /metrics", "GET /stats"}
"""Routes for the trash itself."""
OF_SETS = {
    "GET /shared/<string:token>",
    "GET /shared/<string:token>/<int:file_id>",
    "GET /shared/<string:token>/archive",
}
"""Routes of links for sets, which have their own test."""
OF_NO_FILE = {
    "PATCH /links/<string:link>",
    "POST /shared/<string:token>/unlock",
    "POST /",
    "PUT /",
    "POST /batch",
    "PUT /<new_name:name>",
    "GET /<new_name:name>",
    "POST /<new_name:name>",
    "PATCH /<new_name:name>",
    "DELETE /<new_name:name>",
    "POST /uploads/",
    "DELETE /uploads/<string:upload_id>",
    "GET /healthz",
    "GET /readyz",
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/swagger",
    "GET /docs/swagger/<path:filename>",
    "GET /docs/oauth2-redirect.html",
}
"""Routes that read no stored file."""
OF_WHAT_IS_RESTORED = {"DELETE /links/<string:link>", "DELETE /idempotency-keys/<string:key>"}
"""Routes that ignore the trash.

A link can be revoked while its file is in the trash, so that restoring the file does not make it valid again. An
idempotency key can be revoked at any time.
"""


class World:
    """A server with the same history as others, and the names of its objects."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        once = {"Idempotency-Key": "once"}
        file = self.client.put("/a.png", data=photo(8, 6), headers=once).get_json()
        link = self.client.post(f"/{file['id']}/links", json={}).get_json()
        begun = self.client.post("/uploads/", headers=TUS | {"Upload-Length": "0"})
        self.names = {
            "id": file["id"],
            "sha256": file["sha256"],
            "token": link["url"].rpartition("/")[2],
            "upload": begun.headers["Location"].rpartition("/")[2],
        }
        for file_id in (file["id"], begun.headers["Pixmill-File-Id"]):
            assert self.client.delete(f"/{file_id}").status_code == 204

    def named(self, text: str) -> str:
        for name, value in self.names.items():
            text = text.replace(f'"{{{name}}}"', json.dumps(value)).replace(f"{{{name}}}", str(value))
        return text

    def answer(self, ask: Ask) -> tuple[int, bytes, str | None]:
        """Return the status, the body without the names of this server, and the name of the upload's file."""
        response = self.client.open(
            self.named(ask.path or ask.route.partition(" ")[2]),
            method=ask.route.partition(" ")[0],
            headers={name: self.named(value) for name, value in ask.headers.items()},
            json=None if ask.json is None else json.loads(self.named(json.dumps(ask.json))),
        )
        return response.status_code, response.data, response.headers.get("Pixmill-File-Id")


@pytest.fixture(scope="module")
def with_trash(start: Start) -> World:
    return World(start("86400"))


@pytest.fixture(scope="module")
def without_trash(start: Start) -> World:
    return World(start("0"))


@pytest.mark.parametrize("ask", ASKED, ids=str)
def test_a_file_in_the_trash_answers_like_one_that_was_removed(
    with_trash: World, without_trash: World, ask: Ask
) -> None:
    assert with_trash.answer(ask) == without_trash.answer(ask)


def test_the_files_are_still_in_the_trash(with_trash: World, without_trash: World) -> None:
    """Otherwise the test above would compare nothing."""
    in_trash = with_trash.client.get("/trash").get_json()

    assert with_trash.names["id"] in [file["id"] for file in in_trash]
    assert without_trash.client.get("/trash").get_json() == []


def test_every_route_is_asked_or_reads_no_file(with_trash: World) -> None:
    routes = {
        f"{method} {rule.rule}"
        for rule in with_trash.client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        if method != "HEAD" or "GET" not in (rule.methods or set())
    }

    assert routes == {ask.route for ask in ASKED} | OF_THE_TRASH | OF_SETS | OF_NO_FILE | OF_WHAT_IS_RESTORED


def test_a_set_has_no_file_of_the_trash(with_trash: World) -> None:
    client = with_trash.client
    stays, goes = (client.put(f"/{name}.bin", data=name.encode()).get_json()["id"] for name in ("stays", "goes"))
    shared = client.post("/links", json={"file_ids": [stays, goes]}).get_json()["token"]

    client.delete(f"/{goes}")

    assert [file["id"] for file in client.get(f"/shared/{shared}").get_json()["files"]] == [stays]
    assert client.get(f"/shared/{shared}/{goes}").status_code == 404
    assert b"goes" not in client.get(f"/shared/{shared}/archive").data


def test_a_link_that_was_revoked_in_the_trash_stays_revoked(with_trash: World) -> None:
    client = with_trash.client
    file = client.put("/linked.bin", data=b"linked").get_json()
    link = client.post(f"/{file['id']}/links", json={}).get_json()
    client.delete(f"/{file['id']}")

    revoked = client.delete(f"/links/{link['id']}")
    client.post("/restore", json={"ids": [file["id"]]})

    assert revoked.status_code == 204
    assert client.get("/links/" + link["url"].rpartition("/")[2]).status_code == 404
