"""Downloads: what is checked, what is resumed, and which files are never replaced."""

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from pixmill.client.downloads import DownloadOperations
from pixmill.client.exchange import Call, Exchange, Pause, Reply, Work
from pixmill.client.locks import opened_alone
from pixmill.client.saving import at_path
from pixmill.client.settings import part_of
from pixmill.client.uploads import Progress

from pixmill import AsyncPixmill, DamagedTransferError, File, InUseError, Pixmill, Retries, UnreachableError
from tests.support.answering import Answer, FakeServer, answering, file_row

CONTENT = b"the bytes of the file"
DIGEST = hashlib.sha256(CONTENT).hexdigest()
ROW = file_row(7, name="photo", extension=".jpg", size=len(CONTENT), sha256=DIGEST)
FILE = File.of(ROW)
TWICE = Retries(attempts=2, first_seconds=0.001)

Download = Callable[[str, Path], Path]


def download(url: str, to: Path) -> Path:
    with Pixmill(url, retries=TWICE) as px:
        return px.files.download(7, to)


def download_asynchronously(url: str, to: Path) -> Path:
    async def downloaded() -> Path:
        async with AsyncPixmill(url, retries=TWICE) as px:
            return await px.files.download(7, to)

    return asyncio.run(downloaded())


DOWNLOADS = pytest.mark.parametrize("get", [download, download_asynchronously], ids=["sync", "async"])


def repr_digest(content: bytes) -> str:
    return f"sha-256=:{b64encode(hashlib.sha256(content).digest()).decode()}:"


def file_7(_method: str, path: str, _body: bytes) -> Answer:
    if path.endswith("/archive"):
        return 200, b"an archive"
    return (200, CONTENT, {"Repr-Digest": repr_digest(CONTENT)}) if path.endswith("/download") else (200, ROW)


@pytest.fixture
def fake_server() -> Iterator[FakeServer]:
    with answering() as running:
        running.answer = file_7
        yield running


@DOWNLOADS
def test_bytes_that_do_not_match_the_header_alone_are_damaged(
    fake_server: FakeServer, tmp_path: Path, get: Download
) -> None:
    wrong = {"Repr-Digest": repr_digest(CONTENT + b" ")}
    fake_server.answer = lambda _method, path, _body: (
        (200, CONTENT, wrong) if path.endswith("/download") else (200, ROW)
    )

    with pytest.raises(DamagedTransferError, match="file 7"):
        get(fake_server.url, tmp_path / "back.jpg")

    assert list(tmp_path.iterdir()) == []


def test_a_digest_of_an_unknown_algorithm_is_not_compared(fake_server: FakeServer, tmp_path: Path) -> None:
    other = {"Repr-Digest": "sha-512=:AAAA:"}
    fake_server.answer = lambda _method, path, _body: (
        (200, CONTENT, other) if path.endswith("/download") else (200, ROW)
    )

    assert download(fake_server.url, tmp_path / "back.jpg").read_bytes() == CONTENT


@DOWNLOADS
def test_another_file_at_the_path_is_not_replaced(fake_server: FakeServer, tmp_path: Path, get: Download) -> None:
    original = tmp_path / "original.jpg"
    original.write_bytes(b"the original")

    with pytest.raises(FileExistsError) as refused:
        get(fake_server.url, original)

    assert refused.value.filename == str(original)
    assert original.read_bytes() == b"the original"
    assert fake_server.paths("/download") == []


@DOWNLOADS
def test_a_name_that_a_folder_has_already_gets_a_number(fake_server: FakeServer, tmp_path: Path, get: Download) -> None:
    for name in ("photo.jpg", "photo (2).jpg"):
        (tmp_path / name).write_bytes(name.encode())

    path = get(fake_server.url, tmp_path)

    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == {
        "photo.jpg": b"photo.jpg",
        "photo (2).jpg": b"photo (2).jpg",
        "photo (3).jpg": CONTENT,
    }
    assert path.name == "photo (3).jpg"


@pytest.mark.parametrize("name", [".", "other.jpg"], ids=["folder", "path"])
def test_another_file_is_replaced_if_the_caller_says_so(fake_server: FakeServer, tmp_path: Path, name: str) -> None:
    for taken in ("photo.jpg", "other.jpg"):
        (tmp_path / taken).write_bytes(b"old")

    with Pixmill(fake_server.url, retries=TWICE) as px:
        path = px.files.download(7, tmp_path / name, overwrite=True)

    assert path == (tmp_path / "photo.jpg" if name == "." else tmp_path / name)
    assert path.read_bytes() == CONTENT
    assert len(list(tmp_path.iterdir())) == 2


@DOWNLOADS
def test_a_file_that_is_there_already_is_not_fetched_again(
    fake_server: FakeServer, tmp_path: Path, get: Download
) -> None:
    paths = [get(fake_server.url, tmp_path) for _ in range(2)]

    assert paths == [tmp_path / "photo.jpg"] * 2
    assert len(fake_server.paths("/download")) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "photo.jpg"]


