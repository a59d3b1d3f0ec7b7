"""Uploads to a real file service: what they store, and what a repetition sends."""

import os
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
from pixmill.client import uploads
from pixmill.client.exchange import Call, Exchange, Pause, Reply
from pixmill.client.upload_state import unfinished_uploads
from pixmill.client.uploads import (
    FILES,
    MEDIUM,
    UPLOAD_PIECE_BYTES,
    UPLOADS,
    New,
    Progress,
    UploadOperations,
    UploadOutcome,
)

from pixmill import (
    ChangedFileError,
    File,
    InvalidError,
    Retries,
    StorageFullError,
    UnavailableError,
    UnreachableError,
    UnsendableTextError,
)
from tests.support.file_service import Server

OPERATIONS = UploadOperations(Exchange(Retries(attempts=2)), "http://pixmill.test")
LARGE = MEDIUM + 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(os.urandom(LARGE))
    return path


def key() -> str:
    return f"key {os.urandom(8).hex()}"


def many(server: Server, news: Sequence[New], *, skip_existing: bool = False) -> list[UploadOutcome]:
    return [end for group in OPERATIONS.many(news, skip_existing=skip_existing) for end in server.run(group)]


def test_a_large_upload_with_the_key_of_an_earlier_one_is_the_same_file_and_sends_nothing(
    server: Server, large: Path
) -> None:
    new = New(large, "large.bin", given_key=key())
    first = server.run(OPERATIONS.upload(new))
    server.calls.clear()

    second = server.run(OPERATIONS.upload(new))

    assert second == first
    assert server.bodies("PATCH") == server.bodies("POST") == []


def test_a_large_upload_with_the_key_of_another_file_is_refused_before_it_is_sent(server: Server, large: Path) -> None:
    used = key()
    server.run(OPERATIONS.upload(New(b"small", "small.bin", given_key=used)))

    with pytest.raises(InvalidError) as refused:
        server.run(OPERATIONS.upload(New(large, "large.bin", given_key=used)))

    assert refused.value.kind == "idempotency-key-reused"
    assert server.bodies("PATCH") == []


def test_a_large_upload_with_a_key_that_no_address_can_have_is_the_same_file(server: Server, large: Path) -> None:
    new = New(large, "large.bin", given_key=f"a/{key()}")

    files = [server.run(OPERATIONS.upload(new)) for _ in range(2)]

    assert files[0] == files[1]


def test_large_uploads_without_a_key_are_different_files(server: Server, large: Path) -> None:
    files = [server.run(OPERATIONS.upload(New(large, "large.bin"))) for _ in range(2)]

    assert files[0].id != files[1].id
    assert files[0].sha256 == files[1].sha256


def test_a_large_upload_whose_last_answer_was_lost_is_not_sent_again(server: Server, large: Path) -> None:
    new = New(large, "large.bin", comment="the last answer is lost")
    server.lost = lambda call: call.method == "GET"
    with pytest.raises(UnreachableError):
        server.run(OPERATIONS.upload(new))
    server.lost = lambda _: False
    sent = sum(server.bodies("PATCH"))

    file = server.run(OPERATIONS.upload(new))

    assert (sent, sum(server.bodies("PATCH"))) == (LARGE, LARGE)
    assert [row["comment"] for row in server.http.get("/", query_string={"q": new.comment}).json or []] == [
        file.comment
    ]


def test_a_large_file_that_was_deleted_after_its_upload_is_uploaded_again(server: Server, large: Path) -> None:
    new = New(large, "large.bin", comment="deleted")
    server.lost = lambda call: call.method == "GET"
    with pytest.raises(UnreachableError):
        server.run(OPERATIONS.upload(new))
    server.lost = lambda _: False
    [row] = server.http.get("/", query_string={"q": new.comment}).json or []
    server.http.delete(f"/{row['id']}")

    file = server.run(OPERATIONS.upload(new))

    assert file.id != row["id"]
    assert sum(server.bodies("PATCH")) == 2 * LARGE


def test_a_revoked_key_refuses_a_large_upload_each_time(server: Server, large: Path) -> None:
    new = New(large, "large.bin", given_key=f"revoked-{os.urandom(8).hex()}")
    server.http.delete(f"/idempotency-keys/{new.given_key}")

    for _ in range(2):
        with pytest.raises(Exception, match="was revoked"):
            server.run(OPERATIONS.upload(new))


@pytest.mark.parametrize("step", [1, -1], ids=["comment first", "folder first"])
def test_an_upload_with_the_same_text_in_another_field_is_another_upload(
    server: Server, large: Path, step: int
) -> None:
    text = os.urandom(6).hex()
    first, second = [New(large, "large.bin", comment=text), New(large, "large.bin", folder=text)][::step]
    server.lost = lambda call: call.method in ("PATCH", "HEAD")
    with pytest.raises(UnreachableError):
        server.run(OPERATIONS.upload(first))
    server.lost = lambda _: False

    file = server.run(OPERATIONS.upload(second))

    assert (file.comment, file.folder) == (second.comment, second.folder or "")


