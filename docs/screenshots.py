"""``python -m docs.screenshots``: take the pictures of the page, with photographs, in ``docs/images``."""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path

from PIL import Image
from skimage import data

from tests.support.browser import Page, open_page, start_chromium
from tests.support.client import Served
from tests.support.screens import files_shown
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import wait_until

IMAGES = Path(__file__).parent / "images"
PHOTOS = [
    "moon.png",
    "camera.png",
    "coins.png",
    "gravel.png",
    "retina.jpg",
    "color.png",
    "ihc.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "motorcycle_left.png",
    "coffee.png",
    "chelsea.png",
    "rocket.jpg",
    "astronaut.png",
]
STEPS = [
    {"algorithm": "duotone", "params": {"shadows": "#1d3557", "highlights": "#ffb703"}},
    {"algorithm": "watermark", "params": {"mark": {"text": "© Pixmill", "bold": True}, "scale": 40, "opacity": 80}},
]
WORK = {"steps": STEPS, "output": {"format": "webp", "quality": 80}}
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
    with Served(url) as pixmill:
        ids = [pixmill.files.upload((Path(data.__file__).parent / name).read_bytes(), name=name).id for name in PHOTOS]
    chosen = ",".join(str(file_id) for file_id in ids[-4:])
    with start_chromium() as chromium:
        with open_page(chromium, url, *SIZE) as page:
            _process(page, chosen)
            _save(page, "page-process.webp")
            page.open("/files")
            _await_pictures(page)
            for cell in files_shown(page).all()[:3]:
                cell.locator("[data-check]").click()
            _save(page, "page-files.webp")
        with open_page(chromium, url, *SIZE, dark=True) as page:
            page.open(f"/files/{ids[-1]}?tab=analysis")
            page.says("Dominant colors")
            _await_pictures(page)
            _save(page, "page-file-dark.webp")


def _process(page: Page, files: str) -> None:
    steps = base64.urlsafe_b64encode(json.dumps(WORK).encode()).decode().rstrip("=")
    page.open(f"/process?files={files}#s={steps}")
    # Without a preview the picture shows the original.
    preview = page.tab.locator(".compare input")
    wait_until(lambda: preview.count() or "no live preview" in page.text(), "the preview is there")
    _await_pictures(page)


def _await_pictures(page: Page) -> None:
    complete = "[...document.images].length > 0 && [...document.images].every((image) => image.complete)"
    wait_until(lambda: page.tab.evaluate(complete), "all pictures are loaded")


def _save(page: Page, name: str) -> None:
    # The page fades pictures in; without animations they are there.
    Image.open(io.BytesIO(page.tab.screenshot(animations="disabled"))).save(IMAGES / name, quality=88)


if __name__ == "__main__":
    sys.exit(main())
