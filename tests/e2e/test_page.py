"""The web page and the API pages in a real browser."""

import base64
import gzip
import io
import json
import os
import re
import secrets
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Error, Locator, expect

from tests.support.accessibility import violations
from tests.support.browser import (
    RECORD_LANGUAGES,
    Page,
    append,
    await_held,
    blocked,
    box_of,
    drag,
    drop,
    enter,
    holding,
    languages_of,
    network,
    open_page,
    open_page_on_disk,
    press,
    release,
)
from tests.support.client import FILES, TASKS, Served, ended_task, stored_so_far
from tests.support.environment import PROJECT
from tests.support.folders import temporary_folder
from tests.support.images import photo, pixels
from tests.support.owners import keys_of_owners
from tests.support.runs import copies_of, names_stored, run_of_failures
from tests.support.screens import address_of_steps, files_shown, open_gallery, steps_shown, uploads_say
from tests.support.stacks import EmbeddedStack, FullStack, Stack
from tests.support.waiting import wait_until

DIST = PROJECT / "web" / "dist"


def add_step(page: Page, algorithm: str) -> None:
    page.button("Add a step").click()
    enter(page.field("Find a step", "dialog"), algorithm)
    expect(page.tab.locator("dialog[open]")).to_have_count(0)


def first_lines(elements: Locator) -> list[str]:
    """Return the first line of each element's text, such as the name of a file."""
    return [text.strip().partition("\n")[0] for text in elements.all_inner_texts()]


@pytest.mark.both_stacks
def test_the_start_page_shows_the_files(pixmill: Served, page: Page, name: str) -> None:
    pixmill.files.upload(photo(), name=f"{name}.png")

    page.open("/")
    page.says(name)

    assert page.tab.title() == "Files · Pixmill"


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    "path",
    [
        "/files",
        "/files/1",
        "/process",
        "/pipelines",
        "/runs",
        "/runs/1",
        "/tasks",
        "/shared",
        "/system",
        "/trash",
        "/s/a-token",
    ],
)
def test_each_screen_has_an_address(pixmill: Served, path: str) -> None:
    answer = pixmill.http.get(path)

    assert answer.content == (DIST / "index.html").read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.both_stacks
def test_what_the_page_loads_is_kept_by_browsers(pixmill: Served) -> None:
    assets = re.findall(r'"(/assets/[^"]+)"', pixmill.http.get("/").text)
    answers = [pixmill.http.get(asset) for asset in assets]

    assert len(assets) > 1
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.headers["Cache-Control"] for answer in answers} == {"public, max-age=31536000, immutable"}
    assert pixmill.http.get("/assets/missing.js").status_code == 404


def test_the_page_is_small() -> None:
    document = (DIST / "index.html").read_bytes()
    first = re.findall(r'"/(assets/[^"]+)"', document.decode())

    def size(names: list[str]) -> int:
        return sum(len(gzip.compress((DIST / name).read_bytes())) for name in names)

    assert len(gzip.compress(document)) + size(first) < 60_000
    assert size([f"assets/{file.name}" for file in (DIST / "assets").iterdir()]) < 200_000


def test_the_first_screen_transfers_few_bytes(pixmill: Served, chromium: Browser, stack: Stack, name: str) -> None:
    file_id = pixmill.files.upload(photo(1600, 1200, format="JPEG"), name=f"{name}.jpg", folder=name).id
    copies = [{"file_id": file_id, "name": name} for _ in range(99)]
    pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    pictures = "[...document.querySelectorAll('[role=option] img')]"
    in_view = f"{pictures}.filter((picture) => picture.getBoundingClientRect().top < innerHeight)"
    shown = f"{in_view}.length >= 15 && {in_view}.every(({{naturalWidth}}) => naturalWidth > 0)"
    # Some of the rows below, which are fetched too, may have come already.
    transferred = f"""() => {{
        const below = new Set({pictures}.slice({in_view}.length).map(({{src}}) => src));
        return performance.getEntries().filter((entry) => 'transferSize' in entry && !below.has(entry.name))
            .map(({{name, transferSize}}) => [new URL(name).pathname, transferSize]);
    }}"""

    # Its cache is empty.
    with open_page(chromium, stack.url) as page:
        page.open(f"/files?folder={name}")
        page.says("100 files")
        wait_until(lambda: page.tab.evaluate(shown), "the pictures of the window are shown")
        sizes = page.tab.evaluate(transferred)

    assets = sum(size for path, size in sizes if path.startswith("/assets/"))
    on_disk = sum((DIST / path[1:]).stat().st_size for path, _ in sizes if path.startswith("/assets/"))
    assert 0 < assets < on_disk / 2, "the server compresses what the page loads"
    assert assets < sum(size for _, size in sizes) < 400_000


def test_no_screen_breaks_its_own_policy(page: Page) -> None:
    page.open("/system")
    page.says("Works")
    page.errors()

    for path, text in (
        ("/system", "Works"),
        ("/tasks", "Tasks"),
        ("/runs", "Runs"),
        ("/shared", "Shared"),
        ("/process", "Add a step"),
    ):
        page.open(path)
        page.says(text)

    assert page.errors() == []


def test_a_set_of_files_opens_with_its_password(pixmill: Served, page: Page, name: str) -> None:
    file_ids = [pixmill.files.upload(photo(20 + index, 10), name=f"{name}-{index}.png").id for index in range(2)]
    wanted = {"file_ids": file_ids, "note": f"For {name}", "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()["token"]

    page.open(f"/s/{token}")
    page.field("Password")
    assert violations(page) == []
    page.run(RECORD_LANGUAGES)
    enter(page.field("Password"), "wrong")
    page.says("This is not the password.")
    assert languages_of(page, token) == {"en"}
    assert name not in page.text()
    enter(page.field("Password"), "right")
    page.says(f"For {name}")

    page.says(f"{name}-1.png")
    loaded = "[...document.images].filter((image) => image.naturalWidth > 0).length"
    wait_until(lambda: page.tab.evaluate(loaded) == 2, "both pictures are shown")


def test_a_link_shows_pictures_that_no_browser_shows(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(900, 600, format="TIFF"), name=f"{name}.tif").id
    token = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id]}).raise_for_status().json()["token"]

    page.open(f"/s/{token}")

    page.says(f"{name}.tif")
    width = "document.querySelector('li img')?.naturalWidth ?? 0"
    wait_until(lambda: page.tab.evaluate(width) == 512, "the thumbnail is shown")


def test_a_shared_thumbnail_is_asked_for_again_and_its_original_is_not(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    token = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id]}).raise_for_status().json()["token"]
    given_up = "document.querySelector('li') !== null && document.querySelector('li img') === null"
    shown = "[...document.querySelectorAll('li img')].find((image) => image.naturalWidth > 0)?.src"

    with blocked(page, "/thumbnails/"):
        page.open(f"/s/{token}")
        wait_until(lambda: page.tab.evaluate(given_up), "the thumbnail has failed")
    # The page notices by itself that the server is there again.
    source = wait_until(lambda: page.tab.evaluate(shown), "a picture is shown")

    assert "/thumbnails/512" in source


