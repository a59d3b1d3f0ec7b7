"""Bodies that are read ahead give the same result as reading them later, or are left to their request."""

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from file_storage.intake import read_ahead
from file_storage.intake.read_ahead import MAX_BODIES, ReadAhead
from file_storage.storage import Staging, staging
from hypothesis import given
from hypothesis import strategies as st

from tests.support.waiting import wait_until

MAX_BYTES = 10_000_000
CONTENT = os.urandom(100_000)
HEAD = b'--x y\r\nContent-Disposition: form-data; name="file"; filename="p.bin"\r\n\r\n'
FORM = HEAD + CONTENT + b'\r\n--x y\r\nContent-Disposition: form-data; name="comment"\r\n\r\nMine\r\n--x y--\r\n'


class Folders:
    """The folder where nginx writes bodies, the staging folder, and the reader between them."""

    def __init__(self, folder: Path) -> None:
        self.incoming, self.staging = folder / "incoming", folder / "staging"
        self.incoming.mkdir()
        self.ahead = ReadAhead(Staging(self.staging, reserve_bytes=0), self.incoming, MAX_BYTES)

    def begin(self, content: bytes, name: str = "0000000001") -> Path:
        """Write the first bytes of a body, and wait until it is being read."""
        path = self.incoming / name
        path.write_bytes(content)
        self.ahead.expect()
        wait_until(lambda: path in self.read(), "the body is being read")
        return path

    def read(self) -> set[Path]:
        """Return the paths of open bodies, including deleted files."""
        opened = []
        for number in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):
                opened.append(number.readlink())
        return {path for path in opened if path.parent == self.incoming}

    def staged(self) -> list[Path]:
        return list(self.staging.iterdir())


@pytest.fixture(autouse=True)
def read_small_bodies_ahead() -> Iterator[None]:
    with patch.object(read_ahead, "MIN_BYTES", 1):
        yield


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Folders]:
    folders = Folders(tmp_path)
    yield folders
    folders.ahead.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


@pytest.mark.slow
@given(pieces=st.lists(st.binary(max_size=5000), min_size=1, max_size=8), chunk=st.integers(1, 4000))
def test_a_body_has_its_pieces_in_their_order(pieces: list[bytes], chunk: int) -> None:
    body = b"!" + b"".join(pieces)
    with TemporaryDirectory() as folder, patch.object(staging, "READ_BYTES", chunk):
        folders = Folders(Path(folder))
        path = folders.begin(b"!")
        for piece in pieces:
            append(path, piece)

        with folders.ahead.claim(path) as finish:
            read = finish()
            assert read is not None
            read.staged.seal()
            assert (read.form, read.staged.size) == (None, len(body))
            assert read.staged.sha256 == hashlib.sha256(body).hexdigest()
            assert read.staged.path.read_bytes() == body
        folders.ahead.close()


def test_a_body_is_not_copied(folders: Folders) -> None:
    path = folders.begin(CONTENT)

    with folders.ahead.claim(path) as finish:
        read = finish()
        assert read is not None
        assert read.staged.path.samefile(path)


@pytest.mark.parametrize("received", [len(HEAD), len(HEAD) + 1, len(HEAD) + len(CONTENT) + 3, len(FORM) - 1, len(FORM)])
def test_a_form_is_parsed_while_it_is_received(folders: Folders, received: int) -> None:
    path = folders.begin(FORM[:received])
    append(path, FORM[received:])

    with folders.ahead.claim(path) as finish:
        read = finish()
        assert read is not None
        assert read.form is not None
        read.staged.seal()

    assert (read.form.filename, read.form.fields, read.boundary) == ("p.bin", {"comment": "Mine"}, b"x y")
    assert read.staged.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_an_unpublished_body_is_discarded(folders: Folders) -> None:
    with folders.ahead.claim(folders.begin(CONTENT)):
        pass

    assert folders.staged() == []


@pytest.mark.parametrize("content", [CONTENT, FORM], ids=["raw", "form"])
def test_a_body_whose_client_hung_up_is_discarded(folders: Folders, content: bytes) -> None:
    folders.begin(content).unlink()

    wait_until(lambda: not folders.read() and not folders.staged(), "nothing is read or staged")


@pytest.mark.parametrize("content", [CONTENT, FORM], ids=["raw", "form"])
def test_a_body_that_stops_growing_is_discarded(folders: Folders, content: bytes) -> None:
    """nginx leaves such files behind when it is killed."""
    path = folders.begin(content)

    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))

    wait_until(lambda: not folders.read() and not folders.staged(), "nothing is read or staged")


def test_close_discards_all_bodies(folders: Folders) -> None:
    folders.begin(CONTENT, "0000000001")
    folders.begin(FORM, "0000000002")

    folders.ahead.close()

    assert not folders.staged()
    assert not folders.read()


@pytest.mark.parametrize(
    "body",
    [
        FORM[:-10],
        FORM.replace(b'"file"', b'"fail"'),
        FORM.replace(b"\r\n--x y--", b"\r\n" + HEAD + b"\r\n--x y--"),
        HEAD + bytes(MAX_BYTES + 1),
    ],
    ids=["truncated", "no file", "two files", "too long"],
)
def test_a_form_with_an_error_is_left_to_its_request(folders: Folders, body: bytes) -> None:
    path = folders.incoming / "0000000001"
    path.write_bytes(body)
    folders.begin(CONTENT, "0000000002")

    with folders.ahead.claim(path) as finish:
        assert finish() is None

    folders.ahead.close()
    assert folders.staged() == []


def test_a_body_whose_path_is_now_another_file_is_left_to_its_request(folders: Folders) -> None:
    path = folders.begin(CONTENT)
    other = folders.incoming / "other"
    other.write_bytes(b"other")
    other.rename(path)

    with folders.ahead.claim(path) as finish:
        assert finish() is None


def test_a_body_that_was_not_expected_is_left_to_its_request(folders: Folders) -> None:
    path = folders.incoming / "0000000001"
    path.write_bytes(CONTENT)

    with folders.ahead.claim(path) as finish:
        assert finish() is None


def test_a_body_that_was_claimed_is_not_read_ahead(folders: Folders) -> None:
    path = folders.incoming / "0000000001"
    path.write_bytes(CONTENT)
    with folders.ahead.claim(path):
        pass

    other = folders.begin(CONTENT, "0000000002")

    assert folders.read() == {other}


def test_a_limited_number_of_bodies_is_read_concurrently(folders: Folders) -> None:
    for number in range(MAX_BODIES + 3):
        (folders.incoming / f"{number:010}").write_bytes(CONTENT)

    folders.ahead.expect()
    wait_until(lambda: len(folders.read()) == MAX_BODIES, "as many are read as may be")
    time.sleep(0.1)

    assert len(folders.read()) == MAX_BODIES


def test_the_folder_is_watched_only_while_a_body_is_expected(folders: Folders) -> None:
    with patch.object(read_ahead, "WATCH_SECONDS", 0.1):
        folders.ahead.expect()
        time.sleep(0.3)
        folders.incoming.joinpath("0000000001").write_bytes(CONTENT)
        time.sleep(0.1)
        assert not folders.read()

    folders.ahead.expect()
    wait_until(folders.read, "a body is read")


def test_without_a_folder_nothing_is_read(tmp_path: Path) -> None:
    ahead = ReadAhead(Staging(tmp_path, reserve_bytes=0), None, MAX_BYTES)

    ahead.expect()

    with ahead.claim(None) as finish:
        assert finish() is None
