"""The web page in a real browser: languages, fingers and mice, copied commands, plain HTTP, and its policy."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, CDPSession, Locator, expect

from tests.support.browser import PLAIN_HOST, Page, append, box_of, enter, open_page, press
from tests.support.client import FILES, TASKS, Served
from tests.support.environment import SCRIPTS
from tests.support.images import photo, pixels
from tests.support.runs import names_stored
from tests.support.screens import address_of_steps, files_shown, open_gallery, uploads_say
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough

RECORD_COPIES = "delete window.copied; navigator.clipboard.writeText = async (text) => { window.copied = text; }"


@pytest.mark.parametrize(
    ("language", "files", "error"),
    [("ru", "Файлы", "Файла 999999999 нет"), ("en", "Files", "There is no file"), ("fr", "Files", "There is no")],
)
def test_the_page_begins_in_the_language_of_the_browser(
    chromium: Browser, stack: Stack, language: str, files: str, error: str
) -> None:
    with open_page(chromium, stack.url, language=language) as page:
        page.open("/system")
        page.button(files, "nav")

        # What the server says is in the same language.
        ask = f"fetch('{FILES}/999999999').then((answer) => answer.json()).then(({{detail}}) => detail)"
        assert page.tab.evaluate("document.documentElement.lang") == ("ru" if language == "ru" else "en")
        assert error in page.tab.evaluate(ask)


def finger_of(page: Page) -> CDPSession:
    """Return what moves a finger: Playwright itself only taps."""
    return page.tab.context.new_cdp_session(page.tab)


def touch(finger: CDPSession, kind: str, *points: tuple[float, float]) -> None:
    places = [{"x": x, "y": y} for x, y in points]
    finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})


def center_of(element: Locator) -> tuple[float, float]:
    box = box_of(element)
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_long_press_selects_a_file_and_taps_select_others(
    pixmill: Served, chromium: Browser, stack: Stack, name: str
) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    with open_page(chromium, stack.url, 390, 844) as page:
        finger = finger_of(page)
        first, second = open_gallery(page, name, 2)

        touch(finger, "touchStart", center_of(first))
        page.says("1 file selected")
        touch(finger, "touchEnd")
        assert page.address().endswith("sort=name"), "the end of the press opens nothing"
        second.tap()

        page.says("2 files selected")


def test_a_finger_that_moves_scrolls_and_selects_nothing(
    pixmill: Served, chromium: Browser, stack: Stack, name: str
) -> None:
    pixmill.files.upload(photo(), name=f"{name}.png")
    with open_page(chromium, stack.url, 390, 844) as page:
        finger = finger_of(page)
        page.tab.clock.install()
        [file] = open_gallery(page, name, 1)
        x, y = center_of(file)

        touch(finger, "touchStart", (x, y))
        touch(finger, "touchMove", (x, y - 60))
        # Longer than a long press.
        page.tab.clock.run_for(900)
        touch(finger, "touchEnd")

        assert "selected" not in page.text()
        assert files_shown(page).count() == 1


def fields_of(page: Page, *labels: str) -> list[float]:
    return [float(page.field(label).input_value() or "nan") for label in labels]


def test_the_corner_of_a_part_is_dragged_by_mouse(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(600, 400), name=f"{name}.png").id
    params = {"left": 20, "top": 20, "width": 50, "height": 50, "unit": "percent"}
    page.open(address_of_steps([{"algorithm": "crop", "params": params}], file_id))
    page.button("The part").click()
    corner = page.button("Lower right corner: 70%, 70%")
    sheet = box_of(page.first(".sheet"))
    x, y = center_of(corner)

    corner.hover()
    page.tab.mouse.down()
    page.tab.mouse.move(x + sheet["width"] * 0.1, y + sheet["height"] * 0.2)
    page.tab.mouse.up()
    wait_until(lambda: fields_of(page, "Width")[0] > 50, "the part is larger")

    left, top, width, height = fields_of(page, "Left", "Top", "Width", "Height")
    assert (left, top) == (20, 20)
    assert (width, height) == pytest.approx((60, 70), abs=2)


def test_the_slider_shows_more_of_the_original(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}], file_id))
    page.first(".after[src^='blob:']")
    slider = page.field("Compare before and after")
    clip = "document.querySelector('.compare .before').style.clipPath"
    middle = page.tab.evaluate(clip)

    slider.press("Home")
    none = page.tab.evaluate(clip)
    slider.press("End")
    whole = page.tab.evaluate(clip)

    assert (middle, none, whole) == ("inset(0px 50% 0px 0px)", "inset(0px 100% 0px 0px)", "inset(0px 0% 0px 0px)")


@pytest.mark.parametrize(("algorithm", "likeness"), [("invert", "SSIM"), ("flip", "")])
def test_the_likeness_is_shown_where_pixels_stay(
    pixmill: Served, page: Page, name: str, algorithm: str, likeness: str
) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    page.open(address_of_steps([{"algorithm": algorithm, "params": {}}], file_id))
    page.first(".after[src^='blob:']")
    page.says(" ms")

    if likeness:
        page.says(likeness)
    assert ("SSIM" in page.text()) == bool(likeness)


def copied(page: Page, menu: str, item: str) -> str:
    page.run(RECORD_COPIES)
    page.button("Copy this as a command", menu).click()
    page.button(item, menu).click()
    return str(wait_until(lambda: page.tab.evaluate("window.copied"), "the command is copied"))


def run(command: str, folder: Path, python: bool = False) -> None:
    environment = os.environ | {"PATH": f"{SCRIPTS}:{os.environ['PATH']}"}
    words = [sys.executable, "-c", command] if python else ["sh", "-c", command]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("form", ["Python", "pixmill"])
def test_a_copied_run_makes_what_the_button_makes(
    pixmill: Served, page: Page, name: str, tmp_path: Path, form: str
) -> None:
    source = pixmill.files.upload(photo(30, 20), name=f"{name}.png")
    page.tab.goto("about:blank")
    page.open(address_of_steps([{"algorithm": "invert", "params": {}}], source.id))
    page.says("Run on 1 file")

    run(copied(page, "aside header", f"Copy as {form}"), tmp_path, form == "Python")

    [made] = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert (pixels(made.read_bytes()) == 255 - pixels(pixmill.files.read(source.id))).all()


@pytest.mark.parametrize("form", ["curl", "Python", "pixmill"])
@pytest.mark.parametrize(
    "before", [*(pytest.param(before, marks=pytest.mark.thorough) for before in ("@", "-x", "$(touch it)' \"")), "<"]
)
def test_a_copied_upload_stores_the_file_in_the_folder(
    pixmill: Served, page: Page, name: str, tmp_path: Path, before: str, form: str
) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo(30, 20, format="JPEG"))
    folder = f"{before}{name};type=text"
    # What a command would send in place of the folder, if it took the folder for the name of a file.
    (tmp_path / f"{name};type=text").write_text("secret")
    (tmp_path / name).write_text("secret")
    page.open(f"/files?folder={quote(folder)}")
    page.says("Nothing matches")

    run(copied(page, ".toolbar", f"Upload: Copy as {form}"), tmp_path, form == "Python")

    [file] = pixmill.http.get(f"{FILES}/", params={"folder": folder}).json()
    assert pixmill.files.read(file["id"]) == (tmp_path / "photo.jpg").read_bytes()


def test_the_copied_commands_change_a_file_and_a_preset(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png", folder=name).id
    page.open(f"/files/{file_id}")
    enter(page.field("Comment"), "A comment", "Tab")
    page.says("Saved")
    change = shlex.split(copied(page, "header", "Change: Copy as curl"))
    page.tab.goto("about:blank")
    page.open(address_of_steps([{"algorithm": "sepia", "params": {}}]))
    page.button("Presets").click()
    page.field("Name of the preset").fill(name)
    save = copied(page, "aside form", "Save: Copy as curl")

    run(save, tmp_path)

    assert json.loads(change[change.index("-d") + 1]) == {"name": name, "comment": "A comment", "folder": name}
    steps = pixmill.http.get(f"{TASKS}/presets/{name}").json()["params"]["steps"]
    assert [step["algorithm"] for step in steps] == ["sepia"]


def test_the_copied_commands_change_and_revoke_a_link(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id], "note": name}
    token = pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()["token"]
    page.open("/shared")
    page.button(f"Change: {name}").click()
    append(page.field("Note", "dialog"), "-new")
    run(copied(page, "dialog", "Copy as curl"), tmp_path)
    changed = pixmill.http.get(f"{FILES}/shared/{token}").json()["note"]
    page.button("Close", "dialog").click()
    page.button(f"Revoke: {name}").click()

    run(copied(page, "dialog", "Copy as curl"), tmp_path)

    assert changed == f"{name}-new"
    assert pixmill.http.get(f"{FILES}/shared/{token}").status_code == 404


def test_the_page_works_over_plain_http_under_a_name(
    pixmill: Served, chromium: Browser, stack: Stack, name: str, tmp_path: Path
) -> None:
    path = tmp_path / f"{name}.bin"
    # Larger than what is sent in a batch.
    path.write_bytes(os.urandom(5_000_000))
    small = tmp_path / f"{name}-small.png"
    small.write_bytes(photo())
    with open_page(chromium, stack.url.replace("127.0.0.1", PLAIN_HOST)) as page:
        page.open(f"/files?q={name}")
        page.says("Nothing matches")
        missing = "[isSecureContext, 'randomUUID' in crypto, 'subtle' in crypto, 'locks' in navigator]"
        assert page.tab.evaluate(missing) == [False] * 4
        assert page.tab.evaluate("navigator.clipboard === undefined")
        page.errors()

        page.choose_files(path, small)
        page.says("2 files uploaded")
        expect(files_shown(page)).to_have_count(2)
        page.button("Copy this as a command", ".toolbar").click()
        page.button("Copy as curl", ".toolbar").click()
        page.says("Copied")
        # The list of uploads covers the button.
        page.button("Close", "section.panel").click()
        press(page.first("[role=listbox]"), "End", "Space", "p")
        page.button("Add a step").click()
        enter(page.field("Find a step", "dialog"), "flip")
        page.button("Run on 1 file").click()
        page.says("All done")

        assert page.errors() == []
    assert {name, f"{name}-small"} <= {*names_stored(pixmill, name)}


def test_every_screen_keeps_to_the_policy(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(60, 40), name=f"{name}.png").id
    text_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id, text_id], "algorithm": "flip"}
    batch = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    link = {"file_ids": [file_id], "note": name, "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    crop = {"left": 20, "top": 20, "width": 50, "height": 50, "unit": "percent"}
    screens = {
        f"/files?q={name}": name,
        f"/files/{file_id}": "SHA-256",
        f"/files/{file_id}?tab=analysis": "Dominant colors",
        f"/files/{file_id}?tab=history": "Flip",
        "/trash": "Trash",
        "/pipelines": "avatar",
        "/runs": "2 files",
        f"/runs/{batch}": "What went wrong",
        "/tasks": "not an image",
        "/shared": name,
        "/system": "Room left",
        f"/s/{token}": "These files have a password",
        address_of_steps([{"algorithm": "crop", "params": crop}], file_id): "Before and after",
    }
    page.errors()

    for address, text in screens.items():
        page.open(address)
        page.says(text)
    page.button("The part").click()
    page.button("Lower right corner: 70%, 70%")
    page.open(f"/s/{token}")
    enter(page.field("Password"), "right")
    page.says("Download all")

    # The browser also reports the answer that asks for the password.
    assert [error for error in page.errors() if "status of 401" not in error] == []


def test_the_ticked_rows_of_the_trash_leave_the_focus_with_the_button(pixmill: Served, page: Page, name: str) -> None:
    ids = [pixmill.files.upload(b"text", name=f"{name}-{number}.txt").id for number in (1, 2, 3)]
    pixmill.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()
    page.open("/trash")
    page.says(f"{name}-1.txt")
    page.tab.locator("main li").filter(has_text=f"{name}-2").locator("input").press("Space")
    restore = page.button("Restore", ".actions")

    restore.press("Enter")
    page.says("1 file is back")
    wait_until(lambda: f"{name}-2" not in page.text(), "the row is gone")

    expect(restore).to_be_focused()


def test_a_button_has_the_focus_again_after_its_work(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(b"not an image", name=f"{name}.txt").id
    wanted = {"file_ids": [file_id], "algorithm": "flip"}
    batch = pixmill.http.post(f"{TASKS}/", json=wanted).raise_for_status().json()["batch_id"]
    page.open(f"/runs/{batch}")
    page.says("What went wrong")
    # If the task ran again, its cause and the button would disappear meanwhile.
    nothing = """const known = window.fetch;
        window.fetch = (path, options) => path.endsWith('/restart')
            ? Promise.resolve(new Response('{"task_ids": [], "more": false}')) : known(path, options);"""
    page.run(nothing)
    retry = page.button("Retry", ".reason")

    retry.press("Enter")
    page.says("0 tasks run again")

    expect(retry).to_be_focused()


def test_screen_readers_hear_the_quarters_of_many_uploads(page: Page, name: str, tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"{name}-{number}.txt").write_bytes(b"text")
    page.open(f"/files?folder={name}")
    page.says("Nothing matches")
    record = """window.heard = [];
        const spoken = document.querySelector('#app > p[role=status]');
        const changes = {subtree: true, characterData: true, childList: true};
        new MutationObserver(() => heard.push(spoken.textContent)).observe(spoken, changes);"""
    page.run(record)

    page.choose_files(*sorted(tmp_path.glob("*.txt")))
    uploads_say(page, "8 files uploaded")

    heard = page.tab.evaluate("heard")
    assert heard[0].startswith("0 of 8")
    assert heard[-1].startswith("8 of 8")
    assert len(heard) <= 5
