"""Fixtures for tests of the web page."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.support.browser import Page, open_page
from tests.support.stacks import Stack


@pytest.fixture(scope="module")
def page(chromium: Browser, stack: Stack) -> Iterator[Page]:
    with open_page(chromium, stack.url) as page:
        yield page


@pytest.fixture
def name() -> str:
    """Return a name that no other file has."""
    return f"picture-{secrets.token_hex(4)}"
