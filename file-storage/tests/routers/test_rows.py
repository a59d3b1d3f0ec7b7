"""The data of a file besides its name, in requests and responses."""

import json
from base64 import b64encode
from collections.abc import Mapping
from io import BytesIO
from zipfile import ZipFile

import pytest
import svcs
from file_storage.app import create_app
from file_storage.config import Settings
from flask.testing import FlaskClient
from PIL import ExifTags, Image
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import ALL_SCOPES, READER
from werkzeug.test import TestResponse

from tests.support.environment import INNER_SECRETS, WORKER_SECRET

pytestmark = pytest.mark.slow

TUS = {"Tus-Resumable": "1.0.0"}
TEN_YEARS = 315_360_000


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def worker(client: FlaskClient) -> Mapping[str, str]:
    """Return the headers of a worker that acts for the owner ``ann``."""
    return {"Authorization": f"Bearer {WORKER_SECRET}", "X-Pixmill-Owner": "ann"}


def form(client: FlaskClient, filename: str, **fields: str) -> TestResponse:
    return client.post("/", data={"file": (BytesIO(b"content"), filename), **fields})


def raw(client: FlaskClient, query: Mapping[str, str], headers: Mapping[str, str] | None = None) -> TestResponse:
    return client.put("/", query_string=query, data=b"content", headers=headers)


def batch(
    client: FlaskClient, fields: Mapping[str, object], filename: str = "a.bin", headers: Mapping[str, str] | None = None
) -> TestResponse:
    data = {"file": (BytesIO(b"content"), filename), "json": json.dumps([fields])}
    return client.post("/batch", data=data, headers=headers)


def tus(client: FlaskClient, metadata: Mapping[str, str]) -> TestResponse:
    encoded = ",".join(f"{key} {b64encode(value.encode()).decode()}" for key, value in metadata.items())
    return client.post("/uploads/", headers=TUS | {"Upload-Length": "0", "Upload-Metadata": encoded})


def document(response: TestResponse) -> dict[str, object]:
    assert response.status_code in (200, 201), response.text
    assert isinstance(response.json, dict)
    return response.json


def by_tus(client: FlaskClient, metadata: Mapping[str, str]) -> dict[str, object]:
    created = tus(client, metadata)
    assert created.status_code == 201, created.text
    return document(client.get(f"/{created.headers['Pixmill-File-Id']}"))


def of_batch(response: TestResponse) -> dict[str, object]:
    files = document(response)["files"]
    assert isinstance(files, list)
    assert len(files) == 1
    file = files[0]["file"]
    assert isinstance(file, dict)
    return file


def assert_refused(response: TestResponse, status: int, kind: str, pointer: str | None = None) -> None:
    assert response.json is not None
    assert (response.status_code, response.json["type"]) == (status, f"urn:pixmill:problem:{kind}"), response.text
    if pointer is not None:
        assert pointer in [error["pointer"] for error in response.json["errors"]]


def test_a_form_with_a_query_is_refused(client: FlaskClient) -> None:
    refused = client.post("/?name=b.txt&folder=moon", data={"file": (BytesIO(b"content"), "a.txt")})

    assert refused.status_code == 422
    assert sorted(error["pointer"] for error in refused.get_json()["errors"]) == ["/folder", "/name"]


@pytest.mark.parametrize("path", ["/folders", "/stats"])
def test_what_takes_no_filter_refuses_one(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}?owner=shop").status_code == 422


def test_an_upload_shows_only_what_it_has(client: FlaskClient) -> None:
    file = document(form(client, "a.txt"))

    assert file["origin"] == "upload"
    assert not file.keys() & {"source_id", "task_id", "folder", "taken_at", "expires_at"}
    assert document(client.get(f"/{file['id']}")) == file
    assert client.get("/").json == [file]


