"""The web page in a real browser: where the focus goes, and what screen readers and users of a keyboard get."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from tests.support.browser import Page, await_held, holding, prepared, release
from tests.support.client import FILES, ApiClient
from tests.support.images import photo
from tests.support.screens import address_of_steps, files_shown, open_gallery
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough

FOCUSED = """const {activeElement: element} = document;
return (element.closest('li') ?? element).innerText || element.ariaLabel || element.tagName"""


def focused(page: Page) -> str:
    """Return the text of the row or the element that has the focus."""
    return str(page.browser.execute_script(FOCUSED))


def has_focus(page: Page, selector: str) -> bool:
    return bool(page.browser.execute_script("return document.activeElement.matches(arguments[0])", selector))


def trashed(pixmill: ApiClient, name: str) -> None:
    ids = [pixmill.upload(f"{name}-{number}.txt", b"text")["id"] for number in (1, 2, 3)]
    pixmill.http.post(f"{FILES}/delete", json={"ids": ids}).raise_for_status()


def test_the_focus_goes_to_the_row_that_takes_the_place_of_another(pixmill: ApiClient, page: Page, name: str) -> None:
    trashed(pixmill, name)
    page.open("/trash")
    page.says(f"{name}-1.txt")
    names = re.findall(rf"{name}-\d", page.text())
    removed, following = next(pairwise(names))

    page.button(f"Restore: {removed}.txt").send_keys(Keys.ENTER)

    wait_until(lambda: removed not in page.text(), "the row is gone")
    wait_until(lambda: focused(page).startswith(following), "the next row has the focus")


def test_the_focus_goes_to_the_same_control_of_the_next_row(pixmill: ApiClient, page: Page, name: str) -> None:
    preset = {"params": {"steps": [{"algorithm": "sepia", "params": {}}]}}
    for number in (1, 2):
        pixmill.http.put(f"/api/image-processing/presets/{name}-{number}", json=preset).raise_for_status()
    page.open("/pipelines")

    page.button(f"Delete: {name}-1").send_keys(Keys.ENTER)
    wait_until(lambda: page.named("main button", f"Delete: {name}-1") is None, "the card is gone")

    assert page.browser.switch_to.active_element == page.button(f"Delete: {name}-2")


def test_the_focus_goes_from_a_message_to_the_same_control_of_another(page: Page) -> None:
    page.open("/system")
    page.says("Works")
    for _ in range(2):
        page.button("Copy this as a command").send_keys(Keys.ENTER)
        page.button("Copy as curl").send_keys(Keys.ENTER)
    wait_until(lambda: len(page.all(".toast")) == 2, "two messages are shown")
    # A message about a deletion begins with a button.
    page.browser.execute_script("document.querySelectorAll('.toast')[1].prepend(document.createElement('button'))")

    page.button("Close", ".toasts").send_keys(Keys.ENTER)
    wait_until(lambda: len(page.all(".toast")) == 1, "one message is left")

    assert page.browser.switch_to.active_element == page.button("Close", ".toasts")


def test_the_focus_stays_with_a_list_whose_last_entry_is_removed(page: Page) -> None:
    points = [{"input": number, "output": number} for number in (0, 255)]
    page.open(address_of_steps([{"algorithm": "curves", "params": {"all": points}}]))

    page.button("Remove 2", "aside").send_keys(Keys.ENTER)
    wait_until(lambda: page.named("aside button", "Remove 2") is None, "the entry is removed")

    assert page.browser.switch_to.active_element == page.button("Add", "aside")


def test_a_row_that_was_removed_while_the_user_was_elsewhere_is_forgotten(
    pixmill: ApiClient, page: Page, name: str
) -> None:
    trashed(pixmill, name)
    page.open("/trash")
    page.says(f"{name}-1.txt")
    names = re.findall(rf"{name}-\d", page.text())

    with prepared(page, holding("path.endsWith('/restore')")):
        page.open("/trash")
        page.button(f"Restore: {names[0]}.txt").send_keys(Keys.ENTER)
        await_held(page, "the answer to the restoration is held")
        page.first("main h1").click()
        release(page)
        wait_until(lambda: names[0] not in page.first("main").text, "the row is gone")
    # An Enter in a field of the screen gives up the focus too.
    page.browser.execute_script("document.activeElement.blur()")
    page.browser.execute_script("document.querySelector('main li').append('A later change')")

    assert has_focus(page, "body")


def test_the_keys_of_the_gallery_work_after_a_deletion_by_mouse(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    open_gallery(page, name, 2)
    page.first("[role=listbox]").send_keys(Keys.HOME, " ")

    page.button("Delete").click()
    wait_until(lambda: len(files_shown(page)) == 1, "one file is left in the gallery")
    wait_until(lambda: has_focus(page, "[role=listbox]"), "the gallery has the focus")


@pytest.mark.parametrize("path", ["/shared", "/runs", "/pipelines"])
def test_the_focus_stays_on_the_screen_whose_row_is_removed(
    pixmill: ApiClient, page: Page, name: str, path: str
) -> None:
    file_id = pixmill.upload(f"{name}.txt", b"text")["id"]
    pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id], "note": name}).raise_for_status()
    preset = {"params": {"steps": [{"algorithm": "sepia", "params": {}}]}}
    pixmill.http.put(f"/api/image-processing/presets/{name}", json=preset).raise_for_status()
    wanted = {"file_ids": [file_id], "preset": name}
    pixmill.http.post("/api/image-processing/", json=wanted).raise_for_status()
    page.open(path)

    button = {"/shared": "Revoke", "/runs": "Forget", "/pipelines": "Delete"}[path]
    page.button(f"{button}: {name}").send_keys(Keys.ENTER)
    if path == "/shared":
        page.button("Revoke", "dialog").send_keys(Keys.ENTER)

    # The message about the removal may name it.
    wait_until(lambda: name not in page.first("main").text, "the row is gone")
    wait_until(lambda: has_focus(page, "#content, #content *"), "the screen has the focus")


def test_the_gallery_has_the_focus_after_its_bar_and_its_messages_are_gone(
    pixmill: ApiClient, page: Page, name: str
) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    open_gallery(page, name, 2)
    gallery = page.first("[role=listbox]")

    gallery.send_keys(Keys.HOME, " ")
    page.button("Clear the selection").send_keys(Keys.ENTER)
    wait_until(lambda: has_focus(page, "[role=listbox]"), "the gallery has the focus after the bar is gone")
    gallery.send_keys(" ")
    page.button("Move to a folder").send_keys(Keys.ENTER)
    page.field("Folder", "dialog").send_keys(name + Keys.ENTER)
    page.says("1 file is now in")
    assert "Copied" not in page.text()
    wait_until(lambda: has_focus(page, "[role=listbox]"), "the gallery has the focus after a dialog")
    page.button("Close", ".toasts").send_keys(Keys.ENTER)
    wait_until(lambda: has_focus(page, "[role=listbox]"), "the gallery has the focus after a message")


@pytest.mark.parametrize("over_https", [True, False])
def test_a_menu_gives_the_focus_back_to_its_button(page: Page, over_https: bool) -> None:
    # Over plain HTTP there is no clipboard, except on this machine.
    plain = "" if over_https else "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
    with prepared(page, plain):
        page.open("/system")
        page.says("Works")
        menu = page.button("Copy this as a command")

        menu.send_keys(Keys.ENTER)
        page.button("Copy as curl").send_keys(Keys.ENTER)
        page.first(".toast")

    assert page.browser.switch_to.active_element == menu


def test_a_new_link_has_the_focus(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    page.open(f"/files/{file_id}")

    page.button("Link").send_keys(Keys.ENTER)
    page.button("Create a link", "dialog").send_keys(Keys.ENTER)
    page.first("dialog input[readonly]")

    assert has_focus(page, "dialog input[readonly]")


def test_the_files_of_a_link_have_the_focus_after_its_password(pixmill: ApiClient, page: Page, name: str) -> None:
    link = {"file_ids": [pixmill.upload(f"{name}.png", photo())["id"]], "password": "right"}
    token = pixmill.http.post(f"{FILES}/links", json=link).raise_for_status().json()["token"]
    page.open(f"/s/{token}")

    page.field("Password").send_keys("right" + Keys.ENTER)
    page.says("Download all")

    assert has_focus(page, "#content")


def test_a_copied_command_is_not_executed(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    page.open(f"/files/{file_id}")
    page.button("Link").click()

    page.button("Copy this as a command", "dialog").click()
    page.button("Copy as curl", "dialog").click()
    wait_until(lambda: page.all("dialog .toast"), "the dialog says whether the command was copied")

    assert page.button("Create a link", "dialog").is_displayed()
    links = pixmill.http.get(f"{FILES}/links", params={"limit": 1000}).json()
    assert not [link for link in links if link["file_id"] == file_id]


def test_text_that_is_selected_to_the_outside_closes_no_dialog(pixmill: ApiClient, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.upload(f"{name}-{number}.png", photo())
    open_gallery(page, name, 2)
    page.first("[role=listbox]").send_keys(Keys.CONTROL + "a", Keys.NULL)
    page.button("Link").click()
    note = page.field("Note", "dialog")
    note.send_keys("For you")

    ActionChains(page.browser).click_and_hold(note).move_by_offset(-600, 0).release().perform()
    assert page.field("Note", "dialog").get_attribute("value") == "For you"
    ActionChains(page.browser).move_by_offset(0, 0).click().perform()

    wait_until(lambda: not page.all("dialog[open]"), "a click outside closes the dialog")


PASTE = """const data = new DataTransfer();
data.items.add(new File(['text'], 'pasted.txt'));
const paste = new ClipboardEvent('paste', {clipboardData: data, bubbles: true});
document.querySelector(arguments[0]).dispatchEvent(paste);"""


def test_what_is_pasted_while_a_dialog_is_open_is_not_uploaded(page: Page, name: str) -> None:
    page.open(f"/files?q={name}")
    page.says("Nothing matches")

    page.button("Keyboard shortcuts").click()
    page.browser.execute_script(PASTE, "dialog button")
    assert not page.all("section.panel")
    page.browser.execute_script(PASTE, "main")

    page.first("section.panel")


LUMINANCES = """const [element] = arguments;
const luminance = (color) => {
    const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
    const [red, green, blue] = color.match(/[\\d.]+/g).map((value) => channel(value / 255));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
};
const ground = getComputedStyle(element.closest('.toast')).backgroundColor;
return [getComputedStyle(element).outlineColor, ground].map(luminance);"""
"""The relative luminance (WCAG 2.2) of the outline of a message's button, and of its background."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_is_visible_on_a_message(page: Page, theme: str) -> None:
    with prepared(page, f"localStorage.setItem('pixmill.theme', '\"{theme}\"')"):
        page.open("/system")
        page.button("Copy this as a command").send_keys(Keys.ENTER)
        page.button("Copy as curl").send_keys(Keys.ENTER)
        close = page.button("Close", ".toasts")
        close.send_keys(Keys.SHIFT, Keys.NULL)
        darker, lighter = sorted(page.browser.execute_script(LUMINANCES, close))
    page.browser.execute_script("localStorage.removeItem('pixmill.theme')")

    # The least contrast of WCAG 2.2, 1.4.11.
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_nothing_moves_on_and_on_for_users_who_want_less_motion(pixmill: ApiClient, page: Page, name: str) -> None:
    file_id = pixmill.upload(f"{name}.png", photo())["id"]
    with prepared(page, holding("path.endsWith('/preview')")):
        page.open(address_of_steps([{"algorithm": "sepia", "params": {}}], file_id))
        await_held(page, "the preview is held")
        page.says("Making the preview")
        endless = "return document.getAnimations().filter(({effect}) => effect.getTiming().iterations === Infinity)"
        found = page.browser.execute_script(f"{endless}.map(({{animationName}}) => animationName)")

    assert found == []