NAMES = [
    ("a.jpg", None),
    (unicodedata.normalize("NFD", "Й é.JPG"), unicodedata.normalize("NFD", "/Отпуск é/")),
    (" padded .txt ", "/a//b/ "),
    ("holiday/2026/a.jpg", None),
    ("holiday\\a.jpg", None),
    ("holiday/a.jpg", "elsewhere"),
    ("../a.jpg", None),
    ("archive.tar.gz", ""),
    (".hidden", " x "),
    ("a\u202egpj.exe", "b\u200e"),
    ("ends with a dot.", None),
]


@pytest.mark.parametrize(("name", "folder"), NAMES)
@pytest.mark.parametrize("together", [1, 2], ids=["alone", "in a batch"])
def test_a_file_that_the_server_has_is_not_sent_again(
    server: Server, tmp_path: Path, name: str, folder: str | None, together: int
) -> None:
    paths = [tmp_path / str(number) for number in range(together)]
    for path in paths:
        path.write_bytes(os.urandom(16))
    news = [New(path, name, folder=folder) for path in paths]
    first = many(server, news)

    second = many(server, news, skip_existing=True)

    assert [end.error for end in first] == [None] * together
    assert [(end.existed, end.file) for end in second] == [(True, end.file) for end in first]


def test_a_file_is_found_behind_a_page_of_others_of_its_name_and_size(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PAGE", 2)
    name, path = f"{os.urandom(8).hex()}.bin", tmp_path / "content"
    path.write_bytes(os.urandom(16))
    # The server returns the first file with these bytes, which has another name here.
    for new in (New(path, "other.bin"), *(New(os.urandom(16), name) for _ in range(4))):
        server.run(OPERATIONS.upload(new))
    wanted = server.run(OPERATIONS.upload(New(path, name)))

    [end] = many(server, [New(path, name)], skip_existing=True)

    assert (end.existed, end.file) == (True, wanted)


@pytest.mark.parametrize(("name", "folder"), NAMES)
def test_a_batch_stores_a_file_under_the_same_name_as_a_single_upload(
    server: Server, name: str, folder: str | None
) -> None:
    new = New(b"bytes", name, folder=folder)

    single = server.run(OPERATIONS.upload(new))
    [batched] = server.run(OPERATIONS.batch([New(b"bytes", name, folder=folder)]))

    assert isinstance(batched, File)
    assert (batched.name, batched.extension, batched.folder) == (single.name, single.extension, single.folder)


@pytest.mark.parametrize("skip_existing", [False, True])
def test_a_name_that_is_not_utf_8_fails_alone(server: Server, tmp_path: Path, *, skip_existing: bool) -> None:
    names = ["good", os.fsdecode(b"\xff.txt"), "better"]
    for name in names:
        (tmp_path / name).write_bytes(name.encode("utf-8", "surrogateescape") + os.urandom(8))

    ends = many(server, [New(tmp_path / name, name) for name in names], skip_existing=skip_existing)

    assert {end.source.name: type(end.error) for end in ends} == {
        "good": type(None),
        names[1]: UnsendableTextError,
        "better": type(None),
    }
    assert all(b"udcff" not in (call.body or b"") for call in server.calls)
    assert [str(end.error) for end in ends if end.error] == ["\\udcff.txt is not valid UTF-8; choose another name"]


@pytest.mark.parametrize(
    ("sizes", "stored", "requests"),
    [
        # A batch is stored as a whole or not at all.
        ([60_000, 50_000, 20_000], [False, True, True], ["batch", "20000", "50000", "60000"]),
        ([120_000, 110_000, 130_000], [False, False, False], ["batch", "110000"]),
        ([120_000], [False], ["120000"]),
    ],
    ids=["room for two", "no room", "alone"],
)
def test_files_of_a_batch_without_room_are_sent_until_one_has_no_room(
    server_with_quota: Server, sizes: Sequence[int], stored: Sequence[bool], requests: Sequence[str]
) -> None:
    ends = many(server_with_quota, [New(os.urandom(size), f"{size}.bin") for size in sizes])

    assert [end.source.name for end in ends] == [f"{size}.bin" for size in sizes]
    assert [end.file is not None for end in ends] == stored
    assert all(isinstance(end.error, StorageFullError) for end in ends if end.file is None)
    assert [
        "batch" if call.path.endswith("/batch") else str(len(call.body or b"")) for call in server_with_quota.calls
    ] == requests


class Rewriter:
    """Changes a file while it is uploaded: after its first ``after`` bytes were sent."""

    def __init__(self, path: Path, after: int) -> None:
        self._path = path
        self._after = after

    def __call__(self, progress: Progress) -> None:
        if progress.done >= self._after:
            self._after = sys.maxsize
            with self._path.open("r+b") as file:
                file.write(b"changed")


@pytest.fixture
def changing(tmp_path: Path) -> Path:
    path = tmp_path / f"{os.urandom(6).hex()}.bin"
    path.write_bytes(os.urandom(LARGE))
    # A file system may note times in steps of milliseconds.
    os.utime(path, (1, 1))
    return path


@pytest.mark.parametrize("after", [0, UPLOAD_PIECE_BYTES, 2 * UPLOAD_PIECE_BYTES], ids=["first", "middle", "last"])
def test_a_large_file_that_changes_during_its_upload_is_not_stored(server: Server, changing: Path, after: int) -> None:
    new = New(changing, changing.name)

    with pytest.raises(ChangedFileError, match=f"{changing.name} has changed"):
        server.run(OPERATIONS.upload(new, Rewriter(changing, after)))

    assert server.http.get("/", query_string={"name": changing.stem}).json == []
    [deletion] = [call for call in server.calls if call.method == "DELETE"]
    gone = server.http.head(deletion.path.removeprefix(FILES), headers={"Tus-Resumable": "1.0.0"})
    assert gone.status_code == 404
    assert unfinished_uploads() == 0


def test_a_large_file_that_was_replaced_during_its_upload_is_not_stored(server: Server, changing: Path) -> None:
    other = changing.with_name("other")
    other.write_bytes(bytes(LARGE))
    os.utime(other, (1, 1))

    def replace(progress: Progress) -> None:
        if progress.done and other.exists():
            other.replace(changing)

    with pytest.raises(ChangedFileError):
        server.run(OPERATIONS.upload(New(changing, changing.name), replace))

    assert server.http.get("/", query_string={"name": changing.stem}).json == []


def test_a_large_file_that_becomes_shorter_during_its_upload_is_not_stored(server: Server, changing: Path) -> None:
    def shorten(progress: Progress) -> None:
        if progress.done:
            os.truncate(changing, UPLOAD_PIECE_BYTES)

    with pytest.raises(ChangedFileError):
        server.run(OPERATIONS.upload(New(changing, changing.name), shorten))

    assert server.http.get("/", query_string={"name": changing.stem}).json == []


@pytest.mark.parametrize("together", [1, 3], ids=["alone", "in a batch"])
def test_a_small_file_that_changes_while_it_is_read_is_not_stored_and_fails_alone(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    paths = [tmp_path / f"{os.urandom(6).hex()}.txt" for _ in range(together)]
    for path in paths:
        path.write_bytes(path.name.encode())
    read = Path.read_bytes

    def read_while_another_program_writes(path: Path) -> bytes:
        content = read(path)
        if path == paths[0]:
            path.write_bytes(content + b"more")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_while_another_program_writes)
    ends = many(server, [New(path, path.name) for path in paths])

    assert [type(end.error) for end in ends] == [ChangedFileError, *[type(None)] * (together - 1)]
    assert server.http.get("/", query_string={"name": paths[0].stem}).json == []


def test_a_lookup_that_fails_is_the_outcome_of_each_file(server: Server, tmp_path: Path) -> None:
    names = ["a", os.fsdecode(b"\xff"), "b"]
    for name in names:
        (tmp_path / name).touch()
    server.lost = lambda call: call.path.endswith("/lookup")

    ends = many(server, [New(tmp_path / name, name) for name in names], skip_existing=True)

    assert [type(end.error) for end in ends] == [UnreachableError, UnsendableTextError, UnreachableError]


def test_an_upload_whose_creation_got_no_answer_is_not_created_again(server: Server, large: Path) -> None:
    server.lost = lambda call: call.method == "POST"

    with pytest.raises(UnreachableError):
        server.run(OPERATIONS.upload(New(large, "large.bin")))

    assert len(server.bodies("POST")) == 1


def test_an_upload_is_created_once_the_server_has_restarted(large: Path) -> None:
    operation = OPERATIONS.upload(New(large, "large.bin"))
    next(operation)

    pause = operation.send(Reply(503, {}))
    again = operation.send(None)

    assert isinstance(pause, Pause)
    assert isinstance(again, Call)
    assert (again.method, again.path) == ("POST", f"{UPLOADS}/")


def test_an_upload_is_not_created_again_if_a_gateway_may_have_lost_the_response(large: Path) -> None:
    operation = OPERATIONS.upload(New(large, "large.bin"))
    next(operation)

    with pytest.raises(UnavailableError):
        operation.send(Reply(502, {}))
