"""The web page in a real browser: where the focus goes, and what screen readers and users of a keyboard get."""

import re
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pixmill.params import Sepia
from playwright.sync_api import expect

from tests.support.browser import Page, await_held, enter, holding, is_focused, network, press, release
from tests.support.client import Served
from tests.support.images import photo
from tests.support.screens import address_of_steps, files_shown, open_gallery
from tests.support.waiting import wait_until

pytestmark = pytest.mark.thorough

FOCUSED = "(element) => (element.closest('li') ?? element).innerText || element.ariaLabel || element.tagName"


def focused(page: Page) -> str:
    """Return the text of the row or the element that has the focus."""
    return str(page.tab.locator(":focus").evaluate(FOCUSED))


def has_focus(page: Page, selector: str) -> bool:
    return bool(page.tab.evaluate("(selector) => document.activeElement.matches(selector)", selector))


def trashed(pixmill: Served, name: str) -> None:
    ids = [pixmill.files.upload(b"text", name=f"{name}-{number}.txt").id for number in (1, 2, 3)]
    pixmill.files.delete(*ids)


def test_the_focus_goes_to_the_row_that_takes_the_place_of_another(pixmill: Served, page: Page, name: str) -> None:
    trashed(pixmill, name)
    page.open("/trash")
    page.says(f"{name}-1.txt")
    names = re.findall(rf"{name}-\d", page.text())
    removed, following = next(pairwise(names))

    page.button(f"Restore: {removed}.txt").press("Enter")

    wait_until(lambda: removed not in page.text(), "the row is gone")
    wait_until(lambda: focused(page).startswith(following), "the next row has the focus")


def test_the_focus_goes_to_the_same_control_of_the_next_row(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.presets.save(f"{name}-{number}", Sepia())
    page.open("/pipelines")

    page.button(f"Delete: {name}-1").press("Enter")
    expect(page.buttons(f"Delete: {name}-1", "main")).to_have_count(0)

    assert is_focused(page.button(f"Delete: {name}-2"))


def test_the_focus_goes_from_a_message_to_the_same_control_of_another(page: Page) -> None:
    page.open("/system")
    page.says("Works")
    for _ in range(2):
        page.button("Copy this as a command").press("Enter")
        page.button("Copy as curl").press("Enter")
    expect(page.tab.locator(".toast")).to_have_count(2)
    # A message about a deletion begins with a button.
    page.tab.evaluate("document.querySelectorAll('.toast')[1].prepend(document.createElement('button'))")

    page.button("Close", ".toasts").press("Enter")
    expect(page.tab.locator(".toast")).to_have_count(1)

    assert is_focused(page.button("Close", ".toasts"))


def test_the_focus_stays_with_a_list_whose_last_entry_is_removed(page: Page) -> None:
    points = [{"input": number, "output": number} for number in (0, 255)]
    page.open(address_of_steps([{"algorithm": "curves", "params": {"all": points}}]))

    page.button("Remove 2", "aside").press("Enter")
    expect(page.buttons("Remove 2", "aside")).to_have_count(0)

    assert is_focused(page.button("Add", "aside"))


def test_a_row_that_was_removed_while_the_user_was_elsewhere_is_forgotten(
    pixmill: Served, page: Page, name: str
) -> None:
    trashed(pixmill, name)
    page.open("/trash")
    page.says(f"{name}-1.txt")
    names = re.findall(rf"{name}-\d", page.text())

    with page.tab.add_init_script(holding("path.endsWith('/restore')")):
        page.open("/trash")
        page.button(f"Restore: {names[0]}.txt").press("Enter")
        await_held(page, "the answer to the restoration is held")
        page.first("main h1").click()
        release(page)
        expect(page.tab.locator("main")).not_to_contain_text(names[0])
    # An Enter in a field of the screen gives up the focus too.
    page.tab.evaluate("document.activeElement.blur()")
    page.tab.evaluate("document.querySelector('main li').append('A later change')")

    assert has_focus(page, "body")


def test_the_keys_of_the_gallery_work_after_a_deletion_by_mouse(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 2)
    press(page.first("[role=listbox]"), "Home", "Space")

    page.button("Delete").click()
    expect(files_shown(page)).to_have_count(1)
    expect(page.tab.get_by_role("listbox")).to_be_focused()


@pytest.mark.parametrize("path", ["/shared", "/runs", "/pipelines"])
def test_the_focus_stays_on_the_screen_whose_row_is_removed(pixmill: Served, page: Page, name: str, path: str) -> None:
    file_id = pixmill.files.upload(b"text", name=f"{name}.txt").id
    pixmill.links.create([file_id], note=name)
    pixmill.presets.save(name, Sepia())
    pixmill.run([file_id], preset=name)
    page.open(path)

    button = {"/shared": "Revoke", "/runs": "Forget", "/pipelines": "Delete"}[path]
    page.button(f"{button}: {name}").press("Enter")
    if path == "/shared":
        page.button("Revoke", "dialog").press("Enter")

    # The message about the removal may name it.
    expect(page.tab.locator("main")).not_to_contain_text(name)
    wait_until(lambda: has_focus(page, "#content, #content *"), "the screen has the focus")


def test_the_gallery_has_the_focus_after_its_bar_and_its_messages_are_gone(
    pixmill: Served, page: Page, name: str
) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 2)
    gallery = page.first("[role=listbox]")

    press(gallery, "Home", "Space")
    page.button("Clear the selection").press("Enter")
    expect(page.tab.get_by_role("listbox")).to_be_focused()
    press(gallery, "Space")
    page.button("Move to a folder").press("Enter")
    enter(page.field("Folder", "dialog"), name)
    page.says("1 file is now in")
    assert "Copied" not in page.text()
    expect(page.tab.get_by_role("listbox")).to_be_focused()
    page.button("Close", ".toasts").press("Enter")
    expect(page.tab.get_by_role("listbox")).to_be_focused()