def test_screen_readers_hear_what_was_found_but_not_each_new_file(pixmill: ApiClient, page: Page, name: str) -> None:
    announced = "return [...document.querySelectorAll('[role=status]')].map(({textContent}) => textContent.trim())"
    pixmill.upload(f"{name}-1.png", photo(), folder=name)
    page.open(f"/files?folder={name}")
    wait_until(lambda: len(files_shown(page)) == 1, "the file is shown")
    found = page.browser.execute_script(announced)

    pixmill.upload(f"{name}-2.png", photo(), folder=name)
    wait_until(lambda: len(files_shown(page)) == 2, "the new file is shown")

    assert "1 file" in found
    assert page.browser.execute_script(announced) == found
    assert "2 files" in page.text()


def test_a_number_is_replaced_by_keyboard(page: Page) -> None:
    page.open(address_of_steps([{"algorithm": "blur", "params": {"radius": 5}}]))
    radius = page.first("aside input[type=number]")

    # The default is 2.
    radius.send_keys(Keys.BACKSPACE, "7")

    assert radius.get_attribute("value") == "7"


def test_the_list_of_failed_uploads_can_be_unfolded(pixmill: ApiClient, page: Page, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(photo())
    page.open(f"/files?q={name}")
    wait_until(lambda: page.all("#upload-files"), "the field for files")
    page.browser.execute_cdp_cmd("Network.enable", {})
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}

    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**network, "offline": True})
    try:
        page.choose_files(path)
        page.button("Make smaller", "section.panel").click()
        path.unlink()
    finally:
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**network, "offline": False})
    page.says("1 file failed")
    page.button("Make larger", "section.panel").click()

    page.says("The browser can no longer read this file")
    page.button("Close", "section.panel").click()
