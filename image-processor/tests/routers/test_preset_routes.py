"""The routes of presets: the whole application on SQLite, without a server."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
from file_storage.app import create_app as create_file_server
from flask.testing import FlaskClient
from image_processor.app import create_app
from image_processor.services.presets.presets import MAX_BYTES, MAX_PRESETS
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import READER, WRITER, Scope
from service_kit.database import Database
from werkzeug.test import TestResponse

from tests.support.databases import empty_sqlite
from tests.support.environment import INNER_SECRETS
from tests.support.images import photo

PROJECT = Path(__file__).parents[3]
FLIP = {"steps": [{"algorithm": "flip"}]}
ROTATE = {"steps": [{"algorithm": "rotate", "params": {"angle": 90}}]}


@dataclass(frozen=True)
class Site:
    """Both services, with the keys of two owners and of a reader."""

    tasks: FlaskClient
    files: FlaskClient
    keys: Mapping[str, str]

    def send(
        self,
        method: str,
        path: str,
        who: str = "ann",
        *,
        json: object = None,
        data: bytes | None = None,
        content_type: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> TestResponse:
        """Send a user's request to the API of tasks."""
        every = {"Authorization": f"Bearer {self.keys[who]}", **(headers or {})}
        return self.tasks.open(path, method=method, headers=every, json=json, data=data, content_type=content_type)

    def put(self, name: str, params: object, who: str = "ann", **headers: str) -> TestResponse:
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        return self.send("PUT", f"/presets/{name}", who, json={"params": params}, headers=named)

    def upload(self, who: str) -> int:
        """Store a user's image; return its id."""
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        stored: int = self.files.put("/?name=a.png", data=photo(8, 6), headers=headers).get_json()["id"]
        return stored


