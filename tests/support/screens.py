"""The screens of the page, as tests open them."""

import base64
import json
from collections.abc import Mapping, Sequence

from selenium.webdriver.remote.webelement import WebElement

from tests.support.browser import Page
from tests.support.waiting import wait_until


def files_shown(page: Page) -> list[WebElement]:
    """Return the gallery's files whose names are already loaded."""
    return page.all("[role=option]:has(.name)")


def open_gallery(page: Page, name: str, count: int) -> list[WebElement]:
    """Open the gallery filtered by a name; wait until it shows ``count`` files."""
    page.open(f"/files?q={name}&sort=name")
    wait_until(lambda: len(files_shown(page)) == count, f"{count} files are shown")
    return files_shown(page)


def address_of_steps(steps: Sequence[Mapping[str, object]], *file_ids: object) -> str:
    """Return the address of the screen for these steps and files."""
    text = base64.urlsafe_b64encode(json.dumps({"steps": steps, "output": {}}).encode()).decode().rstrip("=")
    return f"/process?files={','.join(map(str, file_ids))}#s={text}"
