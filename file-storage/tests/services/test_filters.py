"""The files that filters find, and their order, in lists and in the index."""

from collections.abc import Iterator, Mapping, Sequence
from typing import get_args

import pytest
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.models import File
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import FileName
from file_storage.services.storing import Details
from service_kit.access.principals import LOCAL, WRITER, Principal
from service_kit.database import Database
from service_kit.migrations import migrate
from service_kit.settings import load
from sqlalchemy import update

from tests.support.databases import postgres_database
from tests.support.environment import INNER_SECRETS
from tests.support.stored import stored

WORKER = Principal("local", WRITER, is_service=True)
FILES: Mapping[str, tuple[str, Details, float | None]] = {
    "Ёлка.jpg": ("Зимой в лесу", Details("holiday"), 1_000.0),
    "b.JPG": ("", Details("holiday/2026"), None),
    "c.png": ("straße", Details("holiday-2026"), 3_000.0),
    "d.png": ("50%_off", Details("Holiday"), 2_000.0),
    "e.gif": ("", Details("holiday0"), None),
    "f.webp": ("", Details(source_id=7, task_id=70), None),
    "g.webp": ("ёж", Details("holiday/2026/may", source_id=7, task_id=71), None),
}
"""The comment, the details and the time of a photo, by the file's name."""


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.server),
    ],
)
def container(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[svcs.Container]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("filters")
        monkeypatch.chdir(request.config.rootpath)
        monkeypatch.setenv("PIXMILL_LINK_SECRET", "test-secret of 32 bytes and more.")
        for name, secret in INNER_SECRETS.items():
            monkeypatch.setenv(name, secret)
        monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(folder))
        monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
        monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")
        if request.param == "sqlite":
            yield filled(f"sqlite:///{folder}/files.db", monkeypatch)
        else:
            with postgres_database("filters") as url:
                yield filled(url, monkeypatch)


def filled(url: str, monkeypatch: pytest.MonkeyPatch) -> svcs.Container:
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", url)
    migrate(url, "file_storage")
    services = svcs.Container(create_registry(load(Settings)))
    for name, (comment, details, taken_at) in FILES.items():
        stem, _, extension = name.rpartition(".")
        content = f"of {name}".encode()
        file_name = FileName(stem, f".{extension.lower()}")
        file = stored(services, content, principal=WORKER, name=file_name, comment=comment, details=details)
        with services.get(Database).begin() as connection:
            # One second apart, in the same order.
            times = {"taken_at": taken_at, "created_at": 2_500 + file.id, "media_type": f"image/{extension.lower()}"}
            connection.execute(update(File).where(File.id == file.id).values(times))
    return services


def found(services: svcs.Container, wanted: FileFilter) -> Sequence[str]:
    return [file.name for file in services.get(FileService).page(LOCAL, wanted, "", 100)]


def in_index(services: svcs.Container, wanted: FileFilter) -> Sequence[int]:
    return [row[0] for part in services.get(FileService).index(LOCAL, wanted) for row in part]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (FileFilter(), ["Ёлка", "b", "c", "d", "e", "f", "g"]),
        (FileFilter(q="ЗИМОЙ"), ["Ёлка"]),
        (FileFilter(q="лес"), ["Ёлка"]),
        (FileFilter(q="STRASSE"), ["c"]),
        (FileFilter(q="%_"), ["d"]),
        (FileFilter(q="%"), ["d"]),
        (FileFilter(q="Ё"), ["Ёлка", "g"]),
        (FileFilter(q="ёж"), ["g"]),
        (FileFilter(q="ёлка.jpg"), ["Ёлка"]),
        (FileFilter(q="nothing like this"), []),
        (FileFilter(name="зимой"), []),
        (FileFilter(extension=["jpg"]), ["Ёлка", "b"]),
        (FileFilter(extension=[".GIF", "jpg"]), ["Ёлка", "b", "e"]),
        (FileFilter(media_type=["image/png", "image/gif"]), ["c", "d", "e"]),
        (FileFilter(media_type=["video/*", "image/webp"]), ["f", "g"]),
        (FileFilter(media_type=["image/*"]), ["Ёлка", "b", "c", "d", "e", "f", "g"]),
        (FileFilter(origin=["result"]), ["f", "g"]),
        (FileFilter(origin=["upload"], extension=["webp", "gif"]), ["e"]),
        (FileFilter(origin=["upload", "result"], extension=["webp", "gif"]), ["e", "f", "g"]),
        (FileFilter(source_id=7), ["f", "g"]),
        (FileFilter(source_id=8), []),
        (FileFilter(task_id=[71]), ["g"]),
        (FileFilter(task_id=[71, 70, 72]), ["f", "g"]),
        (FileFilter(folder="holiday"), ["Ёлка", "b", "g"]),
        (FileFilter(folder="holiday/2026"), ["b", "g"]),
        (FileFilter(folder="holi"), []),
        (FileFilter(folder="Holiday"), ["d"]),
        (FileFilter(folder=""), ["Ёлка", "b", "c", "d", "e", "f", "g"]),
        (FileFilter(taken_after=1_000.0), ["c", "d"]),
        (FileFilter(taken_before=3_000.0), ["Ёлка", "d"]),
        (FileFilter(taken_after=999.0, taken_before=2_000.0), ["Ёлка"]),
        (FileFilter(sort="taken_at"), ["Ёлка", "d", "b", "e", "f", "g", "c"]),
        (FileFilter(sort="-taken_at"), ["c", "g", "f", "e", "b", "d", "Ёлка"]),
        (FileFilter(folder="holiday", origin=["result"], sort="-id"), ["g"]),
    ],
)
def test_filters_find_their_files(container: svcs.Container, wanted: FileFilter, names: list[str]) -> None:
    assert found(container, wanted) == names


@pytest.mark.parametrize("sort", get_args(Sort))
def test_the_index_has_the_order_of_the_list(
    container: svcs.Container, sort: Sort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("file_storage.services.files.INDEX_PART", 2)
    listed = [file.id for file in container.get(FileService).page(LOCAL, FileFilter(sort=sort), "", 100)]

    assert in_index(container, FileFilter(sort=sort)) == listed
    assert len(listed) == len(FILES)


@pytest.mark.parametrize("sort", ["taken_at", "-taken_at"])
def test_pages_by_the_time_of_photos_follow_each_other(container: svcs.Container, sort: Sort) -> None:
    files, wanted = container.get(FileService), FileFilter(sort=sort)
    paged, cursor = [], ""
    while page := files.page(LOCAL, wanted, cursor, 2):
        paged += [file.name for file in page]
        cursor = wanted.cursor(page[-1])

    assert paged == found(container, wanted)


def test_the_index_of_an_owner_has_no_file_of_another(container: svcs.Container) -> None:
    ann = Principal("ann", WRITER)
    theirs = stored(container, b"of ann", principal=ann)

    rows = [row[0] for part in container.get(FileService).index(ann, FileFilter()) for row in part]

    container.get(FileService).delete(ann, theirs.id)
    assert rows == [theirs.id]


def test_a_changed_comment_is_found(container: svcs.Container) -> None:
    files, file = container.get(FileService), stored(container, b"noted", comment="before")

    files.change(LOCAL, file.id, None, "Nachher")

    assert found(container, FileFilter(q="before")) == []
    assert found(container, FileFilter(q="NACHHER")) == ["a"]
    files.delete(LOCAL, file.id)