def test_every_way_of_uploading_keeps_the_folder_of_a_path(client: FlaskClient) -> None:
    path = "holiday/2026/a.jpg"
    files = [
        document(form(client, path)),
        document(raw(client, {"name": path})),
        of_batch(batch(client, {}, path)),
        by_tus(client, {"filename": path}),
        by_tus(client, {"filename": "a.jpg", "relativePath": path}),
        by_tus(client, {"filename": "a.jpg", "relativePath": f"/{path}"}),
        by_tus(client, {"relativePath": path}),
        by_tus(client, {"relativePath": f"/{path}/"}),
    ]

    assert [(file["folder"], file["name"], file["extension"]) for file in files] == [
        ("holiday/2026", "a", ".jpg")
    ] * len(files)


def test_a_wanted_folder_counts_more_than_that_of_the_path(client: FlaskClient) -> None:
    files = [
        document(form(client, "holiday/a.jpg", folder="/trips//2026/")),
        document(raw(client, {"name": "holiday/a.jpg", "folder": "trips/2026"})),
        of_batch(batch(client, {"folder": "trips/2026"}, "holiday/a.jpg")),
        by_tus(client, {"filename": "holiday/a.jpg", "folder": "trips/2026"}),
    ]

    assert [file["folder"] for file in files] == ["trips/2026"] * len(files)
    assert "folder" not in document(raw(client, {"name": "holiday/a.jpg", "folder": ""}))


def test_uppy_writes_null_for_a_file_without_a_folder(client: FlaskClient) -> None:
    assert "folder" not in by_tus(client, {"filename": "a.jpg", "relativePath": "null"})
    assert by_tus(client, {"relativePath": "null"})["name"] == "upload"


def test_a_file_moves_to_another_folder(client: FlaskClient) -> None:
    file_id = document(form(client, "holiday/a.jpg"))["id"]

    assert document(client.patch(f"/{file_id}", json={"folder": "work"}))["folder"] == "work"
    assert document(client.patch(f"/{file_id}", json={"name": "b"}))["folder"] == "work"
    assert "folder" not in document(client.patch(f"/{file_id}", json={"folder": ""}))


def test_slashes_around_a_folder_do_not_count(client: FlaskClient) -> None:
    file_id = document(form(client, "a.jpg", folder="/abs"))["id"]

    assert document(client.get(f"/{file_id}"))["folder"] == "abs"
    assert document(client.patch(f"/{file_id}", json={"folder": "/etc//x/"}))["folder"] == "etc/x"


def test_a_copy_stays_in_the_folder_of_its_source_unless_it_wants_another(client: FlaskClient) -> None:
    file_id = document(form(client, "holiday/a.jpg"))["id"]

    assert document(client.post(f"/{file_id}/copy", json={}))["folder"] == "holiday"
    assert document(client.post(f"/{file_id}/copy", json={"folder": "work"}))["folder"] == "work"
    assert "folder" not in of_batch(client.post("/copies", json={"copies": [{"file_id": file_id, "folder": ""}]}))


def test_an_archive_has_the_folders(client: FlaskClient) -> None:
    ids = [document(form(client, name))["id"] for name in ("holiday/a.jpg", "a.jpg", "holiday/a.jpg")]

    answer = client.get("/archive", query_string={"id": ids})

    assert ZipFile(BytesIO(answer.data)).namelist() == ["holiday/a.jpg", "a.jpg", "holiday/a (2).jpg"]


def test_a_file_expires_by_every_way_of_uploading(client: FlaskClient) -> None:
    files = [
        document(form(client, "a.jpg", expires_in="3600")),
        document(raw(client, {"name": "a.jpg", "expires_in": "3600"})),
        of_batch(batch(client, {"expires_in": 3600})),
        by_tus(client, {"filename": "a.jpg", "expires_in": "3600"}),
    ]
    file_id = files[0]["id"]
    files.append(document(client.post(f"/{file_id}/copy", json={"expires_in": 3600})))

    assert all("expires_at" in file for file in files)
    assert "expires_at" not in document(client.post(f"/{file_id}/copy", json={}))


