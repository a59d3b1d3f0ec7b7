"""Pixmill's page in a real browser."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

from tests.support.processes import find_program
from tests.support.waiting import wait_until

_CANDIDATES = """
const [selector, name] = arguments;
const plain = (text) => text.replace(/\\s+/g, '').toLowerCase();
return [...document.querySelectorAll(selector)].filter((element) => {
    const labels = [...(element.labels ?? [])].map((label) => label.textContent);
    const texts = [element.textContent, element.ariaLabel, element.title, element.placeholder, ...labels];
    return texts.some((text) => text && plain(text).includes(plain(name)));
});
"""
"""Elements that may have an accessible name: asking the browser about every element takes seconds."""


@contextmanager
def open_browser(
    width: int = 1280, height: int = 800, *, language: str = "en", dark: bool = False, hosts: Sequence[str] = ()
) -> Iterator[Chrome]:
    """Start a browser with an empty profile and a viewport of this size.

    :param hosts: names that lead to this machine; a page under them is not secure over plain HTTP.
    """
    options = ChromeOptions()
    # Without these options Chromium connects to Google's servers.
    for option in ("headless=new", "no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking"):
        options.add_argument(f"--{option}")
    options.add_argument(f"--lang={language}")
    options.add_argument("--hide-scrollbars")
    if hosts:
        rules = ", ".join(f"MAP {host} 127.0.0.1" for host in hosts)
        options.add_argument(f"--host-resolver-rules={rules}")
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = find_program("chromium")
    with Chrome(options=options, service=Service(find_program("chromedriver"))) as chrome:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        chrome.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        prefer_dark(chrome, dark)
        yield chrome


def prefer_dark(chrome: Chrome, dark: bool) -> None:
    """Emulate the system preferences for dark or light pages and reduced motion, so that colors change at once."""
    features = [
        {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
        {"name": "prefers-reduced-motion", "value": "reduce"},
    ]
    chrome.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


class Page:
    """The page as a user operates it: found by visible texts and roles."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self.browser = browser
        self.url = url

    def open(self, path: str) -> None:
        self.browser.get(f"{self.url}{path}")

    def all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def first(self, selector: str) -> WebElement:
        """Wait for the first visible element of a selector."""

        def visible() -> WebElement | None:
            with suppress(StaleElementReferenceException):
                return next((element for element in self.all(selector) if element.is_displayed()), None)
            return None

        return wait_until(visible, selector)

    def button(self, text: str, within: str = "body") -> WebElement:
        """Wait for an enabled button or link whose text or accessible name is ``text``."""
        kinds = ", ".join(f"{within} {kind}" for kind in ("button", "a", "summary"))

        def usable() -> WebElement | None:
            found = self.named(kinds, text)
            return found if found is not None and found.is_enabled() else None

        return wait_until(usable, f"a button that says {text!r}")

    def field(self, label: str, within: str = "body") -> WebElement:
        """Wait for a field by its label."""
        kinds = ", ".join(f"{within} {kind}" for kind in ("input", "textarea", "select"))
        return wait_until(lambda: self.named(kinds, label), f"a field labeled {label!r}")

    def named(self, selector: str, name: str) -> WebElement | None:
        """Return the first visible element of a selector with this accessible name."""
        # The page may replace an element during this check.
        with suppress(StaleElementReferenceException):
            for element in self.browser.execute_script(_CANDIDATES, selector, name):
                if element.accessible_name.strip() == name and element.is_displayed():
                    return cast(WebElement, element)
        return None

    def says(self, text: str) -> None:
        """Wait until the page shows this text."""
        wait_until(lambda: text in self.text(), f"the page says {text!r}")

    def text(self) -> str:
        return str(self.browser.execute_script("return document.body.innerText"))

    def choose_files(self, *paths: Path) -> None:
        """Choose files as in the file dialog of the upload button."""
        wait_until(lambda: self.all("#upload-files"), "the field for files")
        self.all("#upload-files")[0].send_keys("\n".join(map(str, paths)))

    def errors(self) -> list[str]:
        """Return the errors on the browser's console since the last call, such as blocked scripts and styles."""
        entries = self.browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has not typed it
        return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


@contextmanager
def blocked(page: Page, *addresses: str) -> Iterator[None]:
    """Let the browser's requests to these addresses fail."""
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": list(addresses)})
    try:
        yield
    finally:
        page.browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": []})


@contextmanager
def prepared(page: Page, script: str) -> Iterator[None]:
    """Run a script in each page that the browser loads, before the page's own."""
    added = page.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        yield
    finally:
        page.browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def holding(condition: str) -> str:
    """Return the script that holds an answer until ``release()``; ``late`` is true once the page has handled it.

    :param condition: which answers, by the ``path`` and ``options`` of their requests.
    """
    # A constant named fetch would hide the new window.fetch from the page.
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
    wait_until(lambda: page.browser.execute_script("return 'release' in window"), state)


def release(page: Page) -> None:
    """Release the held answer, and wait until the page has handled it."""
    page.browser.execute_script("window.release()")
    wait_until(lambda: page.browser.execute_script("return window.late"), "the held answer has arrived")


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
    recorded = page.browser.execute_script("return window.languages")
    return {language for path, language in recorded.items() if part in path}
