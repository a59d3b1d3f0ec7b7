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
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from PIL import Image
from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.support.browser import (
    RECORD_LANGUAGES,
    Page,
    await_held,
    blocked,
    holding,
    languages_of,
    open_browser,
    prefer_dark,
    prepared,
    release,
)
from tests.support.client import FILES, TASKS, ApiClient
from tests.support.environment import PROJECT
from tests.support.folders import temporary_folder
from tests.support.images import photo, pixels
from tests.support.owners import keys_of_owners
from tests.support.processes import skip_where_missing
from tests.support.runs import names_stored, run_of_failures
from tests.support.screens import address_of_steps, files_shown, open_gallery
from tests.support.stacks import EmbeddedStack, FullStack, Stack
from tests.support.waiting import wait_until

DIST = PROJECT / "web" / "dist"


def add_step(page: Page, algorithm: str) -> None:
    page.button("Add a step").click()
    page.field("Find a step", "dialog").send_keys(algorithm + Keys.ENTER)
    wait_until(lambda: not page.all("dialog[open]"), "the dialog is closed")


@pytest.mark.both_stacks
def test_the_start_page_shows_the_files(pixmill: ApiClient, page: Page, name: str) -> None:
    pixmill.upload(f"{name}.png", photo())

    page.open("/")
    page.says(name)

    assert page.browser.title == "Files · Pixmill"


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
def test_each_screen_has_an_address(pixmill: ApiClient, path: str) -> None:
    answer = pixmill.http.get(path)

    assert answer.content == (DIST / "index.html").read_bytes()
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.both_stacks
def test_what_the_page_loads_is_kept_by_browsers(pixmill: ApiClient) -> None:
    assets = re.findall(r'"(/assets/[^"]+)"', pixmill.http.get("/").text)
    answers = [pixmill.http.get(asset) for asset in assets]

    assert len(assets) > 3
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


def test_the_first_screen_transfers_few_bytes(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.jpg", photo(1600, 1200, format="JPEG"), folder=name)["id"]
    copies = [{"file_id": file_id, "name": name} for _ in range(99)]
    pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.clearBrowserCache", {})

    page.open(f"/files?folder={name}")
    page.says("100 files")
    pictures = "[...document.querySelectorAll('[role=option] img')]"
    in_view = f"{pictures}.filter((picture) => picture.getBoundingClientRect().top < innerHeight)"
    shown = f"return {in_view}.length >= 15 && {in_view}.every(({{naturalWidth}}) => naturalWidth > 0)"
    wait_until(lambda: page.browser.execute_script(shown), "the pictures of the window are shown")

    # Some of the rows below, which are fetched too, may have come already.
    transferred = f"""const below = new Set({pictures}.slice({in_view}.length).map(({{src}}) => src));
        return performance.getEntries().filter((entry) => 'transferSize' in entry && !below.has(entry.name))
        .map(({{name, transferSize}}) => [new URL(name).pathname, transferSize])"""
    sizes = page.browser.execute_script(transferred)
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


def test_a_set_of_files_opens_with_its_password(pixmill: ApiClient, page: Page, name: str) -> None:
    file_ids = [pixmill.upload(f"{name}-{index}.png", photo(20 + index, 10))["id"] for index in range(2)]
    wanted = {"file_ids": file_ids, "note": f"For {name}", "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()["token"]

    page.open(f"/s/{token}")
    page.field("Password")
    assert violations(page) == []
    page.browser.execute_script(RECORD_LANGUAGES)
    page.field("Password").send_keys("wrong" + Keys.ENTER)
    page.says("This is not the password.")
    assert languages_of(page, token) == {"en"}
    assert name not in page.text()
    page.field("Password").clear()
    page.field("Password").send_keys("right" + Keys.ENTER)
    page.says(f"For {name}")

    page.says(f"{name}-1.png")
    loaded = "return [...document.images].filter((image) => image.naturalWidth > 0).length"
    wait_until(lambda: page.browser.execute_script(loaded) == 2, "both pictures are shown")


def test_a_link_shows_pictures_that_no_browser_shows(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.tif", photo(900, 600, format="TIFF"))["id"]
    token = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id]}).raise_for_status().json()["token"]

    page.open(f"/s/{token}")

    page.says(f"{name}.tif")
    width = "return document.querySelector('li img')?.naturalWidth ?? 0"
    wait_until(lambda: page.browser.execute_script(width) == 512, "the thumbnail is shown")


def test_a_shared_thumbnail_is_asked_for_again_and_its_original_is_not(
    pixmill: ApiClient, page: Page, name: str
) -> None:
    file_id = pixmill.upload(f"{name}.png", photo(60, 40))["id"]
    token = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id]}).raise_for_status().json()["token"]
    given_up = "return document.querySelector('li') !== null && document.querySelector('li img') === null"
    shown = "const image = document.querySelector('li img'); return image?.naturalWidth > 0 && image.src"

    with blocked(page, "*/thumbnails/*"):
        page.open(f"/s/{token}")
        wait_until(lambda: page.browser.execute_script(given_up), "the thumbnail has failed")
    # The page notices by itself that the server is there again.
    source = wait_until(lambda: page.browser.execute_script(shown), "a picture is shown")

    assert "/thumbnails/512" in source