def test_a_photo_says_when_it_was_taken_and_so_does_its_copy(client: FlaskClient) -> None:
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:01 12:03:06"
    content = BytesIO()
    Image.new("RGB", (3, 2)).save(content, "JPEG", exif=exif)
    content.seek(0)

    file = document(client.post("/", data={"file": (content, "a.jpg")}))

    assert file["taken_at"] == "Wed, 01 Jul 2026 12:03:06 GMT"
    assert document(client.post(f"/{file['id']}/copy", json={}))["taken_at"] == file["taken_at"]


def test_a_worker_says_which_task_made_a_file(client: FlaskClient, worker: Mapping[str, str]) -> None:
    ids = {"X-Pixmill-Source-Id": "7", "X-Pixmill-Task-Id": "9"}
    single = document(raw(client, {"name": "a.jpg"}, {**worker, **ids}))
    many = of_batch(batch(client, {"source_id": 7, "task_id": 9}, headers=worker))
    wanted = {"file_id": single["id"], "source_id": 8, "task_id": 10}
    copy = of_batch(client.post("/copies", json={"copies": [wanted]}, headers=worker))

    for file in (single, many):
        assert (file["origin"], file["source_id"], file["task_id"]) == ("result", 7, 9)
    assert (copy["origin"], copy["source_id"], copy["task_id"]) == ("result", 8, 10)


def test_a_copy_of_a_result_is_not_the_result_of_its_task(client: FlaskClient, worker: Mapping[str, str]) -> None:
    file_id = of_batch(batch(client, {"source_id": 7, "task_id": 9}, headers=worker))["id"]

    copy = document(client.post(f"/{file_id}/copy", json={}))

    assert (copy["origin"], copy["source_id"]) == ("result", 7)
    assert "task_id" not in copy


@pytest.mark.parametrize("secret", INNER_SECRETS.values(), ids=INNER_SECRETS)
def test_a_lookup_says_to_pixmills_own_processes_who_owns_a_file(
    client: FlaskClient, worker: Mapping[str, str], secret: str
) -> None:
    file = document(raw(client, {"name": "a.jpg"}, worker))
    as_process = {"Authorization": f"Bearer {secret}"}

    for wanted in ({"ids": [file["id"]]}, {"sha256": [file["sha256"]]}):
        for headers in ({"X-Pixmill-Sees": "all"}, {"X-Pixmill-Owner": "ann"}):
            found = document(client.post("/lookup", json=wanted, headers=as_process | headers))
            assert found == {"files": [{**file, "owner": "ann"}]}


def test_no_other_lookup_says_who_owns_a_file(client: FlaskClient, worker: Mapping[str, str]) -> None:
    file = document(raw(client, {"name": "a.jpg"}, worker))
    with client.application.app_context():
        keys = svcs.flask.get(KeyService)
        secrets = [keys.create(KeyRequest(*each)).secret for each in (("ann", READER), ("root", ALL_SCOPES))]

    for headers in ({}, *({"Authorization": f"Bearer {secret}"} for secret in secrets)):
        # The headers of Pixmill's own processes have no effect without their secrets.
        named = {**headers, "X-Pixmill-Owner": "ann", "X-Pixmill-Sees": "all"}
        assert document(client.post("/lookup", json={"ids": [file["id"]]}, headers=named)) == {"files": [file]}


