"""The start page and the pages of the APIs in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.client import FILES, TASKS
from tests.support.processes import find_program, skip_where_missing
from tests.support.stacks import Stack
from tests.support.waiting import STATE_SECONDS


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = ChromeOptions()
    # Without these options Chromium connects to Google's servers.
    for option in ("headless", "no-sandbox", "disable-gpu", "disable-quic", "disable-background-networking"):
        options.add_argument(f"--{option}")
    options.add_argument("--window-size=1000,800")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with skip_where_missing():
        options.binary_location = find_program("chromium")
        service = Service(find_program("chromedriver"))
    with Chrome(options=options, service=service) as chrome:
        yield chrome


def errors_in(browser: Chrome) -> list[str]:
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium has not typed it
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def test_the_page_shows_the_state_of_both_services(stack: Stack, browser: Chrome, tmp_path: Path) -> None:
    browser.get(stack.url)
    states = browser.find_elements(By.CSS_SELECTOR, "[data-service]")
    WebDriverWait(browser, STATE_SECONDS).until(lambda _: all(state.text.startswith("ok") for state in states))
    browser.save_screenshot(str(tmp_path / "page.png"))

    assert browser.title == "Pixmill"
    assert len(states) == 2
    assert errors_in(browser) == []


@pytest.mark.parametrize(("place", "operations"), [(FILES, 18), (TASKS, 11)])
def test_the_api_page_shows_every_operation(stack: Stack, browser: Chrome, place: str, operations: int) -> None:
    browser.get(f"{stack.url}{place}/docs")
    WebDriverWait(browser, STATE_SECONDS).until(lambda page: page.find_elements(By.CSS_SELECTOR, ".opblock"))

    assert len(browser.find_elements(By.CSS_SELECTOR, ".opblock")) == operations
    assert errors_in(browser) == []
