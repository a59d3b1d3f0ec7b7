"""``python -m docs.screenshots``: take the pictures of the page, with photographs, in ``docs/images``."""

import sys
import tempfile
from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from skimage import data

from tests.support.browser import Page, open_browser
from tests.support.client import Pixmill
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import wait_until

IMAGES = Path(__file__).parent / "images"
PHOTOS = (
    "moon.png",
    "camera.png",
    "coins.png",
    "gravel.png",
    "retina.jpg",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
)
PHOTOS += ("ihc.png", "astronaut.png", "color.png", "horse.png", "rocket.jpg", "chelsea.png", "coffee.png")
SIZE = (1280, 800)


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        stack = EmbeddedStack(Path(folder))
        try:
            _take_pictures(stack.url)
        finally:
            stack.stop()
    return 0


def _take_pictures(url: str) -> None:
    with Pixmill(url) as pixmill:
        ids = [pixmill.upload(name, (Path(data.__file__).parent / name).read_bytes())["id"] for name in PHOTOS]
    chosen = ",".join(str(file_id) for file_id in ids[-4:])
    with open_browser(*SIZE) as browser:
        page = Page(browser, url)
        _process(page, chosen)
        _save(page, "page-process.png")
        page.open("/files")
        _await_pictures(page)
        for cell in page.all("[role=option]")[:3]:
            cell.find_element(By.CSS_SELECTOR, "[data-check]").click()
        _save(page, "page-files.png")
    with open_browser(*SIZE, dark=True) as browser:
        page = Page(browser, url)
        page.open(f"/files/{ids[-1]}?tab=analysis")
        page.button("Analyze").click()
        page.says("Dominant colors")
        _await_pictures(page)
        _save(page, "page-file-dark.png")


def _process(page: Page, files: str) -> None:
    page.open(f"/process?files={files}")
    for algorithm in ("duotone", "watermark"):
        page.button("Add a step").click()
        page.field("Find a step", "dialog").send_keys(algorithm + Keys.ENTER)
        wait_until(lambda: not page.all("dialog[open]"), "the dialog is closed")
    # Without a preview the picture shows the original.
    wait_until(lambda: page.all(".compare input") or "no live preview" in page.text(), "the preview is there")
    _await_pictures(page)


def _await_pictures(page: Page) -> None:
    complete = "return [...document.images].length > 0 && [...document.images].every((image) => image.complete)"
    wait_until(lambda: page.browser.execute_script(complete), "all pictures are loaded")


def _save(page: Page, name: str) -> None:
    # The page fades pictures in.
    page.browser.execute_script("document.getAnimations().forEach((animation) => animation.finish())")
    page.browser.save_screenshot(str(IMAGES / name))


if __name__ == "__main__":
    sys.exit(main())