def test_the_page_runs_no_script_from_a_text(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    refusal = page.browser.execute_script(
        "try { document.body.insertAdjacentHTML('beforeend', '<i>x</i>'); return 'done'; } catch (e) { return e.name; }"
    )

    assert refusal == "TypeError"


def panel_says(page: Page, text: str) -> None:
    """Wait for the title of the uploads; screen readers also hear "0 of 2 files uploaded"."""
    title = "return document.querySelector('section.panel header strong')?.innerText"
    wait_until(lambda: page.browser.execute_script(title) == text, f"the uploads say {text!r}")


def test_chosen_files_are_uploaded(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}-{index}.png" for index in range(3)]
    for index, path in enumerate(paths):
        path.write_bytes(photo(20 + index, 10))

    page.open(f"/files?q={name}")
    page.browser.execute_script(RECORD_LANGUAGES)
    page.choose_files(*paths)
    panel_says(page, "3 files uploaded")
    assert languages_of(page, "/batch") == {"en"}
    assert violations(page) == []

    wait_until(lambda: len(files_shown(page)) == 3, "the files are in the gallery")
    stored = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert {pixmill.download(file["id"]) for file in stored} == {path.read_bytes() for path in paths}


def test_a_large_file_is_uploaded_in_resumable_parts(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    content = secrets.token_bytes(9_000_000)
    path = tmp_path / f"{name}.bin"
    path.write_bytes(content)

    page.open("/files")
    page.browser.execute_script(RECORD_LANGUAGES)
    page.choose_files(path)
    panel_says(page, "1 file uploaded")
    assert languages_of(page, "/uploads/") == {"en"}

    [stored] = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert pixmill.download(stored["id"]) == content
    requests = page.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert any(f"{FILES}/uploads/" in request for request in requests)


TUS_BEGUN = "return Object.keys(localStorage).some((key) => key.startsWith('tus::'))"


@contextmanager
def network(page: Page, *, upload: float = -1, answer_after: float = 0, offline: bool = False) -> Iterator[None]:
    """Limit the bytes per second that the browser sends, delay the responses that it receives, or cut it off."""
    usual = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {**usual, "offline": offline, "uploadThroughput": upload, "latency": answer_after * 1000},
    )
    try:
        yield
    finally:
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", usual)


@pytest.mark.thorough
def test_uploads_wait_while_the_service_behind_nginx_restarts(strict: FullStack, name: str, tmp_path: Path) -> None:
    contents = {f"{name}-small": secrets.token_bytes(1000), f"{name}-large": secrets.token_bytes(5_000_000)}
    for stem, content in contents.items():
        (tmp_path / f"{stem}.bin").write_bytes(content)

    with skip_where_missing(), open_browser() as browser, ApiClient(strict.url) as client:
        page = Page(browser, strict.url)
        page.open("/files")
        wait_until(lambda: page.all("#upload-files"), "the field for files")
        strict.file_storage.kill()
        try:
            page.choose_files(*tmp_path.glob("*.bin"))
            page.says("Waiting for the server, 0 of 2 uploaded")
            # Until tus gives up too.
            wait_until(lambda: not page.all("section.panel li .number"), "both uploads wait")
        finally:
            strict.file_storage.start()
            strict.await_ready()
        panel_says(page, "2 files uploaded")

        stored = {stem: client.http.get(f"{FILES}/", params={"name": stem}).json() for stem in contents}
        assert {stem: client.download(file["id"]) for stem, [file] in stored.items()} == contents


def test_large_files_of_the_same_name_go_each_to_its_folder(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    contents = [secrets.token_bytes(6_000_000) for _ in range(2)]
    for index, content in enumerate(contents):
        path = tmp_path / f"{name}-{index}" / "film.bin"
        path.parent.mkdir()
        path.write_bytes(content)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    page.open("/files")
    wait_until(lambda: page.all("input[webkitdirectory]"), "the field for a folder")

    with network(page, upload=100_000):
        page.all("input[webkitdirectory]")[0].send_keys(str(tmp_path / f"{name}-0"))
        wait_until(lambda: page.browser.execute_script(TUS_BEGUN), "the first upload has begun")
        page.button("Stop and clear").click()
    for index in (1, 0):
        page.all("input[webkitdirectory]")[0].send_keys(str(tmp_path / f"{name}-{index}"))
        panel_says(page, "1 file uploaded")
        page.button("Close", "section.panel").click()

    for index, content in enumerate(contents):
        [file] = pixmill.http.get(f"{FILES}/", params={"folder": f"{name}-{index}"}).json()
        assert pixmill.download(file["id"]) == content


@pytest.mark.thorough
def test_a_file_that_was_deleted_fails_alone(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path, name, 3)
    page.open("/files")
    wait_until(lambda: page.all("#upload-files"), "the field for files")

    with network(page, offline=True):
        page.choose_files(*paths)
        page.says("Waiting for the server, 0 of 3 uploaded")
        paths[1].unlink()
    page.says("1 file failed")

    page.says("The browser can no longer read this file")
    assert [element.text for element in page.all("section.panel li .clip")] == [paths[1].name]
    assert names_stored(pixmill, name) == [paths[0].stem, paths[2].stem]
    page.button("Close", "section.panel").click()


def drag(page: Page, kind: str, *paths: Path) -> None:
    """Let the browser see files that are dragged over the page."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    page.browser.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})


def test_dropped_files_are_uploaded_next_to_an_unreadable_one(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    paths = [tmp_path / f"{name}-{index}.png" for index in range(3)]
    for path in (paths[0], paths[2]):
        path.write_bytes(photo())
    page.open(f"/files?q={name}")
    page.says("Nothing matches")

    for kind in ("dragEnter", "dragOver", "drop"):
        drag(page, kind, *paths)

    page.says("1 file or folder could not be read")
    panel_says(page, "2 files uploaded")
    assert names_stored(pixmill, name) == [paths[0].stem, paths[2].stem]


def wait_until_kept(page: Page) -> None:
    """Wait until the page would let the user leave it without a question."""
    leaves = "return dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    wait_until(lambda: page.browser.execute_script(leaves), "the browser keeps all uploads")


def tus_requests(page: Page) -> list[str]:
    """Return the addresses of the page's tus requests since it was loaded."""
    requests = page.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
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


def test_uploads_go_on_after_a_reload(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    contents = {f"{name}-{index:02}": secrets.token_bytes(1000) for index in range(70)}
    contents[f"{name}-large"] = secrets.token_bytes(6_000_000)
    for stem, content in contents.items():
        (tmp_path / f"{stem}.bin").write_bytes(content)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, upload=200_000):
        page.choose_files(*(tmp_path / f"{stem}.bin" for stem in reversed(contents)))
        wait_until(lambda: names_stored(pixmill, name), "the first files are stored")
        wait_until(lambda: page.browser.execute_script(TUS_BEGUN), "the large upload has begun")
        wait_until_kept(page)
        page.browser.refresh()
        page.says("from before the reload go")
    page.button("Close", "section.panel")

    stored = pixmill.http.get(f"{FILES}/", params={"folder": name, "limit": 1000}).json()
    assert sorted(file["name"] for file in stored) == sorted(contents)
    assert {file["name"]: pixmill.download(file["id"]) for file in stored} == contents
    assert tus_requests(page)
    assert not any(request.endswith("/uploads/") for request in tus_requests(page)), "the server's bytes are sent again"
    page.browser.refresh()
    page.says(f"{len(contents)} files")
    assert not page.all("section.panel")


def test_files_whose_response_is_lost_are_stored_once(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 3)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, answer_after=100):
        page.choose_files(*paths)
        wait_until(lambda: len(names_stored(pixmill, name)) == 3, "the files are stored")
        wait_until_kept(page)
        page.browser.get("about:blank")
    page.open(f"/files?folder={name}")
    panel_says(page, "3 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


def test_a_file_that_is_too_large_to_keep_is_chosen_again(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    path, other = tmp_path / f"{name}.bin", tmp_path / f"{name}-other.bin"
    with path.open("wb") as file:
        file.truncate(64 * 2**20 + 1)
    other.write_bytes(b"another file")
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, upload=1_000_000):
        page.choose_files(path)
        wait_until(lambda: page.browser.execute_script(TUS_BEGUN), "the upload has begun")
        page.browser.get("about:blank")
        page.open("/trash")
        page.says("1 file must be chosen again")
    assert [row.text.split("\n")[0] for row in page.all("section.panel li")] == [f"{name}/{path.name}"]
    page.all("#upload-again")[0].send_keys(str(other))
    page.says("1 file is not one of the missing ones")
    page.all("#upload-again")[0].send_keys(str(path))
    panel_says(page, "1 file uploaded")

    [stored] = pixmill.http.get(f"{FILES}/", params={"name": name}).json()
    assert (stored["size"], stored["folder"]) == (path.stat().st_size, name)
    assert not any(request.endswith("/uploads/") for request in tus_requests(page)), "the server's bytes are sent again"


def test_a_file_whose_bytes_the_browser_lost_is_chosen_again_in_the_gallery(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    with kept_offline(page, name, paths):
        page.browser.execute_async_script(
            """const [done] = arguments;
            indexedDB.open('pixmill').onsuccess = ({target: {result}}) => {
                const transaction = result.transaction('files', 'readwrite');
                transaction.objectStore('files').clear();
                transaction.oncomplete = () => { result.close(); done(); };
            };"""
        )
        page.browser.get("about:blank")

    page.open(f"/files?folder={name}")
    page.says("2 files must be chosen again")
    page.choose_files(*paths)
    panel_says(page, "2 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


def test_only_one_window_sends_an_upload(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    paths = pictures(tmp_path, name, 4)
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("window")
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")

    with network(page, offline=True):
        page.choose_files(*paths[:3])
        wait_until_kept(page)
        page.button("Pause", "section.panel").click()
    page.browser.switch_to.new_window("window")
    page.open(f"/files?folder={name}")
    page.choose_files(paths[3])
    panel_says(page, "1 file uploaded")
    assert names_stored(pixmill, name) == [paths[3].stem]

    paused, second = page.browser.window_handles[-2:]
    page.browser.switch_to.window(paused)
    page.browser.close()
    page.browser.switch_to.window(second)
    page.browser.refresh()
    page.says("Paused at 0 of 3")
    page.button("Resume", "section.panel").click()
    panel_says(page, "3 files uploaded")
    assert names_stored(pixmill, name) == [path.stem for path in paths]
    page.browser.close()
    page.browser.switch_to.window(first)


@pytest.mark.parametrize("database", ["null", "{ open() { throw new DOMException('', 'SecurityError'); } }"])
def test_files_are_uploaded_without_a_database_of_the_browser(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path, database: str
) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(photo())
    with prepared(page, f"Object.defineProperty(window, 'indexedDB', {{value: {database}}})"):
        page.errors()
        page.open(f"/files?folder={name}")
        page.choose_files(path)
        panel_says(page, "1 file uploaded")

        assert page.errors() == []
    assert names_stored(pixmill, name) == [path.stem]


def test_uploads_of_a_crashed_tab_go_on_after_its_silence(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    with kept_offline(page, name, paths):
        find_mark = "return Object.keys(localStorage).find((key) => key.startsWith('pixmill.uploads.tab.'))"
        mark = page.browser.execute_script(find_mark)
        page.browser.get("about:blank")
    page.open(f"{FILES}/healthz")
    # The process of the closed page may remove its mark after this page has begun.
    is_removed = "return localStorage.getItem(arguments[0]) === null"
    wait_until(lambda: page.browser.execute_script(is_removed, mark), "the closed page has removed its mark")
    page.browser.execute_script("localStorage.setItem(arguments[0], Date.now())", mark)

    collect = """const set = setTimeout;
        window.later = [];
        window.setTimeout = (work, ms, ...rest) => (ms < 60_000 ? set(work, ms, ...rest) : (later.push(work), 0));"""
    with prepared(page, collect):
        page.open(f"/files?folder={name}")
        wait_until(lambda: page.browser.execute_script("return later.length"), "the page will look again")
        assert not page.all("section.panel")
        page.browser.execute_script("localStorage.setItem(arguments[0], 0); for (const work of later) work()", mark)
        panel_says(page, "2 files uploaded")

    assert names_stored(pixmill, name) == [path.stem for path in paths]


HOLD_DATABASE = """const [stores, done] = arguments;
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
};"""
"""Lets every other transaction on these stores of the browser's database wait, and records them."""

LET_GO = """const [done] = arguments;
indexedDB.open('pixmill').onsuccess = ({target: {result: database}}) => {
    const last = database.transaction(['entries', 'files'], 'readwrite');
    last.oncomplete = () => { database.close(); setTimeout(done); };
    window.holds = false;
};"""
"""Ends this; calls back after the transactions that wait, and after what the page does next."""


def hold_database(page: Page, *stores: str) -> None:
    page.browser.execute_async_script(HOLD_DATABASE, list(stores))


def await_transaction(page: Page, stores: str) -> None:
    asked = "return window.waiting.includes(arguments[0])"
    wait_until(lambda: page.browser.execute_script(asked, stores), "the page uses the database")


@pytest.mark.thorough
def test_an_upload_that_ends_while_the_database_is_read_does_not_begin_again(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
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
        page.browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
        await_transaction(page, "entries,files")
        panel_says(page, "Uploading 0 of 1")
    panel_says(page, "1 file uploaded")
    page.browser.execute_async_script(LET_GO)

    panel_says(page, "1 file uploaded")
    assert names_stored(pixmill, name) == [name]


@pytest.mark.thorough
@pytest.mark.parametrize(("button", "stored_later"), [("Pause", 2), ("Stop and clear", 0)])
def test_nothing_is_sent_that_the_user_stopped_while_the_database_was_read(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path, button: str, stored_later: int
) -> None:
    paths = pictures(tmp_path, name, 2)
    with kept_offline(page, name, paths):
        page.button("Pause", "section.panel").click()
        page.browser.get("about:blank")
    page.open(f"/files?folder={name}")
    page.says("Paused at 0 of 2")
    hold_database(page, "files")

    page.button("Resume", "section.panel").click()
    await_transaction(page, "files")
    page.button(button, "section.panel").click()
    page.browser.execute_async_script(LET_GO)
    sent = page.browser.execute_script(
        "return performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/batch')).length"
    )
    if button == "Pause":
        page.button("Resume", "section.panel").click()
        panel_says(page, "2 files uploaded")

    assert (sent, len(names_stored(pixmill, name))) == (0, stored_later)
    page.browser.refresh()
    page.says("2 files" if stored_later else "Nothing matches")
    assert not page.all("section.panel")


LATER = "const now = Date.now; Date.now = () => now() + arguments[0] * 3600_000"
"""Let the page's clock say that this many more hours have passed."""


def test_a_retry_after_the_server_forgot_the_key_is_the_users_decision(
    pixmill: ApiClient, page: Page, name: str, tmp_path: Path
) -> None:
    paths = pictures(tmp_path, name, 2)
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    with network(page, answer_after=100):
        page.choose_files(*paths)
        wait_until(lambda: len(names_stored(pixmill, name)) == 2, "the files are stored")
        wait_until_kept(page)
        begun = """const [done] = arguments;
            indexedDB.open('pixmill').onsuccess = ({target: {result}}) => {
                result.transaction('entries').objectStore('entries').getAll().onsuccess = ({target}) => {
                    result.close();
                    done(target.result.map(({sent}) => typeof sent));
                };
            };"""
        assert page.browser.execute_async_script(begun) == ["number"] * 2
        page.button("Pause", "section.panel").click()
    page.browser.execute_script(LATER, 23)
    with blocked(page, f"*{FILES}/batch"):
        page.button("Resume", "section.panel").click()
        page.says("2 files failed")
    page.browser.execute_script(LATER, 2)
    sent = "return performance.getEntriesByType('resource').filter(({name}) => name.endsWith('/batch')).length"
    before = page.browser.execute_script(sent)

    page.button("Retry all", "section.panel").click()
    page.says("2 files must be chosen again")
    page.says("the server may have the file")
    assert page.browser.execute_script(sent) == before

    page.all("#upload-again")[0].send_keys("\n".join(map(str, paths)))
    panel_says(page, "2 files uploaded")
    page.browser.refresh()
    page.says("2 files")
    assert not page.all("section.panel")


def test_a_pause_belongs_to_one_window(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}-{index}.bin" for index in range(2)]
    for path in paths:
        path.write_bytes(secrets.token_bytes(3_000_000))
    first = page.browser.current_window_handle
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    # Offline throughout, so that this window never adopts the uploads of the other one while that reloads.
    with network(page, offline=True):
        page.choose_files(paths[0])
        wait_until_kept(page)
        page.button("Pause", "section.panel").click()

        page.browser.switch_to.new_window("window")
        page.open(f"/files?folder={name}")
        page.says("Nothing matches")
        with network(page, upload=20_000):
            page.choose_files(paths[1])
            wait_until_kept(page)
            page.browser.refresh()
            page.says("1 upload from before the reload goes on")
        panel_says(page, "1 file uploaded")
        assert names_stored(pixmill, name) == [paths[1].stem]
        page.browser.close()
        page.browser.switch_to.window(first)

    online = "const [done] = arguments; fetch('/api/session').then(() => done(true), () => done(false))"
    wait_until(lambda: page.browser.execute_async_script(online), "the first window is online again")
    page.browser.refresh()
    page.says("Paused at 0 of 1")
    page.button("Resume", "section.panel").click()
    panel_says(page, "1 file uploaded")
    assert names_stored(pixmill, name) == [path.stem for path in paths]


@pytest.fixture(scope="module")
def open_stack() -> Iterator[EmbeddedStack]:
    # No setting shows whether others reach this server, for example by a proxy on this machine.
    stack = EmbeddedStack(temporary_folder("page-open"), {"ACCESS_AUTH__MODE": "open", "ACCESS_HTTP__HOSTS": "[]"})
    yield stack
    stack.stop()


@pytest.mark.thorough
@pytest.mark.parametrize("width", [390, 1280])
def test_each_screen_of_an_open_server_says_that_it_is_open(open_stack: EmbeddedStack, width: int) -> None:
    english = "This server asks for no key: everyone who reaches it can see, change and delete everything."
    russian = "Сервер не просит ключ: каждый, кому он доступен, может всё увидеть, изменить и удалить."

    with skip_where_missing(), open_browser(width) as browser:
        page = Page(browser, open_stack.url)
        for path in ("/files", "/process", "/runs", "/tasks", "/shared", "/system", "/trash", "/s/a-token"):
            page.open(path)
            notice = page.first("[role=note]")
            assert notice.text == english
            # It covers nothing, but for the rounding of sizes, and nobody can close it.
            assert notice.rect["y"] + notice.rect["height"] < page.first("main").rect["y"] + 1
            assert not page.all("[role=note] button")
        page.button("Русский").click()
        wait_until(lambda: page.first("[role=note]").text == russian, "the notice in Russian")


def test_a_server_for_this_machine_does_not_say_that_it_is_open(page: Page) -> None:
    page.open("/system")
    page.says("Only this machine, without a key")

    assert not page.all("[role=note]")


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
    keys_stack: EmbeddedStack, owners: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    alice, bob = owners["alice"], owners["bob"]
    paths = pictures(tmp_path, name, 4)

    with skip_where_missing(), open_browser() as browser, ApiClient(keys_stack.url) as client:
        page = Page(browser, keys_stack.url)

        def change_owner(key: str) -> None:
            page.button("Sign out").click()
            page.field("Key").send_keys(key + Keys.ENTER)
            page.button("Sign out")

        page.open("/files")
        page.field("Key").send_keys(alice + Keys.ENTER)
        with network(page, upload=100):
            page.choose_files(*paths[:3])
            wait_until_kept(page)
            page.button("Pause", "section.panel").click()
            page.button("System").click()
            page.button("Sign out")
            assert "Paused at 0 of 3" in page.text()
        first = browser.current_window_handle
        browser.switch_to.new_window("window")
        second = browser.current_window_handle
        page.open("/files")
        with network(page, upload=100):
            page.choose_files(paths[3])
            wait_until_kept(page)
            page.button("Pause", "section.panel").click()
        browser.switch_to.window(first)
        change_owner(bob)
        page.says("bob")
        browser.switch_to.window(second)
        wait_until(lambda: not page.all("section.panel"), "the other window has no uploads of the earlier owner")
        page.open("/system")
        page.says("bob")
        browser.close()
        browser.switch_to.window(first)
        page.open("/files")
        page.choose_files(paths[0])
        panel_says(page, "1 file uploaded")
        page.open("/system")
        change_owner(alice)
        page.says("Paused at 0 of 4")
        page.button("Resume", "section.panel").click()
        panel_says(page, "4 files uploaded")

        client.http.headers["Authorization"] = f"Bearer {bob}"
        assert names_stored(client, name) == [paths[0].stem]
        client.http.headers["Authorization"] = f"Bearer {alice}"
        assert names_stored(client, name) == [path.stem for path in paths]


@pytest.mark.thorough
def test_an_owner_who_takes_over_a_page_does_not_get_its_uploads(
    keys_stack: EmbeddedStack, owners: Mapping[str, str], name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.bin"
    with path.open("wb") as file:
        # Too large to keep: the browser asks before it leaves a page with this upload.
        file.truncate(64 * 2**20 + 1)

    with skip_where_missing(), open_browser() as browser, ApiClient(keys_stack.url) as client:
        page = Page(browser, keys_stack.url)
        page.open("/files")
        page.field("Key")
        assert violations(page) == []
        page.field("Key").send_keys(owners["alice"] + Keys.ENTER)
        page.says("Drop")
        page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
        page.says("Sepia")
        for key, text in (("alice", "Sepia"), ("bob", "Begin with a step"), ("alice", "Begin with a step")):
            browser.delete_all_cookies()
            page.open("/s/a-token")
            page.says("This link")
            page.open("/process")
            page.field("Key").send_keys(owners[key] + Keys.ENTER)
            page.says(text)
        page.open("/files")
        page.says("Drop")
        with network(page, upload=1000):
            page.choose_files(path)
            page.button("Pause", "section.panel").click()
        browser.execute_script("localStorage['pixmill.draft'] = '{}'; localStorage['pixmill.theme'] = '\"dark\"'")
        browser.delete_all_cookies()
        # The browser's question, which this driver always answers with "Leave".
        asked = "addEventListener('beforeunload', (event) => { sessionStorage.asked = event.defaultPrevented; })"
        browser.execute_script(asked)
        page.field("Search names and comments").send_keys(name)
        page.field("Key", "dialog")
        assert violations(page) == []
        page.field("Key", "dialog").send_keys(owners["bob"] + Keys.ENTER)
        wait_until(lambda: browser.execute_script("return sessionStorage.asked"), "the page is reloaded")
        assert browser.execute_script("return sessionStorage.asked") == "false"
        page.open("/system")
        page.says("bob")
        stored = "return [localStorage['pixmill.draft'] ?? null, localStorage['pixmill.theme']]"
        assert browser.execute_script(stored) == [None, '"dark"']

        client.http.headers["Authorization"] = f"Bearer {owners['bob']}"
        assert names_stored(client, name) == []

        page.button("Sign out").click()
        page.field("Key").send_keys(owners["carol"] + Keys.ENTER)
        page.says("carol")
        page.button("Files").click()
        page.says("No files yet")
        for kind in ("dragEnter", "dragOver"):
            drag(page, kind, path)
        assert "Drop" not in page.text()


def test_the_next_page_is_shown_once(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.txt", b"text")["id"]
    for _ in range(101):
        pixmill.http.post(f"{FILES}/{file_id}/links", json={}).raise_for_status()
    count = len(pixmill.http.get(f"{FILES}/links", params={"limit": 1000}).json())
    rows = "main li"

    page.open("/shared")
    with blocked(page, "*after=*"):
        page.button("Show more").click()
        page.says("The server does not answer.")
    page.button("Try again", "main").click()
    wait_until(lambda: len(page.all(rows)) == count, "the second page is shown")
    page.open("/shared")
    page.button("Show more")
    page.browser.execute_script(
        "const more = [...document.querySelectorAll('main button')].at(-1); more.click(); more.click();"
    )
    wait_until(lambda: len(page.all(rows)) == count, "the second page is shown")
    asked = "return performance.getEntriesByType('resource').filter(({name}) => name.includes('after=')).length"

    assert page.browser.execute_script(asked) == 1
    # Otherwise the links of later tests would be on the second page.
    pixmill.http.delete(f"{FILES}/{file_id}").raise_for_status()


def test_an_error_of_the_gallery_is_mended_by_keyboard(pixmill: ApiClient, page: Page, name: str) -> None:
    # The end of the list is far below the window.
    for index in range(60):
        pixmill.upload(f"{name}-{index}.txt", b"text %d" % index)

    with blocked(page, "*/file-server/lookup*", "*/healthz*"):
        page.open(f"/files?q={name}")
        again = page.first("[role=alert] button")
        assert again.rect["y"] < 800
        assert not page.all("[role=listbox] [role=alert]")
        page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": ["*/healthz*"]})
        # The page also asks again by itself, and may have done so before the key is pressed.
        with suppress(StaleElementReferenceException, ElementNotInteractableException):
            again.send_keys(Keys.SPACE)

        wait_until(lambda: files_shown(page), "the rows are shown")
    assert not page.all("[role=alert]")
    assert not page.all("[role=option][aria-selected=true]")


def test_an_update_of_the_server_is_named(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    with blocked(page, "*/assets/Trash-*"):
        page.browser.execute_script(
            "history.pushState(null, '', '/trash'); dispatchEvent(new PopStateEvent('popstate'))"
        )
        page.says("The server was updated. Reload the page to use the new version.")
    page.button("Reload the page").click()

    page.says("Deleted files stay here for 1 day")


def test_the_page_speaks_english_where_its_russian_is_gone(page: Page) -> None:
    page.open("/system")
    page.says("Works")

    with blocked(page, "*/assets/ru-*"):
        page.button("Русский").click()
        page.says("The server was updated. Reload the page to use the new version.")
        page.open("/system")
        page.says("Works")
        assert not page.all(".toast")
        page.browser.execute_script("localStorage.setItem('pixmill.language', '\"ru\"')")
        page.open("/system")
        page.says("The server was updated. Reload the page to use the new version.")
        page.says("Works")
    page.button("Reload the page").click()

    page.says("Работает")
    page.button("English").click()


def test_a_failed_task_is_explained_in_russian(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.txt", b"not an image")["id"]
    created = pixmill.http.post(
        f"{TASKS}/", json={"file_ids": [file_id], "algorithm": "round_corners", "params": {"radius": 5}}
    )
    [task_id] = created.raise_for_status().json()["task_ids"]
    pixmill.wait_for_task(task_id)
    answer = pixmill.http.get(f"{TASKS}/{task_id}", headers={"Accept-Language": "ru"}).json()
    page.open(f"/files/{file_id}?tab=history")
    page.says(answer["error"])

    with blocked(page, "*/catalog", "*/healthz"):
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
    with prepared(page, hold_english):
        page.open(address)
        await_held(page, "the English answer is held")
        page.button("Русский").click()
        wait_until(lambda: "Сепия" in page.browser.execute_script(f"return {names}"), "the names are in Russian")
        release(page)
        shown = page.browser.execute_script(f"return {names}")
        page.button("English").click()

    assert "Сепия" in shown


def test_the_copied_commands_do_what_the_buttons_do(pixmill: ApiClient, page: Page, name: str) -> None:
    pixmill.upload(f"{name}.png", photo())
    [file] = open_gallery(page, name, 1)
    file.find_element(By.CSS_SELECTOR, "[data-check]").click()
    page.browser.execute_script("navigator.clipboard.writeText = async (text) => { window.copied = text; }")

    page.button("Copy this as a command", "[role=toolbar]").click()
    page.button("Delete: Copy as curl", "[role=toolbar]").click()
    page.says("Copied")
    command = str(page.browser.execute_script("return window.copied"))
    subprocess.run(shlex.split(command), check=True, capture_output=True)

    assert names_stored(pixmill, name) == []


def test_search_filters_and_order_are_in_the_address(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    pixmill.upload(f"{name}.txt", b"text")

    page.open("/files")
    search = page.field("Search names and comments")
    search.send_keys(f"{name} ")
    wait_until(lambda: page.browser.current_url.endswith(f"/files?q={name}"), "the search is done")
    wait_until(lambda: len(files_shown(page)) == 3, "all files with the name are shown")
    assert search.get_attribute("value") == f"{name} ", "the next word would be joined to this one"
    page.field("Type").send_keys("Images")
    page.field("Order").send_keys("Name, Z")
    wait_until(lambda: len(files_shown(page)) == 2, "only images are shown")

    assert page.browser.current_url.endswith(f"/files?q={name}&type=image%2F*&sort=-name")
    page.browser.refresh()
    wait_until(lambda: len(files_shown(page)) == 2, "the address shows the same")
    assert [file.text.split("\n")[0] for file in files_shown(page)] == [f"{name}-2", f"{name}-1"]
    files_shown(page)[0].click()
    page.says("Download")
    page.first("body").send_keys(Keys.ESCAPE)
    wait_until(lambda: page.browser.current_url.endswith(f"/files?q={name}&type=image%2F*&sort=-name"), "the way back")
    page.open(f"/files?q={name}&since=x&taken_from=y&taken_to=z")
    wait_until(lambda: len(files_shown(page)) == 3, "filters that make no sense are ignored")


def test_files_are_deleted_by_keyboard_and_brought_back(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2, 3, 4):
        pixmill.upload(f"{name}-{number}.png", photo())
    open_gallery(page, name, 4)
    gallery = page.first("[role=listbox]")

    gallery.send_keys(Keys.HOME, " ", Keys.SHIFT + Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    page.says("3 files selected")
    gallery.send_keys(Keys.NULL, Keys.DELETE)
    page.says("3 files are in the trash")
    assert names_stored(pixmill, name) == [f"{name}-4"]
    gallery.send_keys(Keys.CONTROL + "z", Keys.NULL)
    page.says("3 files are back")

    assert names_stored(pixmill, name) == [f"{name}-{number}" for number in (1, 2, 3, 4)]
    wait_until(lambda: len(files_shown(page)) == 4, "the files are in the gallery again")


def test_the_trash_restores_a_file_and_is_emptied(pixmill: ApiClient, page: Page, name: str) -> None:
    ids = [pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (1, 2)]
    pixmill.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()

    page.open("/trash")
    page.button(f"Restore: {name}-1.png").click()
    page.says("1 file is back")
    page.button("Empty the trash").click()
    page.button("Empty the trash", "dialog").click()
    page.says("The trash is empty")

    assert names_stored(pixmill, name) == [f"{name}-1"]
    assert pixmill.http.get(f"{FILES}/trash").json() == []


def test_a_chosen_folder_is_kept_and_filters(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    pixmill.upload(f"{name}-elsewhere.png", photo())
    folder = tmp_path / f"album-{name}" / "may"
    folder.mkdir(parents=True)
    (folder / f"{name}-may.png").write_bytes(photo())
    (folder.parent / f"{name}-album.png").write_bytes(photo())

    page.open(f"/files?q={name}")
    wait_until(lambda: page.all("input[webkitdirectory]"), "the field for a folder")
    page.all("input[webkitdirectory]")[0].send_keys(str(folder.parent))
    panel_says(page, "2 files uploaded")
    page.button(f"album-{name}").click()
    wait_until(lambda: len(files_shown(page)) == 2, "only the files in the folder are shown")
    page.button("may").click()
    wait_until(lambda: len(files_shown(page)) == 1, "only the file in the folder below is shown")

    assert page.browser.current_url.endswith(f"folder=album-{name}%2Fmay")
    [file] = pixmill.http.get(f"{FILES}/", params={"folder": f"album-{name}/may"}).json()
    assert file["name"] == f"{name}-may"


def test_what_others_upload_appears_without_losing_the_selection(pixmill: ApiClient, page: Page, name: str) -> None:
    first = pixmill.upload(f"{name}-1.png", photo(), folder=name)["id"]
    page.open(f"/files?folder={name}")
    wait_until(lambda: len(files_shown(page)) == 1, "the file is shown")
    page.first("[role=listbox]").send_keys(" ")
    page.says("1 file selected")

    pixmill.upload(f"{name}-2.png", photo(), folder=name)
    wait_until(lambda: len(files_shown(page)) == 2, "the new file appears")

    selected = page.all("[role=option][aria-selected=true]")
    assert [element.text.split("\n")[0] for element in selected] == [f"{name}-1"]
    pixmill.http.delete(f"{FILES}/{first}").raise_for_status()
    wait_until(lambda: len(files_shown(page)) == 1, "the deleted file disappears")


RECORD_LOOKUPS = """const {fetch} = window;
window.lookedUp = [];
window.fetch = (path, options) => {
    if (path.endsWith('/lookup')) window.lookedUp.push(...JSON.parse(options.body).ids);
    return fetch(path, options);
};"""
"""Lets the page record the ids of the files whose rows it requests."""


def test_a_long_list_has_its_end_and_few_rows_in_the_document(pixmill: ApiClient, page: Page, name: str) -> None:
    last = pixmill.upload(f"{name}z.png", photo(), folder=name)["id"]
    for _ in range(20):
        copies = [{"file_id": last, "name": name} for _ in range(100)]
        pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    # Not by time, because a list of months would need some rows from everywhere.
    page.open(f"/files?folder={name}&sort=name")
    page.says("2,001 files")
    wait_until(lambda: files_shown(page), "the first rows are shown")
    page.browser.execute_script(RECORD_LOOKUPS)
    gallery = page.first("[role=listbox]")

    gallery.send_keys(Keys.END)
    page.says(f"{name}z")
    assert 0 < len(files_shown(page)) < 80
    in_order = pixmill.http.get(f"{FILES}/index", params={"folder": name, "sort": "name"}).json()["ids"]
    looked_up = page.browser.execute_script("return window.lookedUp")
    assert last in looked_up
    assert set(looked_up) <= set(in_order[-80:]), "rows between the first and the last are loaded"
    gallery.send_keys(Keys.CONTROL + "a", Keys.NULL)
    page.says("2,001 files selected")

    requests = page.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum("/index?" in request for request in requests) == 1
    assert not any(f"{FILES}/?" in request for request in requests), "no page of the list is loaded"

    gallery.send_keys("p")
    page.says("Run on 2,001 files")
    address = page.browser.current_url
    page.browser.back()
    page.first("[role=listbox]").send_keys(Keys.HOME, " ", "p")
    page.says("Run on 2,000 files")
    page.browser.get(address)
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


def test_a_file_is_renamed(pixmill: ApiClient, page: Page, name: str) -> None:
    file = pixmill.upload(f"{name}.png", photo())
    with prepared(page, PATIENT_TOAST):
        page.open(f"/files/{file['id']}")

    page.field("Name").send_keys(Keys.CONTROL + "a", Keys.NULL, f"{name}-renamed", Keys.TAB)
    page.says("Saved")
    wait_until(lambda: page.browser.execute_script("return window.ended") > 1, "the time of the message is over")
    assert "Saved" in page.text(), "its button has the focus"
    page.browser.execute_script("document.activeElement.blur()")
    wait_until(lambda: "Saved" not in page.text(), "the message disappears")

    assert pixmill.http.get(f"{FILES}/{file['id']}").json()["name"] == f"{name}-renamed"


def test_a_picture_is_loaded_again_when_the_server_answers_again(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo(60, 40))["id"]
    loaded = "return document.querySelector('.viewer img')?.naturalWidth"

    with blocked(page, "*/thumbnails/*", f"*{FILES}/{file_id}/*"):
        page.open(f"/files/{file_id}")
        page.says("The picture could not be loaded")
        page.button("Try again", ".viewer").send_keys(Keys.ENTER)
        assert page.browser.execute_script("return document.activeElement.matches('.viewer')")
        page.button("Try again", ".viewer")
        page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": [f"*{FILES}/{file_id}"]})
        page.field("Name").send_keys("-renamed", Keys.TAB)
        page.says("The server does not answer.")
    page.field("Name").send_keys("-again", Keys.TAB)
    page.says("Saved")

    wait_until(lambda: page.browser.execute_script(loaded) == 60, "the picture is shown")


def test_escape_closes_a_menu_and_then_the_file(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2, 3):
        pixmill.upload(f"{name}-{number}.png", photo())
    open_gallery(page, name, 3)
    page.first("[role=listbox]").send_keys(Keys.ARROW_RIGHT, Keys.ENTER)
    page.field("Name")

    # The history moves later: without a count, a test would not see that the page has already left.
    count = """const back = history.back.bind(history);
        window.backs = 0;
        history.back = () => { window.backs += 1; back(); };"""
    page.browser.execute_script(count)
    page.button("Copy this as a command").send_keys(Keys.ENTER, Keys.ESCAPE)
    assert page.browser.execute_script("return backs") == 0
    page.button("Copy this as a command").send_keys(Keys.ESCAPE)
    assert page.browser.execute_script("return backs") == 1
    wait_until(lambda: len(files_shown(page)) == 3, "the gallery is shown")

    place = "return document.getElementById(document.activeElement.getAttribute('aria-activedescendant'))?.innerText"
    wait_until(lambda: f"{name}-2" in (page.browser.execute_script(place) or ""), "the gallery has its place again")


def test_an_image_is_analyzed_without_a_task(pixmill: ApiClient, page: Page, name: str) -> None:
    file = pixmill.upload(f"{name}.png", photo(60, 40))
    before = pixmill.counts()

    page.open(f"/files/{file['id']}?tab=analysis")
    page.says("Dominant colors")

    assert page.all("[aria-label='Shares of dark to light, by channel'] path")
    with blocked(page, "*/metadata/*", "*/healthz"):
        page.button("Русский").click()
        page.first("[role=tabpanel] [role=alert]")
        page.says("Главные цвета")
        page.button("English").click()
        wait_until(lambda: not page.all("[role=tabpanel] [role=alert]"), "the analysis is in the language of the page")
        page.button("Русский").click()
        page.first("[role=tabpanel] [role=alert]")
    page.button("Попробовать снова", "[role=tabpanel]").click()
    wait_until(lambda: not page.all("[role=tabpanel] [role=alert]"), "the image is analyzed again")
    page.button("English").click()
    assert pixmill.counts() == before


def test_a_result_leads_to_its_source_and_back(pixmill: ApiClient, page: Page, name: str) -> None:
    source = pixmill.upload(f"{name}.png", photo())["id"]
    result = pixmill.wait_for_task(pixmill.create_tasks([source], "invert")[0])["result_id"]

    page.open(f"/files/{result}")
    page.says("Made from")
    page.button(f"{name}.png", "section").click()
    page.says("Results")
    page.first(f"a[href='/files/{result}']").click()

    wait_until(lambda: page.browser.current_url.endswith(f"/files/{result}"), "the result is shown again")


def test_a_pipeline_runs_on_the_selected_files(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo(30, 20))
    first, second = open_gallery(page, name, 2)
    page.browser.execute_script("localStorage.clear()")

    first.find_element(By.CSS_SELECTOR, "[data-check]").click()
    second.click()
    page.button("Process", "[role=toolbar]").click()
    add_step(page, "invert")
    add_step(page, "flip")
    page.button("Run on 2 files").click()
    page.says("All done")

    assert "#" not in page.browser.current_url
    stored = pixmill.http.get(f"{FILES}/", params={"name": name, "sort": "id"}).json()
    sources, results = stored[:2], stored[2:]
    assert len(results) == 2
    # Invert, then flip vertically, as the example of `flip` says.
    expected = 255 - pixels(pixmill.download(sources[0]["id"]))[::-1]
    assert any((pixels(pixmill.download(file["id"])) == expected).all() for file in results)


def test_a_preset_of_the_server_fills_the_steps(pixmill: ApiClient, page: Page, name: str) -> None:
    file = pixmill.upload(f"{name}.png", photo())
    page.open("/process")
    page.browser.execute_script("localStorage.clear()")
    page.open(f"/process?files={file['id']}")

    page.button("avatar").click()

    wait_until(lambda: "#s=" in page.browser.current_url, "the steps are in the address")
    assert page.field("Width").get_attribute("value") == "256"
    assert page.first("[aria-controls] .small").text.startswith("WEBP")


def test_the_files_of_an_address_are_fetched_once_in_its_order(pixmill: ApiClient, page: Page, name: str) -> None:
    first, second = (pixmill.upload(f"{name}-{number}.png", photo()) for number in (1, 2))

    page.open(f"/process?files={second['id']},{first['id']}")
    wait_until(lambda: len(page.all("[aria-pressed] img")) == 2, "both files are shown")

    names = [image.get_attribute("alt") for image in page.all("[aria-pressed] img")]
    assert names == [f"{name}-2", f"{name}-1"]
    requests = page.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum("/lookup" in request for request in requests) == 1


def test_a_late_answer_does_not_change_the_files_of_a_run(pixmill: ApiClient, page: Page, name: str) -> None:
    ids = [pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (1, 2, 3)]
    page.open("/process")
    page.says("Add a step")
    hold_first = holding("path.endsWith('/lookup') && !window.release")
    page.browser.execute_script(hold_first)
    show = "history.pushState(null, '', `/process?files=${arguments[0]}`); dispatchEvent(new PopStateEvent('popstate'))"

    page.browser.execute_script(show, f"{ids[0]},{ids[1]}")
    await_held(page, "the first answer is held")
    page.browser.execute_script(show, ids[2])
    page.says("Run on 1 file")
    release(page)

    assert "Run on 1 file" in page.text()


def test_every_change_of_a_step_is_in_the_address(page: Page) -> None:
    page.open(address_of_steps([{"algorithm": "resize", "params": {"width": 1}}]))
    width = page.field("Width")
    # Browsers limit how often a page may change its address.
    change = """const [field, done] = arguments;
        (async () => {
            for (let width = 2; width <= 400; width += 1) {
                field.value = width;
                field.dispatchEvent(new InputEvent('input', {bubbles: true}));
                for (let turn = 0; turn < 3; turn += 1) await null;
            }
        })().then(done);"""
    page.browser.execute_async_script(change, width)

    def written() -> object:
        text = page.browser.current_url.partition("#s=")[2]
        return json.loads(base64.urlsafe_b64decode(f"{text}=="))["steps"][0]["params"]["width"]

    wait_until(lambda: written() == 400, "the address contains the last change")

    # Sooner than the page may write the second change into the address.
    change_and_leave = """const [field, width, leave] = arguments;
        for (const value of [width, width + 1]) {
            field.value = value;
            field.dispatchEvent(new InputEvent('input', {bubbles: true}));
            for (let turn = 0; turn < 3; turn += 1) await null;
        }
        if (leave === 'reload') setTimeout(() => location.reload());
        else history.back();"""

    def shows(width: int) -> bool:
        field = page.named("input", "Width")
        with suppress(StaleElementReferenceException):
            return field is not None and field.get_attribute("value") == str(width)
        return False

    page.browser.execute_script(f"return (async () => {{ {change_and_leave} }})()", page.field("Width"), 401, "reload")
    wait_until(lambda: shows(402), "the reloaded page has the last change")
    page.button("Files").click()
    page.button("Process").click()
    page.browser.execute_script(f"return (async () => {{ {change_and_leave} }})()", page.field("Width"), 501, "back")
    page.field("Search names and comments")
    page.browser.forward()
    wait_until(lambda: shows(502), "the entry of the history has the last change")


def test_steps_are_edited_by_keyboard(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    page.open(address_of_steps([{"algorithm": step, "params": {}} for step in ("flip", "invert", "sepia")], file_id))
    page.says("Run on 1 file")

    def press(*keys: str) -> None:
        page.browser.switch_to.active_element.send_keys(*keys)

    def focused(text: str) -> None:
        wait_until(lambda: text in page.browser.switch_to.active_element.text.split("\n"), f"{text!r} has the focus")

    press(Keys.TAB)
    press(Keys.ENTER)
    assert page.browser.switch_to.active_element.tag_name == "main"
    assert "#s=" in page.browser.current_url

    page.first("aside ol button").send_keys(Keys.ALT + Keys.ARROW_DOWN)
    press(Keys.ALT + Keys.ARROW_DOWN)
    focused("Flip")
    assert [step.text for step in page.all("aside ol strong")] == ["Invert", "Sepia", "Flip"]
    page.button("Move up", "aside ol").send_keys(Keys.SPACE)
    press(Keys.SPACE)
    focused("Flip")
    assert [step.text for step in page.all("aside ol strong")] == ["Flip", "Invert", "Sepia"]
    page.button("Remove", "aside ol").send_keys(Keys.SPACE)
    focused("Invert")
    press(Keys.SPACE)
    with network(page, answer_after=100):
        page.button("Remove", "aside ol").send_keys(Keys.SPACE)
        focused("Sepia")
        page.says("Making the preview")
        press(Keys.SPACE)
        page.button("Remove", "aside ol").send_keys(Keys.SPACE)
        focused("Add a step")
        wait_until(lambda: "Making the preview" not in page.text(), "the preview is not awaited any longer")


def test_a_field_whose_json_is_invalid_prevents_the_run(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    kernel = [0, 0, 0, 0, 1, 0, 0, 0, 0]
    page.open(address_of_steps([{"algorithm": "convolve", "params": {"kernel": kernel}}], file_id))
    page.button("Run on 1 file")

    field = page.field("Kernel")
    field.send_keys(Keys.CONTROL + "a", Keys.NULL, "[1, 2", Keys.TAB)
    page.says("This is not JSON")
    described = page.browser.execute_script(
        "return document.getElementById(arguments[0].getAttribute('aria-describedby'))?.innerText", field
    )
    assert described == "This is not JSON"
    assert not page.all("footer button:enabled")
    page.first("aside ol button").click()
    assert "This is not JSON" in page.text()
    page.first("aside ol button").click()
    assert page.field("Kernel").get_attribute("value") == "[1, 2"
    page.field("Kernel").send_keys(Keys.CONTROL + "a", Keys.NULL, str(kernel), Keys.TAB)

    page.button("Run on 1 file")
    assert "This is not JSON" not in page.text()


def test_a_failed_task_shows_its_reason_and_runs_again(pixmill: ApiClient, page: Page, name: str) -> None:
    file = pixmill.upload(f"{name}.txt", b"not an image")
    page.open("/process")
    page.browser.execute_script("localStorage.clear()")
    page.open(f"/process?files={file['id']}")

    add_step(page, "sepia")
    page.button("Run on 1 file").click()
    page.says("What went wrong")
    [task] = pixmill.http.get(f"{TASKS}/", params={"source_id": str(file["id"])}).json()
    page.says(task["error"])
    page.button("Restart 1 task").click()

    page.says("1 task runs again")


def test_a_run_is_the_same_in_every_browser(pixmill: ApiClient, page: Page, name: str) -> None:
    file_ids = [pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (1, 2)]
    file_ids.append(pixmill.upload(f"{name}.txt", b"not an image")["id"])
    wanted = {"file_ids": file_ids, "algorithm": "invert"}
    batch_id = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]

    page.open(f"/runs/{batch_id}")
    page.says("2 finished")
    page.says("1 failed")
    page.says("not an image")
    wait_until(lambda: len(page.all("main li a[href^='/files/'] img")) == 2, "both results are shown")
    page.button("Show the files").click()

    page.says(f"{name}.txt")
    assert page.browser.current_url.endswith(f"/tasks?run={batch_id}&status=error")


@pytest.mark.thorough
def test_a_run_says_whether_its_numbers_are_live(strict: FullStack, name: str) -> None:
    with skip_where_missing(), open_browser() as browser, ApiClient(strict.url) as client:
        page = Page(browser, strict.url)
        strict.worker.kill()
        try:
            file_id = client.upload(f"{name}.png", photo())["id"]
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
            count = browser.execute_script(f"return {numbers}.length")
            wait_until(lambda: browser.execute_script(f"return {numbers}.length") > count, "the numbers are fresh")
            # Later than the next refresh, which was planned before the language changes.
            browser.execute_script("let now = performance.now(); performance.now = () => (now += 60_000)")
            page.button("Русский").click()
            page.says("Задачи")
        finally:
            strict.worker.start()
        page.says("Всё готово")


@pytest.mark.thorough
def test_shift_selects_from_the_task_that_was_clicked(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.txt", b"not an image")["id"]
    task_ids = [pixmill.create_tasks([file_id], "flip", {"direction": way})[0] for way in ("horizontal", "vertical")]
    page.open(f"/tasks?file={file_id}")
    page.field(f"Task {task_ids[1]}").click()
    page.says("1 task selected")
    page.button("Русский").click()
    page.says("Выбрана 1 задача")
    page.button("English").click()
    page.says("1 task selected")

    # It is shown above the other two.
    pixmill.create_tasks([file_id], "sepia")
    wait_until(lambda: len(page.all("li.task")) == 3, "the new task is shown")
    click = "arguments[0].dispatchEvent(new MouseEvent('click', {shiftKey: true, bubbles: true}))"
    page.browser.execute_script(click, page.field(f"Task {task_ids[0]}"))

    page.says("2 tasks selected")
    assert violations(page) == []


def test_a_page_that_is_asked_for_during_a_refresh_is_shown(pixmill: ApiClient, page: Page, name: str) -> None:
    batch_id = run_of_failures(pixmill, name)
    # The stream of events refreshes the first page when it starts.
    is_refresh = "!path.includes('after=') && (window.firsts = (window.firsts ?? 0) + 1) > 1"
    is_further = "path.includes('after=') && !window.further && (window.further = true)"
    is_held = f"path.includes('batch_id=') && ({is_refresh} || {is_further})"

    with prepared(page, holding(is_held)):
        page.open(f"/tasks?run={batch_id}")
        await_held(page, "the refresh is held")
        page.browser.execute_script("window.refresh = window.release; delete window.release;")
        page.button("Show more").click()
        await_held(page, "the further page is held")
        page.browser.execute_script("window.refresh()")

        page.field("Select all 101 shown")


def test_many_tasks_are_forgotten_with_one_request(pixmill: ApiClient, page: Page, name: str) -> None:
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
    requests = page.browser.execute_script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert sum(request.endswith("/forget") for request in requests) == 1


def test_a_preset_is_saved_for_every_browser(pixmill: ApiClient, page: Page, name: str) -> None:
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))

    page.button("Presets").click()
    page.field("Name of the preset").send_keys(name + Keys.ENTER)
    page.says("The preset is saved")

    saved = pixmill.http.get(f"{TASKS}/presets/{name}").json()
    assert (saved["params"]["steps"][0]["algorithm"], saved["read_only"]) == ("sepia", False)


def test_a_chosen_file_is_removed_next_to_a_deleted_one(pixmill: ApiClient, page: Page, name: str) -> None:
    gone, first, second = (pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (0, 1, 2))
    pixmill.http.delete(f"{FILES}/{gone}").raise_for_status()
    page.open(address_of_steps([{"algorithm": "montage", "params": {"others": [gone, first, second]}}]))

    page.button(f"Remove: {name}-1").click()

    def others() -> object:
        text = page.browser.current_url.partition("#s=")[2]
        return json.loads(base64.urlsafe_b64decode(f"{text}=="))["steps"][0]["params"]["others"]

    wait_until(lambda: others() != [gone, first, second], "the address has changed")
    assert others() == [gone, second]
    page.button(f"Remove: File {gone}").click()
    wait_until(lambda: others() == [second], "the deleted file is removed")


def test_a_part_is_drawn_by_keyboard(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo(60, 40))["id"]
    params = {"left": 20, "top": 20, "width": 50, "height": 50, "unit": "percent"}
    page.open(address_of_steps([{"algorithm": "crop", "params": params}], file_id))

    page.button("The part").click()
    page.button("Part 1: 20%, 20%, 50%, 50%").send_keys(Keys.ARROW_RIGHT, Keys.SHIFT + Keys.ARROW_DOWN)
    page.button("Lower right corner: 71%, 80%").send_keys(Keys.ARROW_LEFT)

    fields = {label: page.field(label).get_attribute("value") for label in ("Left", "Top", "Width", "Height")}
    assert fields == {"Left": "21", "Top": "30", "Width": "49", "Height": "50"}


def test_a_part_in_pixels_is_drawn_where_the_run_cuts_it(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo(1500, 1000))["id"]
    params = {"left": 750, "top": 250, "width": 150, "height": 500, "unit": "px"}
    page.open(
        address_of_steps([{"algorithm": "invert", "params": {}}, {"algorithm": "crop", "params": params}], file_id)
    )
    page.says("150 × 500")

    page.first("aside ol li:nth-child(2) button").click()
    page.button("The part").click()

    page.button("Part 1: 50%, 25%, 10%, 50%")


def test_a_preview_says_how_large_the_result_is(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo(1500, 1000))["id"]

    page.open(address_of_steps([{"algorithm": "invert", "params": {}}], file_id))

    page.says("1,500 × 1,000, shown at 1,024 (")


def test_a_link_for_several_files_is_made_and_revoked(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    first, second = open_gallery(page, name, 2)
    first.find_element(By.CSS_SELECTOR, "[data-check]").click()
    second.click()

    assert violations(page) == []
    page.button("Link", "[role=toolbar]").click()
    page.field("Note", "dialog").send_keys(name)
    assert violations(page) == []
    page.button("Create a link", "dialog").click()
    page.button("Copy", "dialog").click()
    page.first("dialog [role=status] .toast")
    assert violations(page) == []
    address = page.field("Link", "dialog").get_attribute("value")
    assert address is not None
    shared = f"{FILES}/shared/{address.rpartition('/')[2]}"
    assert len(pixmill.http.get(shared).json()["files"]) == 2
    page.open("/shared")
    page.button(f"Revoke: {name}").click()
    page.button("Revoke", "dialog").click()
    page.says("The link is revoked")

    assert pixmill.http.get(shared).status_code == 404


def test_a_pipeline_is_renamed_and_deleted(pixmill: ApiClient, page: Page, name: str) -> None:
    params = {"steps": [{"algorithm": "sepia", "params": {}}]}
    pixmill.http.put(f"{TASKS}/presets/{name}", json={"params": params}).raise_for_status()
    page.open("/pipelines")

    page.button(f"Rename: {name}").click()
    page.field("Name", "dialog").send_keys("-2")
    assert violations(page) == []
    page.field("Name", "dialog").send_keys(Keys.ENTER)
    page.says("Renamed")
    statuses = [pixmill.http.get(f"{TASKS}/presets/{name}{end}").status_code for end in ("", "-2")]
    page.button(f"Delete: {name}-2").click()
    page.says(f"The preset {name}-2 is deleted")

    assert statuses == [404, 200]
    assert pixmill.http.get(f"{TASKS}/presets/{name}-2").status_code == 404


def test_a_recent_pipeline_is_opened_with_its_steps(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    pixmill.create_tasks([file_id], "pipeline", {"steps": [{"algorithm": "flip"}] * 2})
    page.open("/pipelines")

    page.button("Open: Flip → Flip").click()

    wait_until(lambda: "#s=" in page.browser.current_url, "the steps are in the address")
    assert len(page.all("aside ol > li")) == 2


def test_selected_files_move_to_a_folder(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    first, second = open_gallery(page, name, 2)
    page.button("Select").click()
    first.click()
    second.click()

    page.button("Move to a folder", "[role=toolbar]").click()
    page.field("Folder", "dialog").send_keys(f"{name}/new")
    assert violations(page) == []
    page.field("Folder", "dialog").send_keys(Keys.ENTER)
    page.says(f"2 files are now in {name}/new")

    assert len(pixmill.http.get(f"{FILES}/", params={"folder": f"{name}/new"}).json()) == 2


def test_files_that_were_moved_go_back_each_to_its_folder(pixmill: ApiClient, page: Page, name: str) -> None:
    ids = [pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (1, 2)]
    pixmill.http.patch(f"{FILES}/{ids[0]}", json={"folder": f"{name}/old"}).raise_for_status()
    first, second = open_gallery(page, name, 2)
    page.button("Select").click()
    first.click()
    second.click()
    page.button("Move to a folder", "[role=toolbar]").click()
    page.field("Folder", "dialog").send_keys(f"{name}/new" + Keys.ENTER)

    page.button("Undo").click()
    page.says("2 files are back where they were")

    assert [pixmill.http.get(f"{FILES}/{file_id}").json().get("folder") for file_id in ids] == [f"{name}/old", None]


def test_keys_act_where_nothing_is_typed(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    page.open(f"/files/{file_id}")
    page.says(name)

    page.first("body").send_keys("s")
    page.says("A link that downloads this file")
    page.browser.switch_to.active_element.send_keys(Keys.ESCAPE)
    wait_until(lambda: not page.all("dialog[open]"), "the dialog is closed")
    page.first("body").send_keys("/")
    search = page.field("Search names and comments")
    wait_until(lambda: page.browser.switch_to.active_element == search, "the search has the focus")
    search.send_keys("sr?")

    assert search.get_attribute("value") == "sr?"
    assert page.all("dialog[open]") == []
    wait_until(lambda: page.browser.current_url.endswith("/files?q=sr%3F"), "the search is done")
    page.browser.back()
    page.says("Download")
    # Before this entry of the history there is no screen.
    page.first("body").send_keys(Keys.ESCAPE)
    wait_until(lambda: page.browser.current_url.endswith("/files"), "the gallery is shown")


def test_a_month_of_photos_is_gone_to(pixmill: ApiClient, page: Page, name: str) -> None:
    for month in (1, 2):
        exif = Image.Exif()
        exif.get_ifd(0x8769)[0x9003] = f"2020:0{month}:01 12:00:00"
        content = io.BytesIO()
        Image.new("RGB", (40, 30)).save(content, "JPEG", exif=exif)
        file_id = pixmill.upload(f"{name}-{month}.jpg", content.getvalue(), folder=name)["id"]
        copies = [{"file_id": file_id, "name": f"{name}-{month}"} for _ in range(60)]
        pixmill.http.post(f"{FILES}/copies", json={"copies": copies}).raise_for_status()
    page.open(f"/files?folder={name}&sort=taken_at")

    page.field("Go to a month").send_keys("February 2020")

    at_edge = "return document.elementFromPoint(300, 200).closest('[role=option]')?.innerText ?? ''"
    wait_until(lambda: f"{name}-2" in page.browser.execute_script(at_edge), "the month is shown")


@pytest.mark.thorough
def test_many_windows_share_one_stream_of_events(pixmill: ApiClient, page: Page, name: str) -> None:
    first = page.browser.current_window_handle
    page.open(f"/files?folder={name}")
    # A browser opens six connections to a server.
    for _ in range(7):
        page.browser.switch_to.new_window("window")
        page.open(f"/files?folder={name}")
        page.says("Nothing matches")
    windows = [handle for handle in page.browser.window_handles if handle != first]

    # Close the window that listens for all: another window takes over.
    page.browser.switch_to.window(first)
    page.browser.get("about:blank")
    pixmill.upload(f"{name}.png", photo(), folder=name)
    for window in windows:
        page.browser.switch_to.window(window)
        page.says(name)
        page.browser.close()

    page.browser.switch_to.window(first)


WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
OF_COLORS = ["color-contrast", "link-in-text-block"]
"""The only ones of these rules that depend on colors and may therefore find other violations in a dark page."""


def violations(page: Page, *, of_colors: bool = False) -> list[str]:
    """Return the violations that axe finds in the page now, with their places."""
    if not page.browser.execute_script("return 'axe' in window"):
        page.browser.execute_script((PROJECT / "web/node_modules/axe-core/axe.min.js").read_text(encoding="utf-8"))
    run = """const [rules, done] = arguments;
        axe.run(document, {runOnly: rules}).then(({violations}) => done(
            violations.flatMap(({id, nodes}) => nodes.map(({target}) => `${location.pathname} ${id}: ${target}`))))"""
    rules = OF_COLORS if of_colors else WCAG
    return [str(found) for found in page.browser.execute_async_script(run, rules)]


def text_of_each_screen(pixmill: ApiClient, name: str) -> Mapping[str, str]:
    """Fill each screen; return their addresses, and for each a text that it shows when it is complete."""
    file_id = pixmill.upload(f"{name}.png", photo(60, 40))["id"]
    text_id = pixmill.upload(f"{name}.txt", b"not an image")["id"]
    wanted = {"file_ids": [file_id, text_id], "algorithm": "flip"}
    batch = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    link = {"file_ids": [file_id, text_id], "note": name}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    corners = [{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]
    return {
        f"/files?q={name}": name,
        f"/files/{file_id}": name,
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


STILL = """const [done] = arguments;
    const moving = () => document.getAnimations().filter((animation) => animation instanceof CSSTransition);
    const wait = () => requestAnimationFrame(() => moving().length ? wait() : done());
    requestAnimationFrame(wait);"""
"""Waits until the colors that change with the scheme have changed: buttons pass through others."""


def test_every_screen_can_be_used_by_everybody(pixmill: ApiClient, page: Page, name: str) -> None:
    found: list[str] = []

    for address, text in text_of_each_screen(pixmill, name).items():
        prefer_dark(page.browser, dark=True)
        page.open(address)
        page.says(text)
        found += [f"dark {problem}" for problem in violations(page, of_colors=True)]
        prefer_dark(page.browser, dark=False)
        page.browser.execute_async_script(STILL)
        found += [f"light {problem}" for problem in violations(page)]
    page.button("Corners").click()
    page.button("Upper left corner: 20%, 10%")
    found += violations(page)
    page.button("Keyboard shortcuts").click()
    page.says("In the gallery")
    found += violations(page)

    assert found == []


@pytest.mark.thorough
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_screen_that_begins_in_a_scheme_can_be_used_by_everybody(
    pixmill: ApiClient, stack: Stack, name: str, width: int, dark: bool
) -> None:
    found: list[str] = []

    with skip_where_missing(), open_browser(width, dark=dark) as browser:
        page = Page(browser, stack.url)
        for address, text in text_of_each_screen(pixmill, name).items():
            page.open(address)
            page.says(text)
            found += violations(page)

    assert found == []


WIDER = """return [...document.querySelectorAll(':root, body *:not(main nav, [role=group])')]
    .filter((element) => element.scrollWidth > element.clientWidth + 1 && element.clientWidth > 1)
    .filter((element) => element === document.documentElement
        || ['auto', 'scroll'].includes(getComputedStyle(element).overflowX))
    .map((element) => `${location.pathname} ${element.tagName} ${element.className}`)"""
"""The page itself, if anything is wider than the window, and elements that scroll to the side.

Only the path of folders and the row of files below a preview may do so.
"""
UNREACHABLE = """const kinds = 'a[href]:not(.skip), button, input, select, textarea, summary';
return [...document.querySelectorAll(kinds)].filter((control) => {
    const {width, height} = control.getBoundingClientRect();
    if (control.disabled || !control.checkVisibility({visibilityProperty: true, opacityProperty: true})) return false;
    if (width < 2 || height < 2) return false;
    control.scrollIntoView({block: 'center', inline: 'nearest', behavior: 'instant'});
    const places = [control, ...(control.labels ?? [])];
    const points = [...control.getClientRects()].flatMap(({left, top, width, height}) =>
        [0.1, 0.5, 0.9].map((share) => [left + width * share, top + height / 2]));
    const targets = points.map(([x, y]) => document.elementFromPoint(x, y));
    return !targets.some((target) => target && places.some((place) => place.contains(target)));
}).map((control) => `${location.pathname} ${control.tagName} ${control.ariaLabel ?? control.innerText}`)"""
"""The visible controls that a finger cannot touch, because they are outside of the window or covered."""


def test_every_screen_fits_a_phone(pixmill: ApiClient, stack: Stack, name: str) -> None:
    long_name = f"{name}-{'x' * 80}"
    screens = text_of_each_screen(pixmill, long_name)
    found: list[str] = []

    with skip_where_missing(), open_browser(360, 740) as browser:
        page = Page(browser, stack.url)
        for address, text in screens.items():
            page.open(address)
            page.says(text)
            found += browser.execute_script(WIDER)
            found += browser.execute_script(UNREACHABLE)

    assert found == []


def test_the_page_speaks_russian(pixmill: ApiClient, page: Page, name: str) -> None:
    file_ids = [pixmill.upload(f"{name}-{number}.png", photo())["id"] for number in (1, 2)]
    algorithms = pixmill.http.get(f"{TASKS}/algorithms", headers={"Accept-Language": "ru"}).json()
    [extend] = [algorithm for algorithm in algorithms if algorithm["name"] == "extend"]
    fields = extend["params"]["properties"]
    page.open("/files")

    page.button("Русский").click()
    page.says("Файлы")
    page.open(address_of_steps([{"algorithm": "extend", "params": {"mode": "copy"}}], *file_ids))
    page.says(extend["summary"])
    shown = "return [...document.querySelectorAll('li .label, li option')].map(({textContent}) => textContent)"
    named = {fields[field]["title"] for field in ("width", "aspect_ratio", "gravity", "mode", "background")}
    assert {*named, *fields["mode"]["x-pixmill"]["labels"].values()} <= {*page.browser.execute_script(shown)}
    page.first("li .head").click()
    page.says(f"{extend['title']}\n{fields['mode']['x-pixmill']['labels']['copy']}")
    first, second = open_gallery(page, name, 2)
    first.find_element(By.CSS_SELECTOR, "[data-check]").click()
    page.says("Выбран 1 файл")
    second.click()
    page.says("Выбрано 2 файла")
    page.button("English").click()

    page.says("2 files selected")


@pytest.mark.parametrize("place", [FILES, pytest.param(TASKS, marks=pytest.mark.thorough)])
def test_the_api_page_shows_every_operation(page: Page, pixmill: ApiClient, place: str) -> None:
    document = pixmill.http.get(f"{place}/openapi.json").json()
    described = [*document["paths"].values(), *document.get("webhooks", {}).values()]
    operations = sum(len(methods) for methods in described)
    page.errors()
    page.open(f"{place}/docs")
    wait_until(lambda: page.all(".opblock"), "the operations are shown")

    assert len(page.all(".opblock")) == operations > 0
    assert page.errors() == []
