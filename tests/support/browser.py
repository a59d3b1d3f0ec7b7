"""Pixmill's page in a real browser."""

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import reduce
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, ConsoleMessage, FloatRect, Locator, expect, sync_playwright
from playwright.sync_api import Page as Tab

from tests.support.processes import find_program
from tests.support.waiting import STATE_SECONDS, wait_until

PLAIN_HOST = "photos.example"
"""A name that leads to this machine: a page under it is not secure over plain HTTP."""

# Playwright lists all roles in the type of its argument.
_FIELDS: Sequence[Any] = ("textbox", "searchbox", "combobox", "listbox", "spinbutton", "slider", "checkbox", "radio")


# Without the first two options Chromium connects to Google's servers.
_OPTIONS = ["--disable-background-networking", "--disable-quic", "--disable-gpu", "--lang=en"]
_OPTIONS.append(f"--host-resolver-rules=MAP {PLAIN_HOST} 127.0.0.1")


@contextmanager
def start_chromium() -> Iterator[Browser]:
    """Start a browser without a window.

    Until it ends, an event loop runs in this thread, and ``asyncio.run`` fails.
    """
    program = find_program("chromium")
    expect.set_options(timeout=STATE_SECONDS * 1000)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=program, args=_OPTIONS) as browser:
        yield browser


@contextmanager
def open_page(
    chromium: Browser, url: str, width: int = 1280, height: int = 800, *, language: str = "en", dark: bool = False
) -> Iterator["Page"]:
    """Open a window of this size with an empty profile; a narrow one is a phone's."""
    is_phone = width < 600
    with chromium.new_context(
        viewport={"width": width, "height": height},
        is_mobile=is_phone,
        has_touch=is_phone,
        locale=language,
        color_scheme="dark" if dark else "light",
        # Colors change at once.
        reduced_motion="reduce",
    ) as context:
        context.set_default_timeout(STATE_SECONDS * 1000)
        yield Page(context.new_page(), url)


@contextmanager
def open_page_on_disk(chromium: Browser, url: str, profile: Path) -> Iterator["Page"]:
    """Open a window whose profile is a folder: one in memory writes to its database one transaction after the other."""
    with chromium.browser_type.launch_persistent_context(
        profile, executable_path=find_program("chromium"), args=_OPTIONS, locale="en", reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(STATE_SECONDS * 1000)
        yield Page(context.new_page(), url)


class Page:
    """The page as a user operates it: found by visible texts and roles."""

    def __init__(self, tab: Tab, url: str) -> None:
        self.tab = tab
        self.url = url
        self._errors: list[str] = []
        tab.on("console", self._note_error)
        tab.on("pageerror", lambda error: self._errors.append(str(error)))

    def _note_error(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self._errors.append(message.text)

    def open(self, path: str) -> None:
        self.tab.goto(f"{self.url}{path}")

    def address(self) -> str:
        """Return the address now; Playwright's own note of it is renewed only while it waits."""
        return str(self.tab.evaluate("location.href"))

    def go(self, path: str) -> None:
        """Go to another screen without loading a document, as a link of the page does."""
        go = "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
        self.tab.evaluate(go, path)

    @contextmanager
    def another_window(self) -> Iterator["Page"]:
        """Open another window of the same browser."""
        with self.tab.context.new_page() as tab:
            yield Page(tab, self.url)

    def run(self, script: str) -> None:
        """Run the statements of a script."""
        self.tab.evaluate(f"() => {{ {script} }}")

    def first(self, selector: str) -> Locator:
        """Wait for the first visible element of a selector."""
        return _awaited(self.tab.locator(selector))

    def button(self, text: str, within: str = "body") -> Locator:
        """Wait for an enabled button or link whose accessible name is ``text``; it may be disabled later."""
        found = self.buttons(text, within)
        _awaited(found.and_(self.tab.locator(":not(:disabled)")))
        return found.filter(visible=True).first

    def buttons(self, text: str, within: str = "body") -> Locator:
        """Return the buttons and links whose accessible name is ``text``, however many there are now."""
        place = self.tab.locator(within)
        button = place.get_by_role("button", name=text, exact=True)
        link = place.get_by_role("link", name=text, exact=True)
        # The button of a menu is a summary, for which Playwright knows no role.
        labeled = place.locator("summary").and_(self.tab.get_by_label(text, exact=True))
        plain = place.locator("summary:not([aria-label])").filter(has_text=re.compile(rf"^\s*{re.escape(text)}\s*$"))
        return button.or_(link).or_(labeled).or_(plain)

    def field(self, label: str, within: str = "body") -> Locator:
        """Wait for a field whose accessible name is ``label``."""
        return _awaited(self.fields(label, within))

    def fields(self, label: str, within: str = "body") -> Locator:
        """Return the fields whose accessible name is ``label``, however many there are now."""
        place = self.tab.locator(within)
        return reduce(Locator.or_, (place.get_by_role(role, name=label, exact=True) for role in _FIELDS))

    def says(self, text: str) -> None:
        """Wait until the page shows this text."""
        self.tab.wait_for_function("(text) => document.body.innerText.includes(text)", arg=text)

    def text(self) -> str:
        return self.tab.locator("body").inner_text()

    def choose_files(self, *paths: Path) -> None:
        """Choose files as in the file dialog of the upload button."""
        self.tab.locator("#upload-files").set_input_files(paths)

    def errors(self) -> list[str]:
        """Return the errors on the browser's console since the last call, such as blocked scripts and styles."""
        # An answer of the browser comes after the messages that are older.
        self.tab.evaluate("0")
        found, self._errors = self._errors, []
        return found


def _awaited(found: Locator) -> Locator:
    first = found.filter(visible=True).first
    first.wait_for()
    return first


def enter(field: Locator, text: str, key: str = "Enter") -> None:
    """Let a field contain a text, and press a key in it."""
    field.fill(text)
    field.press(key)


def append(field: Locator, text: str, *keys: str) -> None:
    """Type a text after the one that a field contains, then press keys."""
    field.press("End")
    field.press_sequentially(text)
    for key in keys:
        field.press(key)


def press(place: Locator, *keys: str) -> None:
    """Press keys one after the other, beginning in this element: a key may move the focus."""
    place.focus()
    for key in keys:
        place.page.keyboard.press(key)


def box_of(element: Locator) -> FloatRect:
    """Return the place of a visible element in the window."""
    box = element.bounding_box()
    assert box is not None
    return box


def is_focused(element: Locator) -> bool:
    return bool(element.evaluate("(element) => element === document.activeElement"))


def blocked(page: Page, *addresses: str) -> AbstractContextManager[object]:
    """Let requests of the window fail whose addresses match one of these regular expressions."""
    return page.tab.route(re.compile("|".join(addresses)), lambda route: route.abort())


@contextmanager
def network(page: Page, *, upload: float = -1, answer_after: float = 0, offline: bool = False) -> Iterator[None]:
    """Limit the bytes per second that a window sends, delay the responses that it receives, or cut it off."""
    usual = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    limited = {**usual, "offline": offline, "uploadThroughput": upload, "latency": answer_after * 1000}
    # Playwright itself only cuts off all windows.
    session = page.tab.context.new_cdp_session(page.tab)
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", limited)
    try:
        yield
    finally:
        session.send("Network.emulateNetworkConditions", usual)
        session.detach()


def _drag(page: Page, paths: tuple[Path, ...], *kinds: str) -> None:
    # A script cannot make files that are read from this machine's disk.
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.tab.context.new_cdp_session(page.tab)
    for kind in kinds:
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 600, "y": 400, "data": data})
    session.detach()


