"""The Python client against a running Pixmill."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pixmill.params import Flip, Output, Resize, Watermark

from pixmill import (
    AsyncPixmill,
    File,
    FileFilter,
    ImageSigner,
    InvalidError,
    NotFoundError,
    Pixmill,
    ProblemError,
    Rendition,
    RunFailedError,
    TaskFilter,
)
from tests.support.client import http
from tests.support.environment import RENDER_KEY
from tests.support.images import opened, photo
from tests.support.stacks import Stack


@pytest.fixture
def client(stack: Stack) -> Iterator[Pixmill]:
    with Pixmill(stack.url) as client:
        yield client


def test_an_uploaded_file_is_downloaded_unchanged(client: Pixmill, tmp_path: Path) -> None:
    content = os.urandom(1_000_000)
    (tmp_path / "имя.bin").write_bytes(content)

    file = client.files.upload(tmp_path / "имя.bin", comment="random")
    client.files.download(file, tmp_path / "back.bin")

    assert (file.name, file.extension, file.comment, file.size) == ("имя", ".bin", "random", 1_000_000)
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert (tmp_path / "back.bin").read_bytes() == content


@pytest.mark.both_stacks
def test_a_large_file_is_uploaded_in_pieces_and_reports_its_progress(client: Pixmill, tmp_path: Path) -> None:
    content = os.urandom(20 * 2**20)
    (tmp_path / "large.bin").write_bytes(content)
    reached: list[int] = []

    file = client.files.upload(tmp_path / "large.bin", on_progress=lambda progress: reached.append(progress.done))

    assert client.files.read(file) == content
    assert reached[-1] == len(content)
    assert len(set(reached)) > 10


def test_many_files_are_stored_and_one_that_is_missing_does_not_stop_them(client: Pixmill, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.txt" for number in range(120)]
    for path in paths:
        path.write_text(f"many {path.name} {os.urandom(8).hex()}")

    ends = list(client.files.upload_many([*paths, tmp_path / "missing.txt"]))

    stored = {end.source: end.file for end in ends if end.file is not None}
    assert {path: client.files.read(file).decode() for path, file in stored.items()} == {
        path: path.read_text() for path in paths
    }
    assert [end.source.name for end in ends if end.error is not None] == ["missing.txt"]


def test_files_that_the_server_has_are_not_sent_again(client: Pixmill, tmp_path: Path) -> None:
    (tmp_path / "once.txt").write_text(os.urandom(8).hex())
    [first] = client.files.upload_many([tmp_path / "once.txt"])

    [second] = client.files.upload_many([tmp_path / "once.txt"], skip_existing=True)

    assert second.existed
    assert second.file == first.file


def test_a_list_has_all_pages(client: Pixmill) -> None:
    name = os.urandom(8).hex()
    for number in range(5):
        client.files.upload(b"page", name=f"{name}-{number}.txt")

    pages = list(client.files.pages(FileFilter(name=name, sort="name"), size=2))

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [file.name[-1] for page in pages for file in page] == list("01234")


def test_the_events_of_a_run_end_when_all_tasks_have_ended(client: Pixmill) -> None:
    sources = [client.files.upload(photo(), name=f"{number}.png") for number in range(3)]

    run = client.run(sources, Flip(), cache=False)
    events = list(run.events())

    assert {event.task_id for event in events if event.has_ended} == set(run.task_ids)
    assert {event.status for event in events if event.has_ended} == {"finished"}


def test_the_results_of_steps_are_saved_under_the_names_of_their_sources(client: Pixmill, tmp_path: Path) -> None:
    sources = [client.files.upload(photo(200, 100), name="same.png") for _ in range(2)]
    steps = Resize(width=50) | Watermark(text="© me")

    paths = client.run(sources, steps, output=Output(format="webp")).save(tmp_path)

    assert sorted(path.name for path in paths) == ["same (2).webp", "same.webp"]
    assert {opened(path.read_bytes()).size for path in paths} == {(50, 25)}


def test_a_run_with_failures_names_their_tasks(client: Pixmill) -> None:
    run = client.run([client.files.upload(b"no image", name="a.jpg")], "flip")

    with pytest.raises(RunFailedError, match="not an image") as failed:
        run.wait()

    assert [task.id for task in failed.value.failed] == list(run.task_ids)


def test_a_refusal_has_its_type_detail_and_request_id(client: Pixmill, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no file 9999999999") as refused:
        client.files.download(9_999_999_999, tmp_path / "nothing")

    assert refused.value.type == "urn:pixmill:problem:file-not-found"
    assert refused.value.request_id
    assert list(tmp_path.iterdir()) == []


def test_wrong_parameters_name_their_field(client: Pixmill) -> None:
    source = client.files.upload(photo(), name="a.png")

    with pytest.raises(InvalidError) as refused:
        client.run([source], Resize(width=-5))

    assert [error.pointer for error in refused.value.errors] == ["/params/width"]


def test_waiting_for_a_task_that_does_not_exist_is_an_error(client: Pixmill) -> None:
    with pytest.raises(NotFoundError, match="no task 9999999999"):
        client.resume([9_999_999_999]).wait()


def test_a_link_downloads_the_file_without_a_key(client: Pixmill) -> None:
    file = client.files.upload(b"shared", name="shared.txt")

    link = client.files.link(file.id)

    with Pixmill(link.url.partition("/api/")[0]) as other:
        assert other.request("GET", "/api/" + link.url.partition("/api/")[2]).body == b"shared"


def test_a_key_that_was_revoked_is_listed_as_such(client: Pixmill) -> None:
    key = client.keys.create(f"owner-{os.urandom(4).hex()}", role="reader")

    client.keys.revoke(key.id)

    assert key.secret
    [listed] = [key_listed for key_listed in client.keys.list() if key_listed.id == key.id]
    assert listed.revoked_at is not None


def test_deleted_files_are_in_the_trash_until_they_are_restored(client: Pixmill) -> None:
    folder = f"trash/{os.urandom(6).hex()}"
    file = client.files.upload(photo(), name="a.png", folder=folder)

    deletion = client.files.delete(file.id, 9_999_999_999)
    trashed = [found.id for found in client.files.trash() if found.folder == folder]
    left = client.files.index(FileFilter(folder=folder)).total
    restored = client.files.restore(file.id)

    assert (deletion.ids, trashed, left, restored) == ((file.id,), [file.id], 0, [file.id])
    assert deletion.restore_until is not None
    assert client.files.index(FileFilter(folder=folder)).ids == (file.id,)


def test_a_tree_keeps_its_folders(client: Pixmill, tmp_path: Path) -> None:
    mark = os.urandom(6).hex()
    (tmp_path / "deep").mkdir()
    for name in ("a.txt", "deep/b.txt"):
        (tmp_path / name).write_text(mark + name)

    ends = list(client.files.upload_many(tmp_path.rglob("*.txt"), root=tmp_path, folder=mark))
    again = list(client.files.upload_many(tmp_path.rglob("*.txt"), root=tmp_path, folder=mark, skip_existing=True))

    assert {end.file.path for end in ends if end.file is not None} == {f"{mark}/a.txt", f"{mark}/deep/b.txt"}
    assert [end.existed for end in again] == [True, True]


def test_the_same_idempotency_key_is_the_same_run(client: Pixmill) -> None:
    source = client.files.upload(photo(), name="a.png")
    key = os.urandom(8).hex()

    first, second = (client.run([source], Flip(), idempotency_key=key) for _ in range(2))
    first.wait()

    assert (second.batch_id, second.task_ids) == (first.batch_id, first.task_ids)
    assert first.progress().counts["finished"] == 1


def test_the_tasks_of_a_run_are_restarted_and_forgotten_together(client: Pixmill) -> None:
    sources = [client.files.upload(b"no image", name=f"{number}.jpg") for number in range(2)]
    run = client.run(sources, "flip")
    run.ended()

    restarted = [task.id for task in run.restart_failed()]
    run.ended()
    causes = [(cause.tasks, cause.task_id) for cause in run.progress().errors]
    forgotten = client.tasks.forget_matching(TaskFilter(batch_id=run.batch_id, status=["error", "cancelled"]))

    assert restarted == list(run.task_ids) == list(forgotten)
    assert causes == [(2, run.task_ids[0])]
    with pytest.raises(NotFoundError):
        run.progress()


def test_a_preset_a_link_and_metadata_need_no_request_of_ones_own(client: Pixmill) -> None:
    name = f"preset-{os.urandom(4).hex()}"
    file = client.files.upload(photo(60, 40), name="a.png", comment=name)

    client.presets.save(name, Resize(width=30))
    [result] = client.run([file], preset=name).wait()
    link = client.links.create([file, result], note=name, password="saturn five")
    listed = [found for found in client.links.list() if found.id == link.id]
    client.links.revoke(link.id)
    client.presets.delete(name)

    assert (result.width, result.source_id, result.origin) == (30, file.id, "result")
    assert [(found.file_count, found.has_password, found.note) for found in listed] == [(2, True, name)]
    assert client.metadata(file, ["info"]).info is not None
    assert client.stats().files.files >= 2
    assert name not in {preset.name for preset in client.presets.list()}


def test_a_problem_is_in_the_language_of_the_client(stack: Stack) -> None:
    with (
        Pixmill(stack.url, language="ru") as client,
        pytest.raises(ProblemError, match="Файла 9999999999 нет") as refused,
    ):
        client.files.get(9_999_999_999)

    assert (refused.value.code, refused.value.context) == ("file-not-found", {"file_id": 9_999_999_999})


def test_the_asynchronous_client_does_the_same(stack: Stack, tmp_path: Path) -> None:
    async def process() -> tuple[list[File], set[str]]:
        async with AsyncPixmill(stack.url) as client:
            source = await client.files.upload(photo(200, 100), name="async.png")
            run = await client.run([source], Resize(width=50), cache=False)
            statuses = {event.status async for event in run.events() if event.has_ended}
            await run.save(tmp_path)
            assert (await run.progress()).counts["finished"] == 1
            assert [batch.id async for batch in client.batches.list() if batch.id == run.batch_id] == [run.batch_id]
            return list(await run.wait()), statuses

    files, statuses = asyncio.run(process())

    assert statuses == {"finished"}
    assert [(file.width, file.height) for file in files] == [(50, 25)]
    assert opened((tmp_path / "async.png").read_bytes()).size == (50, 25)


def test_an_image_is_shown_by_a_url_that_the_client_signs(client: Pixmill, stack: Stack) -> None:
    file = client.files.upload(photo(300, 200, format="JPEG"), name="photo.jpg")
    rendition = Rendition(steps=Flip(), width=100, format="png", expires=timedelta(hours=1))

    response = http.get(ImageSigner(stack.url, RENDER_KEY).urls(file, rendition).url)

    assert response.status_code == 200, response.text
    assert (opened(response.content).format, opened(response.content).size) == ("PNG", (100, 67))


def test_an_image_is_shown_by_urls_that_the_server_signs(client: Pixmill) -> None:
    file = client.files.upload(photo(300, 200, format="JPEG"), name="photo.jpg")

    urls = client.images.urls(file, Rendition(widths=[50, 100], formats=["webp"]))

    [source] = urls.sources
    assert source.type == "image/webp"
    assert opened(http.get(source.srcset.split()[0]).content).size == (50, 33)


def test_thumbnails_and_previews_leave_no_file(client: Pixmill) -> None:
    file = client.files.upload(photo(300, 200, format="JPEG"), name="photo.jpg")

    thumbnail = client.images.thumbnail(file, 128)
    preview = client.images.preview(file, Flip(), output=Output(format="png"), max_side=60)

    assert (opened(thumbnail).format, opened(thumbnail).size) == ("WEBP", (128, 85))
    assert (opened(preview).format, opened(preview).size) == ("PNG", (60, 40))
    assert client.files.index(FileFilter(source_id=file.id)).total == 0