@pytest.mark.parametrize("claim", ["source_id", "task_id", "batch_id"])
def test_nobody_else_says_which_task_made_a_file(client: FlaskClient, claim: str) -> None:
    file_id = document(form(client, "a.jpg"))["id"]
    header = f"X-Pixmill-{claim.title().replace('_', '-')}"

    for value in ("7", "x", "0" * 5000):
        assert_refused(raw(client, {"name": "a.jpg"}, {header: value}), 403, "services-only")
    assert_refused(batch(client, {claim: 7}), 403, "services-only")
    assert_refused(client.post("/copies", json={"copies": [{"file_id": file_id, claim: 7}]}), 403, "services-only")
    assert_refused(client.post(f"/{file_id}/copy", json={claim: 7}), 422, "invalid-fields", f"/{claim}")
    assert_refused(form(client, "a.jpg", **{claim: "7"}), 422, "invalid-fields", f"/{claim}")
    assert_refused(client.patch(f"/{file_id}", json={claim: 7}), 422, "invalid-fields", f"/{claim}")


def test_folders_are_listed_by_name_with_their_files(client: FlaskClient) -> None:
    for path in ("work/a.jpg", "holiday/2026/a.jpg", "holiday/2026/b.jpg", "a.jpg"):
        form(client, path)
    form(client, "gone/a.jpg")
    client.post("/delete", json={"filter": {"folder": "gone"}})

    folders = document(client.get("/folders"))["folders"]

    assert folders == [{"folder": "holiday/2026", "files": 2}, {"folder": "work", "files": 1}]


def test_folders_of_another_owner_are_not_listed(client: FlaskClient, worker: Mapping[str, str]) -> None:
    form(client, "work/a.jpg")
    raw(client, {"name": "albums/a.jpg"}, worker)
    with client.application.app_context():
        ann = svcs.flask.get(KeyService).create(KeyRequest("ann", READER))

    folders = document(client.get("/folders", headers={"Authorization": f"Bearer {ann.secret}"}))["folders"]

    assert folders == [{"folder": "albums", "files": 1}]


@pytest.mark.parametrize("folder", ["..", "a/../b", "C:/a", "a\\b", "a" * 501])
def test_a_folder_that_leads_elsewhere_is_refused_everywhere(client: FlaskClient, folder: str) -> None:
    file_id = document(form(client, "a.jpg"))["id"]

    for response in (
        form(client, "a.jpg", folder=folder),
        raw(client, {"name": "a.jpg", "folder": folder}),
        tus(client, {"filename": "a.jpg", "folder": folder}),
        client.patch(f"/{file_id}", json={"folder": folder}),
        client.post(f"/{file_id}/copy", json={"folder": folder}),
        client.get("/", query_string={"folder": folder}),
        client.get("/index", query_string={"folder": folder}),
    ):
        assert_refused(response, 422, "invalid-fields", "/folder")
    assert_refused(batch(client, {"folder": folder}), 422, "invalid-fields")


@pytest.mark.parametrize("seconds", ["0", "-1", str(TEN_YEARS + 1), "soon", "1.5", " "])
def test_a_file_cannot_expire_at_once_or_after_ten_years(client: FlaskClient, seconds: str) -> None:
    for response in (
        form(client, "a.jpg", expires_in=seconds),
        raw(client, {"name": "a.jpg", "expires_in": seconds}),
        tus(client, {"filename": "a.jpg", "expires_in": seconds}),
    ):
        assert_refused(response, 422, "invalid-fields", "/expires_in")


@pytest.mark.parametrize("seconds", [0, TEN_YEARS + 1, True, 1.5, []])
def test_json_has_the_same_limits_of_time(client: FlaskClient, seconds: object) -> None:
    file_id = document(form(client, "a.jpg"))["id"]

    assert_refused(client.post(f"/{file_id}/copy", json={"expires_in": seconds}), 422, "invalid-fields", "/expires_in")
    assert_refused(batch(client, {"expires_in": seconds}), 422, "invalid-fields", "/0/expires_in")
    assert_refused(client.patch(f"/{file_id}", json={"expires_in": 60}), 422, "invalid-fields", "/expires_in")