def drag(page: Page, *paths: Path) -> None:
    """Drag files and folders over the page."""
    _drag(page, paths, "dragEnter", "dragOver")


def drop(page: Page, *paths: Path) -> None:
    """Drop files and folders on the page."""
    _drag(page, paths, "dragEnter", "dragOver", "drop")


def holding(condition: str) -> str:
    """Return the script that holds an answer until ``release()``; ``late`` is true once the page has handled it.

    :param condition: which answers, by the ``path`` and ``options`` of their requests.
    """
    return f"""const fetched = window.fetch;
        window.fetch = async (path, options) => {{
            const answer = await fetched(path, options);
            if (!({condition})) return answer;
            const text = await answer.text();
            await new Promise((resolve) => {{ window.release = resolve; }});
            // The page handles the answer before the next task of the event loop.
            const json = async () => {{ setTimeout(() => {{ window.late = true; }}); return JSON.parse(text); }};
            return {{ok: true, headers: answer.headers, json}};
        }};"""


def await_held(page: Page, state: str) -> None:
    """Wait until the script of :func:`holding` holds an answer."""
    wait_until(lambda: page.tab.evaluate("'release' in window"), state)


def release(page: Page) -> None:
    """Release the held answer, and wait until the page has handled it."""
    page.tab.evaluate("window.release()")
    wait_until(lambda: page.tab.evaluate("window.late"), "the held answer has arrived")


RECORD_LANGUAGES = """const {fetch} = window, {open, setRequestHeader} = XMLHttpRequest.prototype;
window.languages = {};
window.fetch = (path, options) => {
    window.languages[path] = options?.headers?.['Accept-Language'] ?? null;
    return fetch(path, options);
};
XMLHttpRequest.prototype.open = function (method, path, ...rest) {
    this.path = path;
    window.languages[path] = null;
    return open.call(this, method, path, ...rest);
};
XMLHttpRequest.prototype.setRequestHeader = function (name, value) {
    if (name === 'Accept-Language') window.languages[this.path] = value;
    return setRequestHeader.call(this, name, value);
};"""
"""Lets the page record in which language it wants the sentences of each answer."""


def languages_of(page: Page, part: str) -> set[object]:
    """Return the recorded languages of the requests to addresses with this part."""
    recorded = page.tab.evaluate("window.languages")
    return {language for path, language in recorded.items() if part in path}
