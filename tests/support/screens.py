"""The screens of the page, as tests open them."""

import base64
import json
from collections.abc import Mapping, Sequence

from playwright.sync_api import Locator, expect

from tests.support.browser import Page


def files_shown(page: Page) -> Locator:
    """Return the gallery's files whose names are already loaded."""
    return page.tab.locator("[role=option]:has(.name)")


def open_gallery(page: Page, name: str, count: int) -> list[Locator]:
    """Open the gallery filtered by a name; wait until it shows ``count`` files."""
    page.open(f"/files?q={name}&sort=name")
    expect(files_shown(page)).to_have_count(count)
    return files_shown(page).all()


def steps_shown(page: Page) -> list[str]:
    """Return the titles of the steps."""
    return page.tab.locator("aside ol strong").all_inner_texts()


def uploads_say(page: Page, text: str) -> None:
    """Wait for the title of the uploads; screen readers also hear "0 of 2 files uploaded"."""
    expect(page.tab.locator("section.panel header strong")).to_have_text(text, use_inner_text=True)


def address_of_steps(steps: Sequence[Mapping[str, object]], *file_ids: object) -> str:
    """Return the address of the screen for these steps and files."""
    text = base64.urlsafe_b64encode(json.dumps({"steps": steps, "output": {}}).encode()).decode().rstrip("=")
    return f"/process?files={','.join(map(str, file_ids))}#s={text}"