@pytest.mark.parametrize(
    "value",
    ["0", "-1", "x", "+1", "1_0", "٣", "9223372036854775808", "1" * 5000, "0" * 19 + "1", "0" * 19 + "1" + "0" * 5000],
)
def test_an_id_in_a_header_is_an_id(client: FlaskClient, worker: Mapping[str, str], value: str) -> None:
    response = raw(client, {"name": "a.jpg"}, {**worker, "X-Pixmill-Task-Id": value})

    assert_refused(response, 422, "invalid-fields", "/X-Pixmill-Task-Id")


LONGEST = ("n" * 255, "." + "e" * 254)
"""The longest name and extension."""
DEEP = "f" * 249 + "/" + "f" * 250
"""The longest folder."""


def test_every_way_of_uploading_takes_the_longest_name_extension_and_folder(client: FlaskClient) -> None:
    name = "".join(LONGEST)
    path = f"{DEEP}/{name}"
    files = [
        document(form(client, path)),
        document(form(client, "a", name=name, folder=DEEP)),
        document(raw(client, {"name": path})),
        document(raw(client, {"name": name, "folder": DEEP})),
        document(client.put(f"/{name}?folder={DEEP}", data=b"content")),
        of_batch(batch(client, {}, path)),
        of_batch(batch(client, {"name": name, "folder": DEEP}, "a")),
        by_tus(client, {"filename": path}),
    ]
    file_id = files[0]["id"]
    copy = {"name": name, "extension": LONGEST[1], "folder": DEEP}
    files += [
        document(client.post(f"/{file_id}/copy", json=copy)),
        of_batch(client.post("/copies", json={"copies": [{**copy, "file_id": file_id}]})),
        document(client.patch(f"/{file_id}", json={"name": name, "folder": DEEP})),
    ]

    assert {(file["name"], file["extension"], file["folder"]) for file in files} == {(*LONGEST, DEEP)}
    assert ZipFile(BytesIO(client.get(f"/archive?id={file_id}").data)).namelist() == [path]


@pytest.mark.parametrize(
    ("stem", "extension", "folder", "pointer"),
    [("n", "", "", "/name"), ("", "e", "", "/name"), ("", "", "f", "/folder")],
)
def test_no_way_of_uploading_takes_one_character_more(
    client: FlaskClient, stem: str, extension: str, folder: str, pointer: str
) -> None:
    path = f"{DEEP}{folder}/{LONGEST[0]}{stem}{LONGEST[1]}{extension}"

    for response in (
        form(client, path),
        raw(client, {"name": path}),
        batch(client, {}, path),
        tus(client, {"filename": path}),
    ):
        assert_refused(response, 422, "invalid-fields")
        assert response.get_json()["errors"][0]["pointer"].endswith(pointer)


WITHOUT_QUERY = [
    ("POST", "/delete"),
    ("POST", "/restore"),
    ("POST", "/trash/empty"),
    ("POST", "/lookup"),
    ("POST", "/copies"),
    ("POST", "/batch"),
    ("POST", "/archive"),
    ("POST", "/links"),
    ("PATCH", "/links/1"),
    ("DELETE", "/links/1"),
    ("POST", "/1/copy"),
    ("POST", "/1/links"),
    ("PATCH", "/1"),
    ("DELETE", "/1"),
    ("GET", "/1"),
    ("POST", "/uploads/"),
    ("DELETE", "/idempotency-keys/a"),
]


@pytest.mark.parametrize(("method", "path"), WITHOUT_QUERY)
def test_a_route_without_parameters_refuses_a_query(client: FlaskClient, method: str, path: str) -> None:
    response = client.open(f"{path}?folder=a", method=method, headers=TUS)

    assert_refused(response, 422, "invalid-fields", "/folder")


@pytest.mark.parametrize("path", ["/healthz?now=1", "/openapi.json?v=1", "/docs/swagger?v=1", "/1?now=1"])
def test_probes_and_the_documentation_may_have_any_query(client: FlaskClient, path: str) -> None:
    assert (client.get(path).status_code == 422) == (path == "/1?now=1")


