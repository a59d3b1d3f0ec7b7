"""The requests that the operations on files make."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import pytest
from pixmill.client.downloads import DownloadOperations
from pixmill.client.exchange import Call, Exchange, Operation, Reply
from pixmill.client.files import FileOperations
from pixmill.client.settings import new_below

from pixmill import File, FileFilter, Link, Retries
from tests.support.answering import file_row

T = TypeVar("T")

OPERATIONS = FileOperations(Exchange(Retries()))
DOWNLOADS = DownloadOperations(Exchange(Retries()))


def answered(operation: Operation[T], answers: Sequence[Mapping[str, object]]) -> tuple[T, list[Call]]:
    """Return the result of an operation with these answers to its calls, and the calls."""
    calls, left = [], list(answers)
    effect = next(operation)
    while True:
        assert isinstance(effect, Call)
        calls.append(effect)
        try:
            effect = operation.send(Reply(200, {}, json.dumps(left.pop(0)).encode()))
        except StopIteration as end:
            result: T = end.value
            return result, calls


def test_a_filter_repeats_what_may_be_any_of_several() -> None:
    wanted = FileFilter(extension=[".jpg", ".png"], folder="a", created_after=datetime(2026, 1, 2, tzinfo=UTC))

    assert wanted.query() == [
        ("extension", ".jpg"),
        ("extension", ".png"),
        ("folder", "a"),
        ("created_after", "2026-01-02T00:00:00+00:00"),
        ("sort", "id"),
    ]


def test_an_archive_is_asked_for_by_a_filter_in_the_url() -> None:
    wanted = FileFilter(batch_id=7, sort="-size")

    effect = next(DOWNLOADS.archive(wanted, BytesIO(), restart=lambda: None))

    assert isinstance(effect, Call)
    assert (effect.method, effect.path) == ("GET", "/api/file-server/archive")
    assert effect.query == [("batch_id", "7"), ("sort", "-size")]


def test_an_archive_is_asked_for_by_ids_in_the_body_because_a_url_has_no_room_for_all() -> None:
    ids = list(range(10_000, 0, -1))

    effect = next(DOWNLOADS.archive(ids, BytesIO(), restart=lambda: None))

    assert isinstance(effect, Call)
    assert (effect.method, effect.path, effect.query) == ("POST", "/api/file-server/archive", ())
    assert json.loads(effect.body or b"") == {"ids": ids}
    assert effect.headers == {"Content-Type": "application/json", "Accept-Encoding": "identity"}


def test_a_file_knows_its_batch() -> None:
    row = {
        "id": 1,
        "name": "a",
        "extension": "",
        "comment": "",
        "size": 1,
        "sha256": "",
        "media_type": "",
        "batch_id": 7,
    }

    assert File.of(row).batch_id == 7


def test_a_deletion_is_sent_until_the_server_has_nothing_left_to_do() -> None:
    until = "Wed, 25 Nov 2026 22:13:25 GMT"
    parts = [{"ids": [1, 2], "more": True, "restore_until": until}, {"ids": [3], "more": False, "restore_until": until}]

    deletion, calls = answered(OPERATIONS.delete([1, 2, 3]), parts)

    assert deletion.ids == (1, 2, 3)
    assert deletion.restore_until == datetime(2026, 11, 25, 22, 13, 25, tzinfo=UTC)
    assert {call.body for call in calls} == {b'{"ids": [1, 2, 3]}'}


def test_the_ids_of_files_deleted_by_a_filter_do_not_depend_on_a_lost_answer() -> None:
    until = "Wed, 25 Nov 2026 22:13:25 GMT"
    answers: list[dict[str, object]] = [
        {"total": 3, "ids": [1, 2, 3], "ratios": [None] * 3},
        # The first request, whose answer was lost, has deleted the file 1.
        {"ids": [2], "more": False, "restore_until": until},
        # Somebody has added a condition, such as a folder, that keeps the file 3.
        {"files": [file_row(3)]},
    ]

    deletion, calls = answered(OPERATIONS.delete_matching(FileFilter(folder="old")), answers)

    assert deletion.ids == (1, 2)
    assert [(call.path.rpartition("/")[2], call.repeatable) for call in calls] == [
        ("index", True),
        ("delete", True),
        ("lookup", True),
    ]


@pytest.mark.parametrize(
    "operation", [OPERATIONS.link(1, 60, ""), OPERATIONS.link_set([1, 2], 60, "", None)], ids=["file", "set"]
)
def test_a_lost_answer_makes_no_second_link(operation: Operation[Link]) -> None:
    effect = next(operation)

    assert isinstance(effect, Call)
    assert not effect.repeatable


def test_more_files_than_a_request_may_name_are_found_by_several() -> None:
    rows = [{"files": [file_row(1)]}, {"files": [file_row(10_001)]}]

    found, calls = answered(OPERATIONS.existing(range(1, 10_002)), rows)

    assert [file.id for file in found] == [1, 10_001]
    assert [len(json.loads(call.body or b"")["ids"]) for call in calls] == [10_000, 1]


def test_an_empty_filter_deletes_nothing() -> None:
    with pytest.raises(ValueError, match="every file"):
        next(OPERATIONS.delete_matching(FileFilter(sort="-id")))


@pytest.mark.parametrize(("file_ids", "everything"), [((), False), ((1,), True)], ids=["nothing", "both"])
def test_the_trash_is_emptied_of_files_or_of_everything(file_ids: Sequence[int], everything: bool) -> None:
    with pytest.raises(ValueError, match="everything=True"):
        next(OPERATIONS.empty_trash(file_ids, everything=everything))


@pytest.mark.parametrize(
    ("root", "folder", "kept"),
    [
        (None, None, None),
        (None, "a", "a"),
        ("photos", None, "2026"),
        ("photos", "a/b", "a/b/2026"),
        ("photos/2026", "a", "a"),
    ],
)
def test_a_file_keeps_its_folders_below_a_root(root: str | None, folder: str | None, kept: str | None) -> None:
    new = new_below(None if root is None else Path(root), Path("photos/2026/a.jpg"), "", folder, timedelta(days=1))

    assert (new.name, new.folder, new.expires_in) == ("a.jpg", kept, 86_400)


def test_a_file_outside_of_its_root_is_an_error() -> None:
    with pytest.raises(ValueError, match="elsewhere"):
        new_below(Path("photos"), Path("elsewhere/a.jpg"), "", None, None)