@pytest.mark.parametrize("over_https", [True, False])
def test_a_menu_gives_the_focus_back_to_its_button(page: Page, over_https: bool) -> None:
    # Over plain HTTP there is no clipboard, except on this machine.
    plain = "" if over_https else "Object.defineProperty(navigator, 'clipboard', {value: undefined});"
    with page.tab.add_init_script(plain):
        page.open("/system")
        page.says("Works")
        menu = page.button("Copy this as a command")

        menu.press("Enter")
        page.button("Copy as curl").press("Enter")
        page.first(".toast")

    assert is_focused(menu)


def test_a_new_link_has_the_focus(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")

    page.button("Link").press("Enter")
    page.button("Create a link", "dialog").press("Enter")
    page.first("dialog input[readonly]")

    assert has_focus(page, "dialog input[readonly]")


def test_the_files_of_a_link_have_the_focus_after_its_password(pixmill: Served, page: Page, name: str) -> None:
    link = pixmill.links.create([pixmill.files.upload(photo(), name=f"{name}.png")], password="right")
    page.open(urlsplit(link.url).path)

    enter(page.field("Password"), "right")
    page.says("Download all")

    assert has_focus(page, "#content")


def test_a_copied_command_is_not_executed(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    page.open(f"/files/{file_id}")
    page.button("Link").click()

    page.button("Copy this as a command", "dialog").click()
    page.button("Copy as curl", "dialog").click()
    page.first("dialog .toast")

    assert page.button("Create a link", "dialog").is_visible()
    assert not [link for link in pixmill.links.list() if link.file_id == file_id]


def test_text_that_is_selected_to_the_outside_closes_no_dialog(pixmill: Served, page: Page, name: str) -> None:
    for number in (1, 2):
        pixmill.files.upload(photo(), name=f"{name}-{number}.png")
    open_gallery(page, name, 2)
    press(page.first("[role=listbox]"), "Control+a")
    page.button("Link").click()
    note = page.field("Note", "dialog")
    note.fill("For you")

    note.hover()
    page.tab.mouse.down()
    page.tab.mouse.move(5, 400)
    page.tab.mouse.up()
    assert page.field("Note", "dialog").input_value() == "For you"
    page.tab.mouse.click(5, 400)

    expect(page.tab.locator("dialog[open]")).to_have_count(0)


PASTE = """(element) => {
    const data = new DataTransfer();
    data.items.add(new File(['text'], 'pasted.txt'));
    element.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}));
}"""


def test_what_is_pasted_while_a_dialog_is_open_is_not_uploaded(page: Page, name: str) -> None:
    page.open(f"/files?q={name}")
    page.says("Nothing matches")

    page.button("Keyboard shortcuts").click()
    page.first("dialog button").evaluate(PASTE)
    assert page.tab.locator("section.panel").count() == 0
    page.first("main").evaluate(PASTE)

    page.first("section.panel")


LUMINANCES = """(element) => {
    const luminance = (color) => {
        const channel = (value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        const [red, green, blue] = color.match(/[\\d.]+/g).map((value) => channel(value / 255));
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
    };
    const ground = getComputedStyle(element.closest('.toast')).backgroundColor;
    return [getComputedStyle(element).outlineColor, ground].map(luminance);
}"""
"""The relative luminance (WCAG 2.2) of the outline of a message's button, and of its background."""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_focus_is_visible_on_a_message(page: Page, theme: str) -> None:
    with page.tab.add_init_script(f"localStorage.setItem('pixmill.theme', '\"{theme}\"')"):
        page.open("/system")
        page.button("Copy this as a command").press("Enter")
        page.button("Copy as curl").press("Enter")
        close = page.button("Close", ".toasts")
        close.press("Shift")
        darker, lighter = sorted(close.evaluate(LUMINANCES))
    page.tab.evaluate("localStorage.removeItem('pixmill.theme')")

    # The least contrast of WCAG 2.2, 1.4.11.
    assert (lighter + 0.05) / (darker + 0.05) >= 3


def test_nothing_moves_on_and_on_for_users_who_want_less_motion(pixmill: Served, page: Page, name: str) -> None:
    file_id = pixmill.files.upload(photo(), name=f"{name}.png").id
    with page.tab.add_init_script(holding("path.endsWith('/preview')")):
        page.open(address_of_steps([{"algorithm": "sepia", "params": {}}], file_id))
        await_held(page, "the preview is held")
        page.says("Making the preview")
        endless = "document.getAnimations().filter(({effect}) => effect.getTiming().iterations === Infinity)"
        found = page.tab.evaluate(f"{endless}.map(({{animationName}}) => animationName)")

    assert found == []


def test_screen_readers_hear_what_was_found_but_not_each_new_file(pixmill: Served, page: Page, name: str) -> None:
    announced = "[...document.querySelectorAll('[role=status]')].map(({textContent}) => textContent.trim())"
    pixmill.files.upload(photo(), name=f"{name}-1.png", folder=name)
    page.open(f"/files?folder={name}")
    expect(files_shown(page)).to_have_count(1)
    found = page.tab.evaluate(announced)

    pixmill.files.upload(photo(), name=f"{name}-2.png", folder=name)
    expect(files_shown(page)).to_have_count(2)

    assert "1 file" in found
    assert page.tab.evaluate(announced) == found
    assert "2 files" in page.text()


def test_a_number_is_replaced_by_keyboard(page: Page) -> None:
    page.open(address_of_steps([{"algorithm": "blur", "params": {"radius": 5}}]))
    radius = page.first("aside input[type=number]")

    # The default is 2.
    press(radius, "Backspace", "7")

    assert radius.input_value() == "7"


def test_the_list_of_failed_uploads_can_be_unfolded(pixmill: Served, page: Page, name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.png"
    path.write_bytes(photo())
    page.open(f"/files?q={name}")

    with network(page, offline=True):
        page.choose_files(path)
        page.button("Make smaller", "section.panel").click()
        path.unlink()
    page.says("1 file failed")
    page.button("Make larger", "section.panel").click()

    page.says("The browser can no longer read this file")
    page.button("Close", "section.panel").click()