def test_what_does_not_exist_is_not_found_with_a_query_too(client: FlaskClient) -> None:
    assert client.get("/nothing?a=1").status_code == 404


def test_files_of_any_of_several_tasks_are_listed_and_deleted(client: FlaskClient, worker: Mapping[str, str]) -> None:
    ids = [of_batch(batch(client, {"task_id": number}, headers=worker))["id"] for number in (1, 2, 3, 4)]

    listed = client.get("/", query_string={"task_id": [1, 3, 9]}).get_json()
    deleted = document(client.post("/delete", json={"filter": {"task_id": [1, 4]}}))["ids"]
    of_single = document(client.post("/delete", json={"filter": {"task_id": 2}}))["ids"]

    assert [file["id"] for file in listed] == [ids[0], ids[2]]
    assert (deleted, of_single) == ([ids[0], ids[3]], [ids[1]])


def test_folders_have_pages(client: FlaskClient) -> None:
    for folder in ("a b", "c&d", "e"):
        form(client, f"{folder}/a.jpg")
    seen, address = [], "/folders?limit=2"
    while address:
        answer = client.get(address)
        seen.append([each["folder"] for each in document(answer)["folders"]])  # type: ignore[attr-defined]
        more = document(answer)["more"]
        address = answer.headers.get("Link", "").partition(">")[0].removeprefix("<")
        assert bool(address) == more

    assert seen == [["a b", "c&d"], ["e"]]
    assert client.get("/folders?limit=0").status_code == 422
    assert client.get("/folders?limit=10001").status_code == 422


def test_a_key_with_another_folder_is_another_request(client: FlaskClient) -> None:
    key = {"Idempotency-Key": "once"}
    first = document(raw(client, {"name": "holiday/a.jpg"}, key))

    assert document(raw(client, {"name": "holiday/a.jpg"}, key)) == first
    assert_refused(raw(client, {"name": "work/a.jpg"}, key), 422, "idempotency-key-reused")


@pytest.mark.parametrize("path", ["/", "/index"])
@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ([("name", "a"), ("name", "b")], "/name"),
        ([("q", "a"), ("q", "a")], "/q"),
        ([("sort", "id"), ("sort", "id")], "/sort"),
        ([("folder", "a"), ("folder", "b")], "/folder"),
        ([("source_id", "1"), ("source_id", "2")], "/source_id"),
        ([("source_id", "0")], "/source_id"),
        ([("task_id", "x")], "/task_id/0"),
        ([("origin", "elsewhere")], "/origin/0"),
        ([("extension", "a")] * 21, "/extension"),
        ([("media_type", "a" * 256)], "/media_type/0"),
        ([("taken_after", "1")], "/taken_after"),
        ([("sort", "folder")], "/sort"),
        ([("color", "red")], "/color"),
    ],
)
def test_a_wrong_filter_is_named(client: FlaskClient, path: str, query: list[tuple[str, str]], pointer: str) -> None:
    assert_refused(client.get(path, query_string=query), 422, "invalid-fields", pointer)


@pytest.mark.parametrize("query", [{"limit": "1"}, {"after": "1"}])
def test_an_index_has_no_pages(client: FlaskClient, query: dict[str, str]) -> None:
    assert_refused(client.get("/index", query_string=query), 422, "invalid-fields")


def test_repeated_filters_mean_any_of_and_stay_in_the_next_pages_address(client: FlaskClient) -> None:
    for name in ("a.jpg", "b.png", "c.gif", "d.jpg"):
        form(client, name)

    page = client.get("/", query_string=[("extension", "jpg"), ("extension", ".PNG"), ("limit", "2")])
    following = client.get(page.headers["Link"].partition("?")[2].partition(">")[0].join(["/?", ""]))

    assert page.json is not None
    assert [file["name"] for file in page.json] == ["a", "b"]
    assert following.json is not None
    assert [file["name"] for file in following.json] == ["d"]