@pytest.fixture(scope="module")
def restored_logging() -> Iterator[None]:
    """Undo the logging configuration of the applications that this module creates."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, restored_logging: None) -> Site:
    folder = tmp_path_factory.mktemp("presets")
    access = empty_sqlite(folder / "access.db", "service_kit.access")
    empty_sqlite(folder / "files.db", "file_storage")
    empty_sqlite(folder / "tasks.db", "image_processor")
    settings = {
        "PIXMILL_LINK_SECRET": "test-secret of 32 bytes and more.",
        **INNER_SECRETS,
        "PIXMILL_CALLBACK_SECRET": "a-secret-of-webhooks-in-these-tests-only",
        "ACCESS_DATABASE__URL": access,
        "FILE_STORAGE_DATABASE__URL": f"sqlite:///{folder}/files.db",
        "FILE_STORAGE_STORAGE__FOLDER": str(folder),
        "FILE_STORAGE_STORAGE__RESERVE_BYTES": "0",
        "FILE_STORAGE_UPLOAD__BODY_FOLDER": "",
        "IMAGE_PROCESSOR_DATABASE__URL": f"sqlite:///{folder}/tasks.db",
        "IMAGE_PROCESSOR_BROKER__URL": "memory://",
        "IMAGE_PROCESSOR_FILE_STORAGE__URL": "wsgi://file_storage.app/api/file-server",
    }
    keys = KeyService(Database(access))
    scopes = {"ann": WRITER, "bob": WRITER, "reader": READER, "old": WRITER - {Scope.PRESETS_WRITE}}
    owners = {"bob": "bob"}
    made = {who: keys.create(KeyRequest(owners.get(who, "ann"), scopes[who])).secret for who in scopes}
    with pytest.MonkeyPatch.context() as environment:
        environment.chdir(PROJECT)
        for name, value in settings.items():
            environment.setenv(name, value)
        return Site(create_app().test_client(), create_file_server().test_client(), made)


def type_of(response: TestResponse) -> str:
    document = response.get_json()
    assert document["status"] == response.status_code
    return str(document["type"]).removeprefix("urn:pixmill:problem:")


def pointers_of(response: TestResponse) -> list[str]:
    return [error["pointer"] for error in response.get_json()["errors"]]


def test_a_preset_is_made_read_replaced_and_deleted(site: Site) -> None:
    made = site.put("thumb", FLIP)
    replaced = site.put("thumb", ROTATE)
    read = site.send("GET", "/presets/thumb")
    deleted = site.send("DELETE", "/presets/thumb")
    gone = site.send("GET", "/presets/thumb")

    assert (made.status_code, made.headers["Location"]) == (201, "/presets/thumb")
    assert replaced.status_code == 200
    assert read.get_json() == replaced.get_json()
    assert (read.get_json()["params"], read.get_json()["read_only"]) == (ROTATE, False)
    assert read.get_json()["updated_at"].endswith(" GMT")
    assert deleted.status_code == 204
    assert (gone.status_code, type_of(gone)) == (404, "preset-not-found")


def test_a_list_has_the_presets_of_the_settings_and_then_one_s_own(site: Site) -> None:
    site.put("own", FLIP)

    listed = site.send("GET", "/presets").get_json()
    of_another = site.send("GET", "/presets", "bob").get_json()

    assert [(preset["name"], preset["read_only"]) for preset in listed] == [
        ("avatar", True),
        ("web", True),
        ("own", False),
    ]
    assert [preset["name"] for preset in of_another] == ["avatar", "web"]


def test_the_preset_of_another_owner_does_not_exist(site: Site) -> None:
    site.put("anns", FLIP)
    file_id = site.upload("bob")

    answers = [
        site.send("GET", "/presets/anns", "bob"),
        site.send("DELETE", "/presets/anns", "bob"),
        site.send("POST", "/", "bob", json={"file_ids": [file_id], "preset": "anns"}),
    ]
    made = site.put("anns", ROTATE, "bob")

    assert [(answer.status_code, type_of(answer)) for answer in answers] == [(404, "preset-not-found")] * 3
    assert made.status_code == 201
    assert site.send("GET", "/presets/anns").get_json()["params"] == FLIP


def test_a_batch_takes_the_steps_that_its_preset_has_at_that_moment(site: Site) -> None:
    file_id = site.upload("ann")
    site.put("changing", FLIP)

    [task_id] = site.send("POST", "/", json={"file_ids": [file_id], "preset": "changing"}).get_json()["task_ids"]
    site.put("changing", ROTATE)
    site.send("DELETE", "/presets/changing")

    task = site.send("GET", f"/{task_id}").get_json()
    assert (task["algorithm"], task["params"]) == ("pipeline", FLIP)


def test_a_preset_names_files_of_its_owner_only(site: Site) -> None:
    bobs = site.upload("bob")
    overlay = {"steps": [{"algorithm": "overlay", "params": {"file_id": bobs}}]}

    anns = site.put("stolen", overlay)
    own = site.put("stolen", overlay, "bob")

    assert (anns.status_code, type_of(anns)) == (404, "file-not-found")
    assert pointers_of(anns) == ["/params"]
    assert own.status_code == 201


@pytest.mark.parametrize(
    ("method", "name"), [("PUT", "avatar"), ("DELETE", "avatar")], ids=["it is put", "it is deleted"]
)
def test_a_preset_of_the_settings_stays(site: Site, method: str, name: str) -> None:
    refused = site.send(method, f"/presets/{name}", json={"params": FLIP} if method == "PUT" else None)

    assert (refused.status_code, type_of(refused)) == (409, "preset-read-only")
    assert site.send("GET", f"/presets/{name}").get_json()["read_only"] is True


@pytest.mark.parametrize("who", ["reader", "old"])
def test_a_key_without_the_scope_changes_nothing(site: Site, who: str) -> None:
    refused = [site.put("forbidden", FLIP, who), site.send("DELETE", "/presets/forbidden", who)]

    assert [(answer.status_code, type_of(answer)) for answer in refused] == [(403, "scope-missing")] * 2
    assert site.send("GET", "/presets", who).status_code == 200


def test_an_etag_of_the_read_version_lets_a_change_pass_once(site: Site) -> None:
    tag = site.put("shared", FLIP).headers["ETag"]

    first = site.put("shared", ROTATE, If_Match=tag)
    second = site.put("shared", FLIP, If_Match=tag)
    deleted = site.send("DELETE", "/presets/shared", headers={"If-Match": tag})

    assert first.status_code == 200
    assert [(answer.status_code, type_of(answer)) for answer in (second, deleted)] == [(412, "precondition-failed")] * 2
    assert site.send("GET", "/presets/shared").get_json()["params"] == ROTATE
    assert site.send("DELETE", "/presets/shared", headers={"If-Match": first.headers["ETag"]}).status_code == 204


@pytest.mark.parametrize(
    ("header", "value", "status", "status_of_new"),
    [
        ("If-None-Match", "*", 412, 201),
        ("If-None-Match", '"other"', 200, 201),
        ("If-Match", "*", 200, 412),
        ("If-Match", '"other"', 412, 412),
        ("If-Match", "", 412, 412),
        ("If-Match", 'W/"weak"', 412, 412),
    ],
)
def test_a_condition_decides_about_a_preset_that_exists_and_about_a_new_one(
    site: Site, header: str, value: str, status: int, status_of_new: int
) -> None:
    site.put("there", FLIP)
    site.send("DELETE", "/presets/missing")

    existing = site.put("there", ROTATE, **{header.replace("-", "_"): value})
    new = site.put("missing", ROTATE, **{header.replace("-", "_"): value})

    assert (existing.status_code, new.status_code) == (status, status_of_new)


def test_an_unchanged_preset_is_not_sent_again(site: Site) -> None:
    tag = site.put("kept", FLIP).headers["ETag"]

    answer = site.send("GET", "/presets/kept", headers={"If-None-Match": tag})

    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize(
    ("params", "status", "kind", "pointer"),
    [
        ({}, 422, "invalid-fields", "/params/steps"),
        ({"steps": []}, 422, "invalid-fields", "/params/steps"),
        ({"steps": [{"algorithm": "flop"}]}, 422, "unknown-algorithm", "/params/steps/0/algorithm"),
        (
            {"steps": [{"algorithm": "blur", "params": {"radius": -1}}]},
            422,
            "invalid-fields",
            "/params/steps/0/params/radius",
        ),
        (
            {"steps": [{"algorithm": "info"}, {"algorithm": "flip"}]},
            422,
            "invalid-fields",
            "/params/steps/0/algorithm",
        ),
        ({**FLIP, "output": {"format": "bmp"}}, 422, "invalid-fields", "/params/output/format"),
        ({**FLIP, "color": "red"}, 422, "invalid-fields", "/params/color"),
        ({"steps": [{"algorithm": "flip"}] * 21}, 422, "invalid-fields", "/params/steps"),
        ([], 422, "invalid-fields", "/params"),
        (
            {"steps": [{"algorithm": "overlay", "params": {"file_id": 987_654_321}}]},
            404,
            "file-not-found",
            "/params",
        ),
        (
            {"steps": [{"algorithm": "watermark", "params": {"mark": {"text": "x" * MAX_BYTES}}}]},
            422,
            "invalid-fields",
            "/params",
        ),
    ],
)
def test_wrong_params_are_refused_with_the_field(
    site: Site, params: object, status: int, kind: str, pointer: str
) -> None:
    refused = site.put("wrong", params)

    assert (refused.status_code, type_of(refused)) == (status, kind)
    assert pointers_of(refused) == [pointer]
    assert site.send("GET", "/presets/wrong").status_code == 404


@pytest.mark.parametrize("name", [".hidden", "-x", "a b", "a%00b", "x" * 65, "%D0%B0"])
def test_a_name_that_does_not_fit_into_a_url_is_refused(site: Site, name: str) -> None:
    refused = site.put(name, FLIP)

    assert (refused.status_code, pointers_of(refused)) == (422, ["/name"])
    assert site.send("GET", f"/presets/{name}").status_code == 404
    assert site.send("DELETE", f"/presets/{name}").status_code == 404


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"params=1", "text/plain", 415),
        (b'{"params": {"steps": [{"algorithm": "flip"}]}, "note": "?"}', "application/json", 422),
        (b"{}", "application/json", 422),
        (b"[]", "application/json", 422),
        (b" " * (2 * 1024 * 1024 + 1), "application/json", 413),
    ],
)
def test_a_body_that_is_not_a_preset_is_refused(site: Site, body: bytes, content_type: str, status: int) -> None:
    assert site.send("PUT", "/presets/wrong", data=body, content_type=content_type).status_code == status


@pytest.mark.slow
def test_an_owner_has_a_limited_number_of_presets(site: Site) -> None:
    before = [preset["name"] for preset in site.send("GET", "/presets", "bob").get_json() if not preset["read_only"]]

    made = [site.put(f"preset-{number}", FLIP, "bob").status_code for number in range(MAX_PRESETS - len(before))]
    one_more = site.put("one-more", FLIP, "bob")
    replaced = site.put("preset-0", ROTATE, "bob")

    assert set(made) == {201}
    assert (one_more.status_code, type_of(one_more)) == (409, "too-many-presets")
    assert replaced.status_code == 200