def test_the_page_runs_no_script_from_a_text(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    insert = """() => {
        try { document.body.insertAdjacentHTML('beforeend', '<i>x</i>'); return 'done'; } catch (e) { return e.name; }
    }"""
    refusal = page.tab.evaluate(insert)

    assert refusal == "TypeError"


def test_chosen_files_are_uploaded(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}-{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        path.write_bytes(photo(20 + index, 10))

    page.open(f"/files?q={name}")
    page.run(RECORD_LANGUAGES)
    page.choose_files(*paths)
    uploads_say(page, "3 files uploaded")
    assert languages_of(page, "/batch") == {"en"}
    assert violations(page) == []

    expect(files_shown(page)).to_have_count(3)
    stored = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert {pixmill.files.read(file["id"]) for file in stored} == {path.read_bytes() for path in paths}


def test_a_large_file_is_uploaded_in_resumable_parts(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    content = secrets.token_bytes(9_000_000)
    path = tmp_path / f"{name}.bin"
    path.write_bytes(content)

    page.open("/files")
    page.run(RECORD_LANGUAGES)
    page.choose_files(path)
    uploads_say(page, "1 file uploaded")
    assert languages_of(page, "/uploads/") == {"en"}

    [stored] = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert pixmill.files.read(stored["id"]) == content
    requests = page.tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert any(f"{FILES}/uploads/" in request for request in requests)


TUS_BEGUN = "Object.keys(localStorage).some((key) => key.startsWith('tus::'))"


@pytest.mark.thorough
def test_uploads_wait_while_the_service_behind_nginx_restarts(
    strict: FullStack, chromium: Browser, name: str, tmp_path: Path
) -> None:
    contents = {f"{name}-small": secrets.token_bytes(1000), f"{name}-large": secrets.token_bytes(5_000_000)}
    for stem, content in contents.items():
        (tmp_path / f"{stem}.bin").write_bytes(content)

    with open_page(chromium, strict.url) as page, Served(strict.url) as client:
        page.open("/files")
        page.button("Upload")
        strict.file_storage.kill()
        try:
            page.choose_files(*tmp_path.glob("*.bin"))
            page.says("Waiting for the server, 0 of 2 uploaded")
            # Until tus gives up too.
            expect(page.tab.locator("section.panel li .number")).to_have_count(0)
        finally:
            strict.file_storage.start()
            strict.await_ready()
        uploads_say(page, "2 files uploaded")

        stored = {stem: client.http.get(f"{FILES}/", params={"name": stem}).json() for stem in contents}
        assert {stem: client.files.read(file["id"]) for stem, [file] in stored.items()} == contents


def test_large_files_of_the_same_name_go_each_to_its_folder(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    contents = [secrets.token_bytes(6_000_000) for _ in range(2)]
    for index, content in enumerate(contents):
        path = tmp_path / f"{name}-{index}" / "film.bin"
        path.parent.mkdir()
        path.write_bytes(content)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    page.open("/files")
    choice = page.tab.locator("input[webkitdirectory]")

    with network(page, upload=100_000):
        choice.set_input_files(tmp_path / f"{name}-0")
        wait_until(lambda: page.tab.evaluate(TUS_BEGUN), "the first upload has begun")
        page.button("Stop and clear").click()
    for index in (1, 0):
        choice.set_input_files(tmp_path / f"{name}-{index}")
        uploads_say(page, "1 file uploaded")
        page.button("Close", "section.panel").click()

    for index, content in enumerate(contents):
        [file] = pixmill.http.get(f"{FILES}/", params={"folder": f"{name}-{index}"}).json()
        assert pixmill.files.read(file["id"]) == content


@pytest.mark.thorough
def test_a_file_that_was_deleted_fails_alone(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path, name, 3)
    page.open("/files")
    page.button("Upload")

    with network(page, offline=True):
        page.choose_files(*paths)
        page.says("Waiting for the server, 0 of 3 uploaded")
        paths[1].unlink()
    page.says("1 file failed")

    page.says("The browser can no longer read this file")
    assert page.tab.locator("section.panel li .clip").all_inner_texts() == [paths[1].name]
    assert names_stored(pixmill, name) == [paths[0].stem, paths[2].stem]
    page.button("Close", "section.panel").click()


def test_dropped_files_are_uploaded_next_to_an_unreadable_one(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}-{index}.png" for index in range(3)]
    for path in (paths[0], paths[2]):
        path.write_bytes(photo())
    page.open(f"/files?q={name}")
    page.says("Nothing matches")

    drop(page, *paths)

    page.says("1 file or folder could not be read")
    uploads_say(page, "2 files uploaded")
    assert names_stored(pixmill, name) == [paths[0].stem, paths[2].stem]


def wait_until_kept(page: Page) -> None:
    """Wait until the page would let the user leave it without a question."""
    leaves = "dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    wait_until(lambda: page.tab.evaluate(leaves), "the browser keeps all uploads")


def tus_requests(page: Page) -> list[str]:
    """Return the addresses of the page's tus requests since it was loaded."""
    requests = page.tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    return [request for request in requests if f"{FILES}/uploads/" in request]


def pictures(folder: Path, name: str, count: int) -> list[Path]:
    """Write pictures whose names begin with ``name``, and return their paths."""
    paths = [folder / f"{name}-{index}.png" for index in range(count)]
    for path in paths:
        path.write_bytes(photo())
    return paths


@contextmanager
def kept_offline(page: Page, name: str, paths: Sequence[Path]) -> Iterator[None]:
    """Let uploads into the folder ``name`` be kept by a browser that stays offline during the block."""
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    with network(page, offline=True):
        page.choose_files(*paths)
        page.says(f"Waiting for the server, 0 of {len(paths)} uploaded")
        wait_until_kept(page)
        yield


def test_uploads_go_on_after_a_reload(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    contents = {f"{name}-{index:02}": secrets.token_bytes(1000) for index in range(70)}
    contents[f"{name}-large"] = secrets.token_bytes(6_000_000)
    for stem, content in contents.items():
        (tmp_path / f"{stem}.bin").write_bytes(content)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, upload=200_000):
        page.choose_files(*(tmp_path / f"{stem}.bin" for stem in reversed(contents)))
        wait_until(lambda: names_stored(pixmill, name), "the first files are stored")
        wait_until(lambda: page.tab.evaluate(TUS_BEGUN), "the large upload has begun")
        wait_until_kept(page)
        page.tab.reload()
        page.says("from before the reload go")
    page.button("Close", "section.panel")

    stored = pixmill.http.get(f"{FILES}/", params={"folder": name, "limit": 1000}).json()
    assert sorted(file["name"] for file in stored) == sorted(contents)
    assert {file["name"]: pixmill.files.read(file["id"]) for file in stored} == contents
    assert tus_requests(page)
    assert not any(request.endswith("/uploads/") for request in tus_requests(page)), "the server's bytes are sent again"
    page.tab.reload()
    page.says(f"{len(contents)} files")
    assert page.tab.locator("section.panel").count() == 0


def test_files_whose_response_is_lost_are_stored_once(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path, name, 3)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, answer_after=100):
        page.choose_files(*paths)
        wait_until(lambda: len(names_stored(pixmill, name)) == 3, "the files are stored")
        wait_until_kept(page)
        page.tab.goto("about:blank")
    page.open(f"/files?folder={name}")
    uploads_say(page, "3 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


def test_a_file_that_is_too_large_to_keep_is_chosen_again(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    path, other = tmp_path / f"{name}.bin", tmp_path / f"{name}-other.bin"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    other.write_bytes(b"another file")
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, upload=1_000_000):
        page.choose_files(path)
        wait_until(lambda: page.tab.evaluate(TUS_BEGUN), "the upload has begun")
        page.tab.goto("about:blank")
        page.open("/trash")
        page.says("1 file must be chosen again")
    assert first_lines(page.tab.locator("section.panel li")) == [f"{name}/{path.name}"]
    page.tab.locator("#upload-again").set_input_files(other)
    page.says("1 file is not one of the missing ones")
    page.tab.locator("#upload-again").set_input_files(path)
    uploads_say(page, "1 file uploaded")

    [stored] = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert (stored["size"], stored["folder"]) == (path.stat().st_size, name)
    assert not any(request.endswith("/uploads/") for request in tus_requests(page)), "the server's bytes are sent again"


def test_a_file_whose_bytes_the_browser_lost_is_chosen_again_in_the_gallery(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    with kept_offline(page, name, paths):
        page.tab.evaluate(
            """() => new Promise((done) => {
                indexedDB.open('pixmill').onsuccess = ({target: {result}}) => {
                    const transaction = result.transaction('files', 'readwrite');
                    transaction.objectStore('files').clear();
                    transaction.oncomplete = () => { result.close(); done(); };
                };
            })"""
        )
        page.tab.goto("about:blank")

    page.open(f"/files?folder={name}")
    page.says("2 files must be chosen again")
    page.choose_files(*paths)
    uploads_say(page, "2 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


def test_only_one_window_sends_an_upload(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path, name, 4)
    with page.another_window() as paused:
        paused.open(f"/files?folder={name}")
        paused.says("Nothing matches")
        with network(paused, offline=True):
            paused.choose_files(*paths[:3])
            wait_until_kept(paused)
            paused.button("Pause", "section.panel").click()

        with paused.another_window() as second:
            second.open(f"/files?folder={name}")
            second.choose_files(paths[3])
            uploads_say(second, "1 file uploaded")
            assert names_stored(pixmill, name) == [paths[3].stem]

            paused.tab.close()
            second.tab.reload()
            second.says("Paused at 0 of 3")
            second.button("Resume", "section.panel").click()
            uploads_say(second, "3 files uploaded")
            assert names_stored(pixmill, name) == [path.stem for path in paths]


@pytest.mark.parametrize("database", ["null", "{ open() { throw new DOMException('', 'SecurityError'); } }"])
def test_files_are_uploaded_without_a_database_of_the_browser(
    pixmill: Served, page: Page, name: str, tmp_path: Path, database: str
) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(photo())
    with page.tab.add_init_script(f"Object.defineProperty(window, 'indexedDB', {{value: {database}}})"):
        page.errors()
        page.open(f"/files?folder={name}")
        page.choose_files(path)
        uploads_say(page, "1 file uploaded")

        assert page.errors() == []
    assert names_stored(pixmill, name) == [path.stem]


def test_uploads_of_a_crashed_tab_go_on_after_its_silence(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    with kept_offline(page, name, paths):
        find_mark = "Object.keys(localStorage).find((key) => key.startsWith('pixmill.uploads.tab.'))"
        mark = page.tab.evaluate(find_mark)
        page.tab.goto("about:blank")
    page.open(f"{FILES}/healthz")
    # The process of the closed page may remove its mark after this page has begun.
    is_removed = "(mark) => localStorage.getItem(mark) === null"
    wait_until(lambda: page.tab.evaluate(is_removed, mark), "the closed page has removed its mark")
    page.tab.evaluate("(mark) => localStorage.setItem(mark, Date.now())", mark)

    collect = """const set = setTimeout;
        window.later = [];
        window.setTimeout = (work, ms, ...rest) => (ms < 60_000 ? set(work, ms, ...rest) : (later.push(work), 0));"""
    with page.tab.add_init_script(collect):
        page.open(f"/files?folder={name}")
        wait_until(lambda: page.tab.evaluate("later.length"), "the page will look again")
        assert page.tab.locator("section.panel").count() == 0
        look_again = "(mark) => { localStorage.setItem(mark, 0); for (const work of later) work(); }"
        page.tab.evaluate(look_again, mark)
        uploads_say(page, "2 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


HOLD_DATABASE = """(stores) => new Promise((done) => {
    const begin = IDBDatabase.prototype.transaction;
    indexedDB.open('pixmill').onsuccess = ({target: {result: database}}) => {
        const transaction = database.transaction(stores, 'readwrite');
        window.holds = true;
        window.waiting = [];
        transaction.oncomplete = () => database.close();
        // A transaction ends as soon as it has nothing to do.
        const goOn = () => { if (window.holds) transaction.objectStore(stores[0]).count().onsuccess = goOn; };
        transaction.objectStore(stores[0]).count().onsuccess = () => { goOn(); done(); };
        IDBDatabase.prototype.transaction = function (names, mode) {
            window.waiting.push([names].flat().join());
            return begin.call(this, names, mode);
        };
    };
})"""
"""Lets every other transaction on these stores of the browser's database wait, and records them."""

LET_GO = """() => new Promise((done) => {
    indexedDB.open('pixmill').onsuccess = ({target: {result: database}}) => {
        const last = database.transaction(['entries', 'files'], 'readwrite');
        last.oncomplete = () => { database.close(); setTimeout(done); };
        window.holds = false;
    };
})"""
"""Ends this, after the transactions that wait, and after what the page does next."""


def hold_database(page: Page, *stores: str) -> None:
    page.tab.evaluate(HOLD_DATABASE, stores)


def await_transaction(page: Page, stores: str) -> None:
    asked = "(stores) => window.waiting.includes(stores)"
    wait_until(lambda: page.tab.evaluate(asked, stores), "the page uses the database")


@pytest.mark.thorough
def test_an_upload_that_ends_while_the_database_is_read_does_not_begin_again(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.bin"
    path.write_bytes(secrets.token_bytes(3_000_000))
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, upload=100_000):
        page.choose_files(path)
        wait_until_kept(page)
        hold_database(page, "entries", "files")
        # As if the user came back to this tab: the page looks for the uploads of closed ones.
        page.tab.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await_transaction(page, "entries,files")
        uploads_say(page, "Uploading 0 of 1")
    uploads_say(page, "1 file uploaded")
    page.tab.evaluate(LET_GO)

    uploads_say(page, "1 file uploaded")
    assert names_stored(pixmill, name) == [name]


@pytest.mark.thorough
@pytest.mark.parametrize(("button", "stored_later"), [("Pause", 2), ("Stop and clear", 0)])
def test_nothing_is_sent_that_the_user_stopped_while_the_database_was_read(
    pixmill: Served, chromium: Browser, stack: Stack, name: str, tmp_path: Path, button: str, stored_later: int
) -> None:
    paths = pictures(tmp_path, name, 2)
    with open_page_on_disk(chromium, stack.url, tmp_path / "profile") as page:
        with kept_offline(page, name, paths):
            page.button("Pause", "section.panel").click()
            page.tab.goto("about:blank")
        page.open(f"/files?folder={name}")
        page.says("Paused at 0 of 2")
        hold_database(page, "files")

        page.button("Resume", "section.panel").click()
        await_transaction(page, "files")
        page.button(button, "section.panel").click()
        page.tab.evaluate(LET_GO)
        sent = page.tab.evaluate(
            "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/batch')).length"
        )
        if button == "Pause":
            page.button("Resume", "section.panel").click()
            uploads_say(page, "2 files uploaded")

        assert (sent, len(names_stored(pixmill, name))) == (0, stored_later)
        page.tab.reload()
        page.says("2 files" if stored_later else "Nothing matches")
        assert page.tab.locator("section.panel").count() == 0


LATER = "(hours) => { const now = Date.now; Date.now = () => now() + hours * 3600_000; }"
"""Let the page's clock say that this many more hours have passed."""


def test_a_retry_after_the_server_forgot_the_key_is_the_users_decision(
    pixmill: Served, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    with network(page, answer_after=100):
        page.choose_files(*paths)
        wait_until(lambda: len(names_stored(pixmill, name)) == 2, "the files are stored")
        wait_until_kept(page)
        begun = """() => new Promise((done) => {
            indexedDB.open('pixmill').onsuccess = ({target: {result}}) => {
                result.transaction('entries').objectStore('entries').getAll().onsuccess = ({target}) => {
                    result.close();
                    done(target.result.map(({sent}) => typeof sent));
                };
            };
        })"""
        assert page.tab.evaluate(begun) == ["number"] * 2
        page.button("Pause", "section.panel").click()
    page.tab.evaluate(LATER, 23)
    with blocked(page, f"{FILES}/batch$"):
        page.button("Resume", "section.panel").click()
        page.says("2 files failed")
    page.tab.evaluate(LATER, 2)
    sent = "performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/batch')).length"
    before = page.tab.evaluate(sent)

    page.button("Retry all", "section.panel").click()
    page.says("2 files must be chosen again")
    page.says("the server may have the file")
    assert page.tab.evaluate(sent) == before

    page.tab.locator("#upload-again").set_input_files(paths)
    uploads_say(page, "2 files uploaded")
    page.tab.reload()
    page.says("2 files")
    assert page.tab.locator("section.panel").count() == 0


def test_a_pause_belongs_to_one_window(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}-{index}.bin" for index in range(2)]
    for path in paths:
        path.write_bytes(secrets.token_bytes(3_000_000))
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    # Offline throughout, so that this window never adopts the uploads of the other one while that reloads.
    with network(page, offline=True):
        page.choose_files(paths[0])
        wait_until_kept(page)
        page.button("Pause", "section.panel").click()

        with page.another_window() as other:
            other.open(f"/files?folder={name}")
            other.says("Nothing matches")
            with network(other, upload=20_000):
                other.choose_files(paths[1])
                wait_until_kept(other)
                other.tab.reload()
                other.says("1 upload from before the reload goes on")
            uploads_say(other, "1 file uploaded")
            assert names_stored(pixmill, name) == [paths[1].stem]

    online = "fetch('/api/session').then(() => true, () => false)"
    wait_until(lambda: page.tab.evaluate(online), "this window is online again")
    page.tab.reload()
    page.says("Paused at 0 of 1")
    page.button("Resume", "section.panel").click()
    uploads_say(page, "1 file uploaded")
    assert names_stored(pixmill, name) == [path.stem for path in paths]


@pytest.fixture(scope="module")
def open_stack() -> Iterator[EmbeddedStack]:
    # No setting shows whether others reach this server, for example by a proxy on this machine.
    stack = EmbeddedStack(temporary_folder("page-open"), {"ACCESS_AUTH__MODE": "open", "ACCESS_HTTP__HOSTS": "[]"})
    yield stack
    stack.stop()


@pytest.mark.thorough
@pytest.mark.parametrize("width", [390, 1280])
def test_each_screen_of_an_open_server_says_that_it_is_open(
    open_stack: EmbeddedStack, chromium: Browser, width: int
) -> None:
    english = "This server asks for no key: everyone who reaches it can see, change and delete everything."
    russian = "Сервер не просит ключ: каждый, кому он доступен, может всё увидеть, изменить и удалить."

    with open_page(chromium, open_stack.url, width) as page:
        for path in ("/files", "/process", "/runs", "/tasks", "/shared", "/system", "/trash", "/s/a-token"):
            page.open(path)
            notice = page.first("[role=note]")
            assert notice.inner_text() == english
            # It covers nothing, but for the rounding of sizes, and nobody can close it.
            place = box_of(notice)
            assert place["y"] + place["height"] < box_of(page.first("main"))["y"] + 1
            assert page.tab.locator("[role=note] button").count() == 0
        page.button("Русский").click()
        expect(page.tab.get_by_role("note")).to_have_text(russian)


def test_a_server_for_this_machine_does_not_say_that_it_is_open(page: Page) -> None:
    page.open("/system")
    page.says("Only this machine, without a key")

    assert page.tab.locator("[role=note]").count() == 0


@pytest.fixture
def keys_stack() -> Iterator[EmbeddedStack]:
    stack = EmbeddedStack(temporary_folder("page-keys"), {"ACCESS_AUTH__MODE": "keys"})
    yield stack
    stack.stop()


@pytest.fixture
def owners(keys_stack: EmbeddedStack) -> Mapping[str, str]:
    """Return the keys of owners, of whom carol may only read."""
    return keys_of_owners(keys_stack, {"alice": "writer", "bob": "writer", "carol": "reader"})


@pytest.mark.thorough
def test_uploads_wait_for_their_owner(
    keys_stack: EmbeddedStack, chromium: Browser, owners: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    alice, bob = owners["alice"], owners["bob"]
    paths = pictures(tmp_path, name, 4)

    with open_page(chromium, keys_stack.url) as page:

        def change_owner(key: str) -> None:
            page.button("Sign out").click()
            enter(page.field("Key"), key)
            page.button("Sign out")

        page.open("/files")
        enter(page.field("Key"), alice)
        with network(page, upload=100):
            page.choose_files(*paths[:3])
            wait_until_kept(page)
            page.button("Pause", "section.panel").click()
            page.button("System").click()
            page.button("Sign out")
            assert "Paused at 0 of 3" in page.text()
        with page.another_window() as other:
            other.open("/files")
            with network(other, upload=100):
                other.choose_files(paths[3])
                wait_until_kept(other)
                other.button("Pause", "section.panel").click()
            change_owner(bob)
            page.says("bob")
            # The other window has no uploads of the earlier owner.
            expect(other.tab.locator("section.panel")).to_have_count(0)
            other.open("/system")
            other.says("bob")
        page.open("/files")
        page.choose_files(paths[0])
        uploads_say(page, "1 file uploaded")
        page.open("/system")
        change_owner(alice)
        page.says("Paused at 0 of 4")
        page.button("Resume", "section.panel").click()
        uploads_say(page, "4 files uploaded")

        with Served(keys_stack.url, key=bob) as client:
            assert names_stored(client, name) == [paths[0].stem]
        with Served(keys_stack.url, key=alice) as client:
            assert names_stored(client, name) == [path.stem for path in paths]


@pytest.mark.thorough
def test_an_owner_who_takes_over_a_page_does_not_get_its_uploads(
    keys_stack: EmbeddedStack, chromium: Browser, owners: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.bin"
    with path.open("wb") as file:
        # Too large to keep: the browser asks before it leaves a page with this upload.
        file.truncate(64 * 2**20 + 1)

    with open_page(chromium, keys_stack.url) as page, Served(keys_stack.url, key=owners["bob"]) as client:
        page.open("/files")
        page.field("Key")
        assert violations(page) == []
        enter(page.field("Key"), owners["alice"])
        page.says("Drop")
        page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
        page.says("Sepia")
        for key, text in (("alice", "Sepia"), ("bob", "Begin with a step"), ("alice", "Begin with a step")):
            page.tab.context.clear_cookies()
            page.open("/s/a-token")
            page.says("This link")
            page.open("/process")
            enter(page.field("Key"), owners[key])
            page.says(text)
        page.open("/files")
        page.says("Drop")
        with network(page, upload=1000):
            page.choose_files(path)
            page.button("Pause", "section.panel").click()
        page.run("localStorage['pixmill.draft'] = '{}'; localStorage['pixmill.theme'] = '\"dark\"'")
        page.tab.context.clear_cookies()
        # The browser's question, which Playwright always answers with "Leave".
        asked = "addEventListener('beforeunload', (event) => { sessionStorage.asked = event.defaultPrevented; })"
        page.run(asked)
        page.field("Search names and comments").fill(name)
        page.field("Key", "dialog")
        assert violations(page) == []
        enter(page.field("Key", "dialog"), owners["bob"])
        page.tab.wait_for_function("() => sessionStorage.asked")
        assert page.tab.evaluate("sessionStorage.asked") == "false"
        page.open("/system")
        page.says("bob")
        stored = "[localStorage['pixmill.draft'] ?? null, localStorage['pixmill.theme']]"
        assert page.tab.evaluate(stored) == [None, '"dark"']

        assert names_stored(client, name) == []

        page.button("Sign out").click()
        enter(page.field("Key"), owners["carol"])
        page.says("carol")
        page.button("Files").click()
        page.says("No files yet")
        drag(page, path)
        assert "Drop" not in page.text()


def test_the_next_page_is_shown_once(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    for _ in range(101):
        pixmill.http.post(f"{FILES}/{file_id}/links", json={}).raise_for_status()
    count = len(pixmill.http.get(f"{FILES}/links", params={"limit": 1000}).json())
    rows = "main li"

    page.open("/shared")
    with blocked(page, "after="):
        page.button("Show more").click()
        # The page names the service once it knows that the other one answers.
        page.says("not answer.")
    page.button("Try again", "main").click()
    expect(page.tab.locator(rows)).to_have_count(count)
    page.open("/shared")
    page.button("Show more")
    page.run("const more = [...document.querySelectorAll('main button')].at(-1); more.click(); more.click();")
    expect(page.tab.locator(rows)).to_have_count(count)
    asked = "performance.getEntriesByType('resource').filter(({name}) => name.includes('after=')).length"

    assert page.tab.evaluate(asked) == 1
    # Otherwise the links of later tests would be on the second page.
    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()


def test_an_error_of_the_gallery_is_mended_by_keyboard(pixmill: Served, page: Page, name: str) -> None:
    # The end of the list is far below the window.
    for index in range(60):
        pixmill.files.upload(b"text %d" % index, name=f"{name}-{index}.txt")

    with blocked(page, "/healthz"):
        with blocked(page, "/file-server/lookup"):
            page.open(f"/files?q={name}")
            again = page.first("[role=alert] button")
            assert box_of(again)["y"] < 800
            assert page.tab.locator("[role=listbox] [role=alert]").count() == 0
            button = again.element_handle()
        # The page also asks again by itself, and may have done so before the key is pressed.
        with suppress(Error):
            button.press("Space")

        files_shown(page).first.wait_for()
    assert page.tab.locator("[role=alert]").count() == 0
    assert page.tab.locator("[role=option][aria-selected=true]").count() == 0


def test_an_update_of_the_server_is_named(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    with blocked(page, "/assets/Trash-"):
        page.go("/trash")
        page.says("The server was updated. Reload the page to use the new version.")
    page.button("Reload the page").click()

    page.says("Deleted files stay here for 1 day")


def test_the_page_speaks_english_where_its_russian_is_gone(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    with blocked(page, "/assets/ru-"):
        page.button("Русский").click()
        page.says("The server was updated. Reload the page to use the new version.")
        page.open("/system")
        page.says("Works")
        assert page.tab.locator(".toast").count() == 0
        page.tab.evaluate("localStorage.setItem('pixmill.language', '\"ru\"')")
        page.open("/system")
        page.says("The server was updated. Reload the page to use the new version.")
        page.says("Works")
    page.button("Reload the page").click()

    page.says("Работает")
    page.button("English").click()


def test_a_failed_task_is_explained_in_russian(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    created = pixmill.http.post(
        f"{TASKS}/", json={"file_ids": [file_id], "algorithm": "round_corners", "params": {"radius": 5}}
    )
    [task_id] = created.raise_for_status().json()["task_ids"]
    ended_task(pixmill, task_id)
    answer = pixmill.http.get(f"{TASKS}/{task_id}", headers={"Accept-Language": "ru"}).json()
    page.open(f"/files/{file_id}?tab=history")
    page.says(answer["error"])

    with blocked(page, "/catalog$", "/healthz$"):
        page.button("Русский").click()
        page.says("Сервер не отвечает")
        page.says(answer["problem"]["detail"])
        assert "Скруглить углы" not in page.text()
    page.says("Скруглить углы")
    page.says(answer["problem"]["detail"])
    assert answer["error"] not in page.text()

    for address in (f"/tasks?file={file_id}", f"/runs/{answer['batch_id']}"):
        page.open(address)
        page.says(answer["problem"]["detail"])
        page.button("English").click()
        page.says(answer["error"])
        assert answer["problem"]["detail"] not in page.text()
        page.button("Русский").click()
        page.says(answer["problem"]["detail"])
    page.button("English").click()


@pytest.mark.parametrize("address", ["/tasks", address_of_steps([{"algorithm": "sepia", "params": {}}])])
def test_late_names_do_not_replace_those_of_the_chosen_language(page: Page, address: str) -> None:
    hold_english = holding("path.endsWith('/catalog') && options.headers['Accept-Language'] === 'en'")
    names = "[...document.querySelectorAll('option, li')].map(({innerText}) => innerText).join()"
    with page.tab.add_init_script(hold_english):
        page.open(address)
        await_held(page, "the English answer is held")
        page.button("Русский").click()
        wait_until(lambda: "Сепия" in page.tab.evaluate(names), "the names are in Russian")
        release(page)
        shown = page.tab.evaluate(names)
        page.button("English").click()

    assert "Сепия" in shown


def test_the_copied_commands_do_what_the_buttons_do(pixmill: Served, page: Page, name: str) -> None:
    pixmill.files.upload(photo(), name=f"{name}.png")
    [file] = open_gallery(page, name, 1)
    file.locator("[data-check]").click()
    page.run("navigator.clipboard.writeText = async (text) => { window.copied = text; }")

    page.button("Copy this as a command", "[role=toolbar]").click()
    page.button("Delete: Copy as curl", "[role=toolbar]").click()
    page.says("Copied")
    command = str(page.tab.evaluate("window.copied"))
    subprocess.run(shlex.split(command), check=True, capture_output=True)

    assert names_stored(pixmill, name) == []


def test_search_filters_and_order_are_in_the_address(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    pixmill.files.upload(b"text", name=f"{name}.txt")

    page.open("/files")
    search = page.field("Search names and comments")
    search.press_sequentially(f"{name} ")
    page.tab.wait_for_url(lambda url: url.endswith(f"/files?q={name}"))
    expect(files_shown(page)).to_have_count(3)
    assert search.input_value() == f"{name} ", "the next word would be joined to this one"
    page.field("Type").select_option(label="Images")
    page.field("Order").select_option(label="Name, Z to A")
    expect(files_shown(page)).to_have_count(2)

    assert page.address().endswith(f"/files?q={name}&type=image%2F*&sort=-name")
    page.tab.reload()
    expect(files_shown(page)).to_have_count(2)
    assert first_lines(files_shown(page)) == [f"{name}-2", f"{name}-1"]
    files_shown(page).first.click()
    page.says("Download")
    page.tab.keyboard.press("Escape")
    page.tab.wait_for_url(lambda url: url.endswith(f"/files?q={name}&type=image%2F*&sort=-name"))
    page.open(f"/files?q={name}&since=x&taken_from=y&taken_to=z")
    expect(files_shown(page)).to_have_count(3)


def test_files_are_deleted_by_keyboard_and_brought_back(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2, 3, 4):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 4)
    gallery = page.first("[role=listbox]")

    press(gallery, "Home", "Space", "Shift+ArrowRight", "Shift+ArrowRight")
    page.says("3 files selected")
    press(gallery, "Delete")
    page.says("3 files are in the trash")
    assert names_stored(pixmill, name) == [f"{name}-4"]
    press(gallery, "Control+z")
    page.says("3 files are back")

    assert names_stored(pixmill, name) == [f"{name}-{number}" for number in (1, 2, 3, 4)]
    expect(files_shown(page)).to_have_count(4)


def test_the_trash_restores_a_file_and_is_emptied(pixmill: Served, page: Page, name: str) -> None:
    ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    pixmill.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()

    page.open("/trash")
    page.button(f"Restore: {name}-1.png").click()
    page.says("1 file is back")
    page.button("Empty the trash").click()
    page.button("Empty the trash", "dialog").click()
    page.says("The trash is empty")

    assert names_stored(pixmill, name) == [f"{name}-1"]
    assert pixmill.http.get(f"{FILES}/trash").json() == []


def test_a_chosen_folder_is_kept_and_filters(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    pixmill.files.upload(photo(), name=f"{name}-elsewhere.png")
    folder = tmp_path / f"album-{name}" / "may"
    folder.mkdir(parents=True)
    (folder / f"{name}-may.png").write_bytes(photo())
    (folder.parent / f"{name}-album.png").write_bytes(photo())

    page.open(f"/files?q={name}")
    page.tab.locator("input[webkitdirectory]").set_input_files(folder.parent)
    uploads_say(page, "2 files uploaded")
    page.button(f"album-{name}").click()
    expect(files_shown(page)).to_have_count(2)
    page.button("may").click()
    expect(files_shown(page)).to_have_count(1)

    assert page.address().endswith(f"folder=album-{name}%2Fmay")
    [file] = pixmill.http.get(f"{FILES}/", params={"folder": f"album-{name}/may"}).json()
    assert file["name"] == f"{name}-may"


def test_what_others_upload_appears_without_losing_the_selection(pixmill: Served, page: Page, name: str) -> None:
    first = pixmill.files.upload(photo(), name=f"{name}-1.png", folder=name).id
    page.open(f"/files?folder={name}")
    expect(files_shown(page)).to_have_count(1)
    press(page.first("[role=listbox]"), "Space")
    page.says("1 file selected")

    pixmill.files.upload(photo(), name=f"{name}-2.png", folder=name)
    expect(files_shown(page)).to_have_count(2)

    assert first_lines(page.tab.locator("[role=option][aria-selected=true]")) == [f"{name}-1"]
    pixmill.http.delete(f"{FILES}/{first}").raise_for_status()
    expect(files_shown(page)).to_have_count(1)


RECORD_LOOKUPS = """const {fetch} = window;
window.lookedUp = [];
window.fetch = (path, options) => {
    if (path.endsWith('/lookup')) window.lookedUp.push(...JSON.parse(options.body).ids);
    return fetch(path, options);
};"""
"""Lets the page record the ids of the files whose rows it requests."""


def test_a_long_list_has_its_end_and_few_rows_in_the_document(pixmill: Served, page: Page, name: str) -> None:
    last = pixmill.files.upload(photo(), name=f"{name}z.png", folder=name).id
    for _ in range(20):
        copies = [{"file_id": last, "name": name} for _ in range(100)]
        pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    # Not by time, because a list of months would need some rows from everywhere.
    page.open(f"/files?folder={name}&sort=name")
    page.says("2,001 files")
    files_shown(page).first.wait_for()
    page.run(RECORD_LOOKUPS)
    gallery = page.first("[role=listbox]")

    gallery.press("End")
    page.says(f"{name}z")
    assert 0 < files_shown(page).count() < 80
    in_order = pixmill.http.get(f"{FILES}/index", params={"folder": name, "sort": "name"}).json()["ids"]
    looked_up = page.tab.evaluate("window.lookedUp")
    assert last in looked_up
    assert set(looked_up) <= set(in_order[-80:]), "rows between the first and the last are loaded"
    press(gallery, "Control+a")
    page.says("2,001 files selected")

    requests = page.tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum("/index?" in request for request in requests) == 1
    assert not any(f"{FILES}/?" in request for request in requests), "no page of the list is loaded"

    press(gallery, "p")
    page.says("Run on 2,001 files")
    address = page.address()
    page.tab.go_back()
    press(page.first("[role=listbox]"), "Home", "Space", "p")
    page.says("Run on 2,000 files")
    page.tab.goto(address)
    page.says("Run on 2,001 files")


PATIENT_TOAST = """{
    const {setTimeout} = window;
    window.ended = 0;
    window.setTimeout = (call, ms, ...rest) => {
        const isToast = ms === 4000 || ms === 1000;
        return setTimeout(() => { call(); window.ended += isToast; }, isToast ? 100 : ms, ...rest);
    };
    const focus = () => document.querySelector('.toast button')?.focus();
    new MutationObserver(focus).observe(document, {childList: true, subtree: true});
}"""
"""Lets a short message end at once, and focuses its button as soon as it appears."""


def test_a_file_is_renamed(pixmill: Served, page: Page, name: str) -> None:
    file = pixmill.files.upload(photo(), name=f"{name}.png")
    with page.tab.add_init_script(PATIENT_TOAST):
        page.open(f"/files/{file.id}")

    enter(page.field("Name"), f"{name}-renamed", "Tab")
    page.says("Saved")
    wait_until(lambda: page.tab.evaluate("window.ended") > 1, "the time of the message is over")
    assert "Saved" in page.text(), "its button has the focus"
    page.tab.evaluate("document.activeElement.blur()")
    wait_until(lambda: "Saved" not in page.text(), "the message disappears")

    assert pixmill.http.get(f"{FILES}/{file.id}").json()["name"] == f"{name}-renamed"


def test_a_picture_is_loaded_again_when_the_server_answers_again(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    loaded = "document.querySelector('.viewer img')?.naturalWidth"

    with blocked(page, "/thumbnails/", f"{FILES}/{file_id}/"):
        page.open(f"/files/{file_id}")
        page.says("The picture could not be loaded")
        page.button("Try again", ".viewer").press("Enter")
        assert page.tab.evaluate("document.activeElement.matches('.viewer')")
        page.button("Try again", ".viewer")
    with blocked(page, f"{FILES}/{file_id}$"):
        append(page.field("Name"), "-renamed", "Tab")
        # The page names the service once it knows that the other one answers.
        page.says("not answer.")
    append(page.field("Name"), "-again", "Tab")
    page.says("Saved")

    wait_until(lambda: page.tab.evaluate(loaded) == 60, "the picture is shown")


def test_escape_closes_a_menu_and_then_the_file(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2, 3):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 3)
    press(page.first("[role=listbox]"), "ArrowRight", "Enter")
    page.field("Name")

    # The history moves later: without a count, a test would not see that the page has already left.
    count = """const back = history.back.bind(history);
        window.backs = 0;
        history.back = () => { window.backs += 1; back(); };"""
    page.run(count)
    press(page.button("Copy this as a command"), "Enter", "Escape")
    assert page.tab.evaluate("backs") == 0
    page.button("Copy this as a command").press("Escape")
    assert page.tab.evaluate("backs") == 1
    expect(files_shown(page)).to_have_count(3)

    place = "document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.innerText"
    wait_until(lambda: f"{name}-2" in (page.tab.evaluate(place) or ""), "the gallery has its place again")


def test_an_image_is_analyzed_without_a_task(pixmill: Served, page: Page, name: str) -> None:
    file = pixmill.files.upload(photo(60, 40), name=f"{name}.png")
    before = stored_so_far(pixmill)

    page.open(f"/files/{file.id}?tab=analysis")
    page.says("Dominant colors")

    assert page.tab.locator("[aria-label='Shares of dark to light, by channel'] path").count() > 0
    with blocked(page, "/metadata/", "/healthz$"):
        page.button("Русский").click()
        page.first("[role=tabpanel] [role=alert]")
        page.says("Главные цвета")
        page.button("English").click()
        expect(page.tab.locator("[role=tabpanel] [role=alert]")).to_have_count(0)
        page.button("Русский").click()
        page.first("[role=tabpanel] [role=alert]")
    page.button("Попробовать снова", "[role=tabpanel]").click()
    expect(page.tab.locator("[role=tabpanel] [role=alert]")).to_have_count(0)
    page.button("English").click()
    assert stored_so_far(pixmill) == before


def test_a_result_leads_to_its_source_and_back(pixmill: Served, page: Page, name: str) -> None:
    source = pixmill.files.upload(photo(), name=f"{name}.png").id
    result = ended_task(pixmill, pixmill.run([source], "invert").task_ids[0]).result_id

    page.open(f"/files/{result}")
    page.says("Made from")
    page.button(f"{name}.png", "section").click()
    page.says("Results")
    page.first(f"a[href='/files/{result}']").click()

    page.tab.wait_for_url(lambda url: url.endswith(f"/files/{result}"))


def test_a_pipeline_runs_on_the_selected_files(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(30, 20), name=f"{name}-{number}.png")
    first, second = open_gallery(page, name, 2)
    page.tab.evaluate("localStorage.clear()")

    first.locator("[data-check]").click()
    second.click()
    page.button("Process", "[role=toolbar]").click()
    add_step(page, "invert")
    add_step(page, "flip")
    page.button("Run on 2 files").click()
    page.says("All done")

    assert "#" not in page.address()
    stored = pixmill.http.get(f"{FILES}/", params={"name": name, "sort": "id"}).json()
    sources, results = stored[:2], stored[2:]
    assert len(results) == 2
    # Invert, then flip vertically, as the example of `flip` says.
    expected = 255 - pixels(pixmill.files.read(sources[0]["id"]))[::-1]
    assert any((pixels(pixmill.files.read(file["id"])) == expected).all() for file in results)


def test_a_preset_of_the_server_fills_the_steps(pixmill: Served, page: Page, name: str) -> None:
    file = pixmill.files.upload(photo(), name=f"{name}.png")
    page.open("/process")
    page.tab.evaluate("localStorage.clear()")
    page.open(f"/process?files={file.id}")

    page.button("avatar").click()

    page.tab.wait_for_url(lambda url: "#s=" in url)
    assert page.field("Width").input_value() == "256"
    assert page.first("[aria-controls] .small").inner_text().startswith("WEBP")


def test_the_files_of_an_address_are_fetched_once_in_its_order(pixmill: Served, page: Page, name: str) -> None:
    first, second = (pixmill.files.upload(photo(), name=f"{name}-{number}.png") for number in (1, 2))

    page.open(f"/process?files={second.id},{first.id}")
    expect(page.tab.locator("[aria-pressed] img")).to_have_count(2)

    names = page.tab.locator("[aria-pressed] img").evaluate_all("(images) => images.map(({alt}) => alt)")
    assert names == [f"{name}-2", f"{name}-1"]
    requests = page.tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum("/lookup" in request for request in requests) == 1


def test_a_late_answer_does_not_change_the_files_of_a_run(pixmill: Served, page: Page, name: str) -> None:
    ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2, 3)]
    page.open("/process")
    page.says("Add a step")
    hold_first = holding("path.endsWith('/lookup') && !window.release")
    page.run(hold_first)

    page.go(f"/process?files={ids[0]},{ids[1]}")
    await_held(page, "the first answer is held")
    page.go(f"/process?files={ids[2]}")
    page.says("Run on 1 file")
    release(page)

    assert "Run on 1 file" in page.text()


def test_every_change_of_a_step_is_in_the_address(page: Page) -> None:
    page.open(address_of_steps([{"algorithm": "resize", "params": {"width": 1}}]))
    width = page.field("Width")
    # Browsers limit how often a page may change its address.
    change = """async (field) => {
        for (let width = 2; width <= 400; width += 1) {
            field.value = width;
            field.dispatchEvent(new InputEvent('input', {bubbles: true}));
            for (let turn = 0; turn < 3; turn += 1) await null;
        }
    }"""
    width.evaluate(change)

    def written() -> object:
        text = page.address().partition("#s=")[2]
        return json.loads(base64.urlsafe_b64decode(f"{text}=="))["steps"][0]["params"]["width"]

    wait_until(lambda: written() == 400, "the address contains the last change")

    # Sooner than the page may write the second change into the address.
    change_and_leave = """async (field, [width, leave]) => {
        for (const value of [width, width + 1]) {
            field.value = value;
            field.dispatchEvent(new InputEvent('input', {bubbles: true}));
            for (let turn = 0; turn < 3; turn += 1) await null;
        }
        if (leave === 'reload') setTimeout(() => location.reload());
        else history.back();
    }"""
    page.field("Width").evaluate(change_and_leave, [401, "reload"])
    # The reloaded page, and then the entry of the history, have the last change.
    expect(page.fields("Width")).to_have_value("402")
    page.button("Files").click()
    page.button("Process").click()
    page.field("Width").evaluate(change_and_leave, [501, "back"])
    page.field("Search names and comments")
    page.tab.go_forward()
    expect(page.fields("Width")).to_have_value("502")


def test_steps_are_edited_by_keyboard(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(address_of_steps([{"algorithm": step, "params": {}} for step in ("flip", "invert", "sepia")], file_id))
    page.says("Run on 1 file")

    keyboard = page.tab.keyboard

    def focused(text: str) -> None:
        element = page.tab.locator(":focus")
        wait_until(lambda: text in element.inner_text().split("\n"), f"{text!r} has the focus")

    keyboard.press("Tab")
    keyboard.press("Enter")
    assert page.tab.evaluate("document.activeElement.localName") == "main"
    assert "#s=" in page.address()

    page.first("aside ol button").press("Alt+ArrowDown")
    keyboard.press("Alt+ArrowDown")
    focused("Flip")
    assert steps_shown(page) == ["Invert", "Sepia", "Flip"]
    page.button("Move up", "aside ol").press("Space")
    keyboard.press("Space")
    focused("Flip")
    assert steps_shown(page) == ["Flip", "Invert", "Sepia"]
    page.button("Remove", "aside ol").press("Space")
    focused("Invert")
    keyboard.press("Space")
    with network(page, answer_after=100):
        page.button("Remove", "aside ol").press("Space")
        focused("Sepia")
        page.says("Making the preview")
        keyboard.press("Space")
        page.button("Remove", "aside ol").press("Space")
        focused("Add a step")
        wait_until(lambda: "Making the preview" not in page.text(), "the preview is not awaited any longer")


def test_a_field_whose_json_is_invalid_prevents_the_run(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    kernel = [0, 0, 0, 0, 1, 0, 0, 0, 0]
    page.open(address_of_steps([{"algorithm": "convolve", "params": {"kernel": kernel}}], file_id))
    page.button("Run on 1 file")

    field = page.field("Kernel")
    enter(field, "[1, 2", "Tab")
    page.says("This is not JSON")
    describe = "(field) => document.getElementById(field.getAttribute('aria-describedby'))?.innerText"
    described = field.evaluate(describe)
    assert described == "This is not JSON"
    assert page.tab.locator("footer button:enabled").count() == 0
    page.first("aside ol button").click()
    assert "This is not JSON" in page.text()
    page.first("aside ol button").click()
    assert page.field("Kernel").input_value() == "[1, 2"
    enter(page.field("Kernel"), str(kernel), "Tab")

    page.button("Run on 1 file")
    assert "This is not JSON" not in page.text()


def test_a_failed_task_shows_its_reason_and_runs_again(pixmill: Served, page: Page, name: str) -> None:
    file = pixmill.files.upload(b"not an image", name=f"{name}.txt")
    page.open("/process")
    page.tab.evaluate("localStorage.clear()")
    page.open(f"/process?files={file.id}")

    add_step(page, "sepia")
    page.button("Run on 1 file").click()
    page.says("What went wrong")
    [task] = pixmill.http.get(f"{TASKS}/", params={"source_id": str(file.id)}).json()
    page.says(task["error"])
    page.button("Restart 1 task").click()

    page.says("1 task runs again")


def test_a_run_is_the_same_in_every_browser(pixmill: Served, page: Page, name: str) -> None:
    file_ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    file_ids.append(pixmill.files.upload(b"not an image", name=f"{name}.txt").id)
    wanted = {"file_ids": file_ids, "algorithm": "invert"}
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]

    page.open(f"/runs/{batch_id}")
    page.says("2 finished")
    page.says("1 failed")
    page.says("not an image")
    expect(page.tab.locator("main li a[href^='/files/'] img")).to_have_count(2)
    page.button("Show the files").click()

    page.says(f"{name}.txt")
    assert page.address().endswith(f"/tasks?run={batch_id}&status=error")


@pytest.mark.thorough
def test_a_run_says_whether_its_numbers_are_live(strict: FullStack, chromium: Browser, name: str) -> None:
    with open_page(chromium, strict.url) as page, Served(strict.url) as client:
        strict.worker.kill()
        try:
            file_id = client.files.upload(photo(), name=f"{name}.png").id
            wanted = {"file_ids": [file_id], "algorithm": "flip"}
            batch_id = client.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
            page.open(f"/runs/{batch_id}")
            page.says("Live")
            strict.image_processor.kill()
            page.says("Catching up")
            strict.image_processor.start()
            strict.await_ready()
            page.says("Live")
            numbers = (
                f"performance.getEntriesByType('resource').filter(({{name}}) => name.endsWith('/batches/{batch_id}'))"
            )
            count = page.tab.evaluate(f"{numbers}.length")
            wait_until(lambda: page.tab.evaluate(f"{numbers}.length") > count, "the numbers are fresh")
            # Later than the next refresh, which was planned before the language changes.
            page.run("let now = performance.now(); performance.now = () => (now += 60_000)")
            page.button("Русский").click()
            page.says("Задачи")
        finally:
            strict.worker.start()
        page.says("Всё готово")


@pytest.mark.thorough
def test_shift_selects_from_the_task_that_was_clicked(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    task_ids = [
        pixmill.run([file_id], "flip", params={"direction": way}).task_ids[0] for way in ("horizontal", "vertical")
    ]
    page.open(f"/tasks?file={file_id}")
    page.field(f"Task {task_ids[1]}").click()
    page.says("1 task selected")
    page.button("Русский").click()
    page.says("Выбрана 1 задача")
    page.button("English").click()
    page.says("1 task selected")

    # It is shown above the other two.
    pixmill.run([file_id], "sepia")
    expect(page.tab.locator("li.task")).to_have_count(3)
    page.field(f"Task {task_ids[0]}").click(modifiers=["Shift"])

    page.says("2 tasks selected")
    assert violations(page) == []


def test_a_page_that_is_asked_for_during_a_refresh_is_shown(pixmill: Served, page: Page, name: str) -> None:
    batch_id = run_of_failures(pixmill, name)
    # The stream of events refreshes the first page when it starts.
    is_refresh = "!path.includes('after=') && (window.firsts = (window.firsts ?? 0) + 1) > 1"
    is_further = "path.includes('after=') && !window.further && (window.further = true)"
    is_held = f"path.includes('batch_id=') && ({is_refresh} || {is_further})"

    with page.tab.add_init_script(holding(is_held)):
        page.open(f"/tasks?run={batch_id}")
        await_held(page, "the refresh is held")
        page.run("window.refresh = window.release; delete window.release;")
        page.button("Show more").click()
        await_held(page, "the further page is held")
        page.tab.evaluate("window.refresh()")

        page.field("Select all 101 shown")


def test_many_tasks_are_forgotten_with_one_request(pixmill: Served, page: Page, name: str) -> None:
    batch_id = run_of_failures(pixmill, name)
    page.open(f"/tasks?run={batch_id}&status=error")
    page.button("Show more").click()
    page.field("Select all 101 shown").click()
    first = pixmill.http.get(
        f"{TASKS}/", params={"batch_id": batch_id, "sort": "id"}, headers={"Accept-Language": "ru"}
    )
    reason = first.json()[0]["problem"]["detail"]

    page.button("Русский").click()
    wait_until(lambda: page.text().count(reason) == 101, "all reasons are in Russian")
    page.button("English").click()
    page.button("Forget 101", "[role=toolbar]").click()
    page.says("101 tasks forgotten")

    # A batch is deleted with its last task.
    assert pixmill.http.get(f"{TASKS}/batches/{batch_id}").status_code == 404
    requests = page.tab.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum(request.endswith("/forget") for request in requests) == 1


def test_a_preset_is_saved_for_every_browser(pixmill: Served, page: Page, name: str) -> None:
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))

    page.button("Presets").click()
    enter(page.field("Name of the preset"), name)
    page.says("The preset is saved")

    saved = pixmill.http.get(f"{TASKS}/presets/{name}").json()
    assert (saved["params"]["steps"][0]["algorithm"], saved["read_only"]) == ("sepia", False)


def test_a_chosen_file_is_removed_next_to_a_deleted_one(pixmill: Served, page: Page, name: str) -> None:
    gone, first, second = (pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (0, 1, 2))
    pixmill.http.delete(f"{FILES}/{gone}").raise_for_status()
    page.open(address_of_steps([{"algorithm": "montage", "params": {"others": [gone, first, second]}}]))

    page.button(f"Remove: {name}-1").click()

    def others() -> object:
        text = page.address().partition("#s=")[2]
        return json.loads(base64.urlsafe_b64decode(f"{text}=="))["steps"][0]["params"]["others"]

    wait_until(lambda: others() != [gone, first, second], "the address has changed")
    assert others() == [gone, second]
    page.button(f"Remove: File {gone}").click()
    wait_until(lambda: others() == [second], "the deleted file is removed")


def test_a_part_is_drawn_by_keyboard(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    params = {"left": 20, "top": 20, "width": 50, "height": 50, "unit": "percent"}
    page.open(address_of_steps([{"algorithm": "crop", "params": params}], file_id))

    page.button("The part").click()
    press(page.button("Part 1: 20%, 20%, 50%, 50%"), "ArrowRight", "Shift+ArrowDown")
    page.button("Lower right corner: 71%, 80%").press("ArrowLeft")

    fields = {label: page.field(label).input_value() for label in ("Left", "Top", "Width", "Height")}
    assert fields == {"Left": "21", "Top": "30", "Width": "49", "Height": "50"}


def test_a_part_in_pixels_is_drawn_where_the_run_cuts_it(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(1500, 1000), name=f"{name}.png").id
    params = {"left": 750, "top": 250, "width": 150, "height": 500, "unit": "px"}
    page.open(
        address_of_steps([{"algorithm": "invert", "params": {}}, {"algorithm": "crop", "params": params}], file_id)
    )
    page.says("150 × 500")

    page.first("aside ol li:nth-child(2) button").click()
    page.button("The part").click()

    page.button("Part 1: 50%, 25%, 10%, 50%")


def test_a_preview_says_how_large_the_result_is(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(1500, 1000), name=f"{name}.png").id

    page.open(address_of_steps([{"algorithm": "invert", "params": {}}], file_id))

    page.says("1,500 × 1,000, shown at 1,024 (")


def test_a_link_for_several_files_is_made_and_revoked(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    first, second = open_gallery(page, name, 2)
    first.locator("[data-check]").click()
    second.click()

    assert violations(page) == []
    page.button("Link", "[role=toolbar]").click()
    page.field("Note", "dialog").fill(name)
    assert violations(page) == []
    page.button("Create a link", "dialog").click()
    page.button("Copy", "dialog").click()
    page.first("dialog [role=status] .toast")
    assert violations(page) == []
    address = page.field("Link", "dialog").input_value()
    shared = f"{FILES}/shared/{address.rpartition('/')[2]}"
    assert len(pixmill.http.get(shared).json()["files"]) == 2
    page.open("/shared")
    page.button(f"Revoke: {name}").click()
    page.button("Revoke", "dialog").click()
    page.says("The link is revoked")

    assert pixmill.http.get(shared).status_code == 404


def test_a_pipeline_is_renamed_and_deleted(pixmill: Served, page: Page, name: str) -> None:
    params = {"steps": [{"algorithm": "sepia", "params": {}}]}
    pixmill.http.put(f"{TASKS}/presets/{name}", json={"params": params}).raise_for_status()
    page.open("/pipelines")

    page.button(f"Rename: {name}").click()
    append(page.field("Name", "dialog"), "-2")
    assert violations(page) == []
    page.field("Name", "dialog").press("Enter")
    page.says("Renamed")
    statuses = [pixmill.http.get(f"{TASKS}/presets/{name}{end}").status_code for end in ("", "-2")]
    page.button(f"Delete: {name}-2").click()
    page.says(f"The preset {name}-2 is deleted")

    assert statuses == [404, 200]
    assert pixmill.http.get(f"{TASKS}/presets/{name}-2").status_code == 404


def test_a_recent_pipeline_is_opened_with_its_steps(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    pixmill.run([file_id], "pipeline", params={"steps": [{"algorithm": "flip"}] * 2})
    page.open("/pipelines")

    page.button("Open: Flip → Flip").click()

    page.tab.wait_for_url(lambda url: "#s=" in url)
    assert page.tab.locator("aside ol > li").count() == 2


def test_selected_files_move_to_a_folder(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    first, second = open_gallery(page, name, 2)
    page.button("Select").click()
    first.click()
    second.click()

    page.button("Move to a folder", "[role=toolbar]").click()
    page.field("Folder", "dialog").fill(f"{name}/new")
    assert violations(page) == []
    page.field("Folder", "dialog").press("Enter")
    page.says(f"2 files are now in {name}/new")

    assert len(pixmill.http.get(f"{FILES}/", params={"folder": f"{name}/new"}).json()) == 2


def test_files_that_were_moved_go_back_each_to_its_folder(pixmill: Served, page: Page, name: str) -> None:
    ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    pixmill.http.patch(f"{FILES}/{ids[0]}", json={"folder": f"{name}/old"}).raise_for_status()
    first, second = open_gallery(page, name, 2)
    page.button("Select").click()
    first.click()
    second.click()
    page.button("Move to a folder", "[role=toolbar]").click()
    enter(page.field("Folder", "dialog"), f"{name}/new")

    page.button("Undo").click()
    page.says("2 files are back where they were")

    assert [pixmill.http.get(f"{FILES}/{file_id}").json().get("folder") for file_id in ids] == [f"{name}/old", None]


def test_keys_act_where_nothing_is_typed(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    page.says(name)

    page.tab.keyboard.press("s")
    page.says("A link that downloads this file")
    page.tab.keyboard.press("Escape")
    expect(page.tab.locator("dialog[open]")).to_have_count(0)
    page.tab.keyboard.press("/")
    search = page.field("Search names and comments")
    expect(search).to_be_focused()
    page.tab.keyboard.type("sr?")

    assert search.input_value() == "sr?"
    assert page.tab.locator("dialog[open]").count() == 0
    page.tab.wait_for_url(lambda url: url.endswith("/files?q=sr%3F"))
    page.tab.go_back()
    page.says("Download")
    # Before this entry of the history there is no screen.
    page.tab.keyboard.press("Escape")
    page.tab.wait_for_url(lambda url: url.endswith("/files"))


def test_the_end_of_a_list_stays_in_view_in_a_narrower_window(
    pixmill: Served, chromium: Browser, stack: Stack, name: str
) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png", folder=name).id
    copies_of(pixmill, file_id, name, 99)
    with open_page(chromium, stack.url) as page:
        page.open(f"/files?folder={name}")
        page.says("100 files")
        last = page.tab.locator("[role=option][aria-posinset='100']")
        page.first("[role=listbox]").press("End")
        expect(last).to_be_in_viewport()

        page.tab.set_viewport_size({"width": 900, "height": 800})

        expect(page.tab.locator("[role=option][aria-posinset='1']")).to_have_count(0)
        expect(last).to_be_in_viewport()


def test_a_month_of_photos_is_gone_to(pixmill: Served, page: Page, name: str) -> None:
    for month in (1, 2):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"2020:0{month}:01 12:00:00"
        content = io.BytesIO()
        Image.new("RGB", (40, 30)).save(content, "JPEG", exif=exif)
        file_id = pixmill.files.upload(content.getvalue(), name=f"{name}-{month}.jpg", folder=name).id
        copies = [{"file_id": file_id, "name": f"{name}-{month}"} for _ in range(60)]
        pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    page.open(f"/files?folder={name}&sort=taken_at")

    page.field("Go to a month").select_option(label="February 2020")

    at_edge = "document.elementFromPoint(300, 200).closest('[role=option]')?.innerText ?? ''"
    wait_until(lambda: f"{name}-2" in page.tab.evaluate(at_edge), "the month is shown")


@pytest.mark.thorough
def test_many_windows_share_one_stream_of_events(pixmill: Served, page: Page, name: str) -> None:
    page.open(f"/files?folder={name}")
    with ExitStack() as opened:
        # A browser opens six connections to a server.
        windows = [opened.enter_context(page.another_window()) for _ in range(7)]
        for window in windows:
            window.open(f"/files?folder={name}")
            window.says("Nothing matches")

        # Close the window that listens for all: another window takes over.
        page.tab.goto("about:blank")
        pixmill.files.upload(photo(), name=f"{name}.png", folder=name)
        for window in windows:
            window.says(name)
            window.tab.close()


def text_of_each_screen(pixmill: Served, name: str) -> Mapping[str, str]:
    """Fill each screen; return their addresses, and for each a text that it shows when it is complete."""
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    text_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id, text_id], "algorithm": "flip"}
    batch = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    link = {"file_ids": [file_id, text_id], "note": name}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    corners = [{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]
    return {
        f"/files?q={name}": name,
        f"/files/{file_id}": name,
        f"/files/{file_id}?tab=analysis": "Dominant colors",
        "/trash": "Trash",
        "/pipelines": "avatar",
        "/runs": "2 files",
        f"/runs/{batch}": "What went wrong",
        "/tasks": "not an image",
        "/shared": name,
        "/system": "Room left",
        f"/s/{token}": "Download all",
        address_of_steps([{"algorithm": "perspective", "params": {"corners": corners}}], file_id): "Before and after",
    }


DRAWN = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Waits until the browser has drawn what changed: before, a point has no element, and colors are the earlier ones."""


def test_every_screen_can_be_used_by_everybody(pixmill: Served, page: Page, name: str) -> None:
    found: list[str] = []

    for address, text in text_of_each_screen(pixmill, name).items():
        page.tab.emulate_media(color_scheme="dark")
        page.open(address)
        page.says(text)
        found += [f"dark {problem}" for problem in violations(page, of_colors=True)]
        page.tab.emulate_media(color_scheme="light")
        page.tab.evaluate(DRAWN)
        found += [f"light {problem}" for problem in violations(page)]
    page.button("Corners").click()
    page.button("Upper left corner: 20%, 10%")
    found += violations(page)
    page.button("Keyboard shortcuts").click()
    page.says("In the gallery")
    found += violations(page)

    assert found == [], "\n".join(found)


@pytest.mark.thorough
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_screen_that_begins_in_a_scheme_can_be_used_by_everybody(
    pixmill: Served, chromium: Browser, stack: Stack, name: str, width: int, dark: bool
) -> None:
    found: list[str] = []

    with open_page(chromium, stack.url, width, dark=dark) as page:
        for address, text in text_of_each_screen(pixmill, name).items():
            page.open(address)
            page.says(text)
            found += violations(page)

    assert found == [], "\n".join(found)


WIDER = """[...document.querySelectorAll(':root, body *:not(main nav, [role=group])')]
    .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1)
    .filter((element) => element === document.documentElement
        || ['auto', 'scroll'].includes(getComputedStyle(element).overflowX)
        || (element.matches('h1, h2') && getComputedStyle(element).overflowX === 'visible'))
    .map((element) => `${location.pathname} ${element.tagName} ${element.className}`)"""
"""The page itself, if anything is wider than the window, elements that scroll to the side, and headings without room.

Only the path of folders and the row of files below a preview may do so.
"""
UNREACHABLE = """() => {
    const kinds = 'a[href]:not(.skip), button, input, select, textarea, summary';
    return [...document.querySelectorAll(kinds)].filter((control) => {
        const {width, height} = control.getBoundingClientRect();
        const visible = control.checkVisibility({visibilityProperty: true, opacityProperty: true});
        if (control.disabled || !visible || width < 2 || height < 2) return false;
        control.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
        const places = [control, ...(control.labels ?? [])];
        const points = [...control.getClientRects()].flatMap(({left, top, width, height}) =>
            [0.1, 0.5, 0.9].map((share) => [left + width * share, top + height / 2]));
        const targets = points.map(([x, y]) => document.elementFromPoint(x, y));
        return !targets.some((target) => target && places.some((place) => place.contains(target)));
    }).map((control) => `${location.pathname} ${control.tagName} ${control.ariaLabel ?? control.innerText}`);
}"""
"""The visible controls that a finger cannot touch, because they are outside of the window or covered."""


def test_every_screen_fits_a_phone(pixmill: Served, chromium: Browser, stack: Stack, name: str) -> None:
    long_name = f"{name}-{'x' * 80}"
    screens = text_of_each_screen(pixmill, long_name)
    found: list[str] = []

    with open_page(chromium, stack.url, 360, 740) as page:
        for address, text in screens.items():
            page.open(address)
            page.says(text)
            found += page.tab.evaluate(WIDER)
            found += page.tab.evaluate(UNREACHABLE)

    assert found == [], "\n".join(found)


@pytest.mark.thorough
@pytest.mark.parametrize("language", ["English", "Русский"])
def test_every_screen_fits_windows_of_any_width(
    pixmill: Served, chromium: Browser, stack: Stack, name: str, language: str
) -> None:
    deleted = pixmill.files.upload(b"text", name=f"{name}-deleted.txt").id
    pixmill.http.delete(f"{FILES}/{deleted}").raise_for_status()
    screens = text_of_each_screen(pixmill, name)
    found: list[str] = []

    with open_page(chromium, stack.url) as page:
        for address, text in screens.items():
            page.open(address)
            page.says(text)
            if language != "English":
                page.button(language).click()
                page.button("English")
            for width in (320, 390, 600, 721, 800, 901, 1024):
                page.tab.set_viewport_size({"width": width, "height": 740})
                page.tab.evaluate(DRAWN)
                found += [f"{width}: {place}" for place in page.tab.evaluate(WIDER)]
                found += [f"{width}: {place}" for place in page.tab.evaluate(UNREACHABLE)]
            page.tab.set_viewport_size({"width": 1280, "height": 740})
            if language != "English":
                page.button("English").click()

    assert found == [], "\n".join(found)


def test_the_page_speaks_russian(pixmill: Served, page: Page, name: str) -> None:
    file_ids = [pixmill.files.upload(photo(), name=f"{name}-{number}.png").id for number in (1, 2)]
    algorithms = pixmill.http.get(f"{TASKS}/algorithms", headers={"Accept-Language": "ru"}).json()
    [extend] = [algorithm for algorithm in algorithms if algorithm["name"] == "extend"]
    fields = extend["params"]["properties"]
    page.open("/files")

    page.button("Русский").click()
    page.says("Файлы")
    page.open(address_of_steps([{"algorithm": "extend", "params": {"mode": "copy"}}], *file_ids))
    page.says(extend["summary"])
    shown = "[...document.querySelectorAll('li .label, li option')].map(({textContent}) => textContent)"
    named = {fields[field]["title"] for field in ("width", "aspect_ratio", "gravity", "mode", "background")}
    assert {*named, *fields["mode"]["x-pixmill"]["labels"].values()} <= {*page.tab.evaluate(shown)}
    page.first("li .head").click()
    page.says(f"{extend['title']}\n{fields['mode']['x-pixmill']['labels']['copy']}")
    first, second = open_gallery(page, name, 2)
    first.locator("[data-check]").click()
    page.says("Выбран 1 файл")
    second.click()
    page.says("Выбрано 2 файла")
    page.button("English").click()

    page.says("2 files selected")


@pytest.mark.parametrize("place", [FILES, pytest.param(TASKS, marks=pytest.mark.thorough)])
def test_the_api_page_shows_every_operation(page: Page, pixmill: Served, place: str) -> None:
    document = pixmill.http.get(f"{place}/openapi.json").json()
    described = [*document["paths"].values(), *document.get("webhooks", {}).values()]
    operations = sum(len(methods) for methods in described)
    page.errors()
    page.open(f"{place}/docs")
    page.first(".opblock")

    assert page.tab.locator(".opblock").count() == operations > 0
    assert page.errors() == []