def test_an_archive_replaces_no_file(fake_server: FakeServer, tmp_path: Path) -> None:
    there = tmp_path / "all.zip"
    there.write_bytes(b"the original")

    with Pixmill(fake_server.url) as px:
        with pytest.raises(FileExistsError):
            px.files.zip([7], there)
        kept = there.read_bytes()
        px.files.zip([7], there, overwrite=True)

    assert (kept, there.read_bytes()) == (b"the original", b"an archive")
    assert len(fake_server.paths("/archive")) == 1


@DOWNLOADS
def test_a_download_that_another_program_is_doing_is_refused(
    fake_server: FakeServer, tmp_path: Path, get: Download
) -> None:
    part = part_of(tmp_path / "back.jpg", DIGEST[:16])
    with opened_alone(part) as other:
        other.write(CONTENT[:5])
        other.flush()

        with pytest.raises(InUseError, match=r"another program is downloading photo\.jpg"):
            get(fake_server.url, tmp_path / "back.jpg")

        assert part.read_bytes() == CONTENT[:5]


def test_a_download_asks_for_the_bytes_that_its_partial_file_lacks(tmp_path: Path) -> None:
    part_of(tmp_path / "back.jpg", DIGEST[:16]).write_bytes(CONTENT[:5])
    wanted = at_path(tmp_path / "back.jpg", overwrite=False)
    operation = DownloadOperations(Exchange(Retries())).to_path(FILE, wanted)
    effect = next(operation)
    while isinstance(effect, Work):
        effect.work()
        effect = operation.send(None)
    operation.close()

    assert isinstance(effect, Call)
    assert effect.headers["Range"] == "bytes=5-"
    assert effect.headers["If-Range"] == f'"{DIGEST}"'


def test_the_bytes_are_on_the_disk_before_the_file_appears(
    fake_server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, synced, fsync = tmp_path / "back.jpg", [], os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.append((os.fstat(descriptor).st_size, path.exists()))

    monkeypatch.setattr(os, "fsync", note)
    download(fake_server.url, path)

    assert synced == [(len(CONTENT), False)]


def test_a_broken_archive_is_fetched_again_from_its_beginning() -> None:
    stream, restarts = BytesIO(), []

    def restart() -> None:
        restarts.append(stream.getvalue())
        stream.seek(0)
        stream.truncate()

    operation = DownloadOperations(Exchange(Retries(attempts=2))).archive([7], stream, restart)
    first = next(operation)
    assert isinstance(first, Call)
    assert first.sink is not None
    assert first.sink.begin(Reply(200, {}))
    first.sink.write(b"half of")
    pause = operation.throw(UnreachableError("the connection broke"))
    second = operation.send(None) if isinstance(pause, Pause) else pause
    assert isinstance(second, Call)
    assert second.sink is not None
    assert second.sink.begin(Reply(200, {}))
    second.sink.write(b"an archive")
    with pytest.raises(StopIteration):
        operation.send(Reply(200, {}))

    assert restarts == [b"half of"]
    assert stream.getvalue() == b"an archive"


def test_an_archive_is_asked_for_again_while_the_server_is_busy() -> None:
    operation = DownloadOperations(Exchange(Retries(attempts=2))).archive([7], BytesIO(), restart=lambda: None)
    next(operation)

    pause = operation.send(Reply(503, {}))
    again = operation.send(None)

    assert isinstance(pause, Pause)
    assert isinstance(again, Call)


def test_a_file_gets_another_name_in_the_folder(fake_server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "mine.jpg").write_bytes(b"mine")

    with Pixmill(fake_server.url) as px:
        path = px.files.download(7, tmp_path, name="mine.jpg")

    assert (path, path.read_bytes()) == (tmp_path / "mine (2).jpg", CONTENT)


def test_a_name_in_the_folder_leads_to_no_other_folder(fake_server: FakeServer, tmp_path: Path) -> None:
    with Pixmill(fake_server.url) as px:
        path = px.files.download(7, tmp_path, name="../outside.jpg")

    assert path == tmp_path / "outside.jpg"


def test_a_name_that_is_taken_during_the_download_costs_no_second_download(
    fake_server: FakeServer, tmp_path: Path
) -> None:
    downloads = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/download"):
            downloads.append(path)
            (tmp_path / "photo.jpg").write_bytes(b"another")
        return file_7(method, path, body)

    fake_server.answer = answer

    saved = download(fake_server.url, tmp_path)

    assert (saved.name, len(downloads)) == ("photo (2).jpg", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photo (2).jpg", "photo.jpg"]


def test_an_archive_in_a_folder_gets_a_number(fake_server: FakeServer, tmp_path: Path) -> None:
    with Pixmill(fake_server.url) as px:
        paths = [px.files.zip([7], tmp_path) for _ in range(2)]

    assert [path.name for path in paths] == ["files.zip", "files (2).zip"]
    assert {path.read_bytes() for path in paths} == {b"an archive"}


def test_the_progress_of_an_archive_has_its_size(fake_server: FakeServer, tmp_path: Path) -> None:
    reached: list[Progress] = []

    with Pixmill(fake_server.url) as px:
        px.files.zip([7], tmp_path / "all.zip", on_progress=reached.append)

    assert (reached[-1].done, reached[-1].total) == (len(b"an archive"), len(b"an archive"))
