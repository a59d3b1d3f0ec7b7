"""Fixtures for tests of the web page."""

import secrets
from collections.abc import Iterator

import pytest

from tests.support.browser import Page, open_browser
from tests.support.processes import skip_where_missing
from tests.support.stacks import Stack


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[Page]:
    with skip_where_missing(), open_browser() as browser:
        yield Page(browser, stack.url)


@pytest.fixture
def name() -> str:
    """Return a name that no other file has."""
    return f"picture-{secrets.token_hex(4)}"
