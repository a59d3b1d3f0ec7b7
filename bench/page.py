"""``python -m bench.page``: the time in which the page shows the first and the last of 100,000 photographs.

Each sample is a new window with an empty cache. Nothing of ours is compared: the limits are what a user takes for
immediate.
"""

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import sqlalchemy
from playwright.sync_api import Browser

from bench.photographs import photographs
from tests.support.browser import Page, open_page, start_chromium
from tests.support.client import Served
from tests.support.stacks import FullStack

JUMP_MS = 300
FIRST_SCREEN_BYTES = 400_000
TIMES = 7

COPIES = """
INSERT INTO files (owner, name, extension, comment, size, sha256, media_type, width, height, search_name, created_at,
    updated_at)
SELECT owner, 'IMG_' || n, extension, '', size, sha256, media_type, width, height, lower('IMG_' || n || extension),
    created_at + n, updated_at
FROM files, generate_series(1, :count) AS n
"""

RECORD = """(count) => {
    const last = `[role=option][data-index="${count - 1}"]`;
    addEventListener('keydown', ({timeStamp}) => {
        window.jump = {};
        const look = () => {
            const passed = performance.now() - timeStamp;
            if (document.querySelector(`${last} .name`)) window.jump.named ??= passed;
            if (document.querySelector(`${last} img`)?.naturalWidth > 0) window.jump.shown ??= passed;
            if (!window.jump.named || !window.jump.shown) requestAnimationFrame(look);
        };
        look();
    }, {capture: true});
}"""
"""Lets the page measure from a key until the last file has its name, and its picture."""


def fill(url: str, count: int) -> None:
    """Copy the only file until there are ``count`` files."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text(COPIES), {"count": count - 1})
        connection.execute(sqlalchemy.text("UPDATE blobs SET file_count = :count"), {"count": count})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("VACUUM ANALYZE files"))
    engine.dispose()


def first_screen(page: Page) -> tuple[float, int]:
    """Open the gallery; return the milliseconds until all pictures in the window are shown, and the bytes received."""
    page.open("/files")
    pictures = "[...document.querySelectorAll('[role=option] img')]"
    in_view = f"{pictures}.filter((picture) => picture.getBoundingClientRect().top < innerHeight)"
    page.tab.wait_for_function(
        f"() => {in_view}.length >= 12 && {in_view}.every(({{naturalWidth}}) => naturalWidth > 0)"
    )
    received = page.tab.evaluate(
        "performance.getEntries().reduce((sum, {transferSize}) => sum + (transferSize ?? 0), 0)"
    )
    return float(page.tab.evaluate("performance.now()")), int(received)


def jump(page: Page, count: int) -> tuple[float, float]:
    """Go to the end; return the milliseconds until the last file has its name, and its picture."""
    page.tab.evaluate(RECORD, count)
    page.first("[role=listbox]").press("End")
    page.tab.wait_for_function("() => window.jump?.named && window.jump?.shown")
    measured = page.tab.evaluate("[window.jump.named, window.jump.shown]")
    return float(measured[0]), float(measured[1])


def measured(chromium: Browser, url: str, count: int) -> None:
    screens, jumps = [], []
    for _ in range(TIMES):
        with open_page(chromium, url) as page:
            screens.append(first_screen(page))
            jumps.append(jump(page, count))
    times, received = zip(*screens, strict=True)
    names, pictures = zip(*jumps, strict=True)
    print(f"first screen with its pictures: {middle(times)} ms; {max(received) / 1000:.0f} kB", end=" ")
    print(f"(wanted at most {FIRST_SCREEN_BYTES / 1000:.0f})")
    print(f"jump to the end: names after {middle(names)} ms, pictures after {middle(pictures)} ms (wanted {JUMP_MS})")


def middle(samples: Sequence[float]) -> str:
    return f"{statistics.median(samples):.0f} (at most {max(samples):.0f})"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="files in the gallery (default: 100,000)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        folder.chmod(0o755)
        stack = FullStack(folder)
        try:
            with Served(stack.url) as pixmill, start_chromium() as chromium:
                [photograph] = photographs(folder, 640, 480, 1)
                pixmill.files.upload(photograph.read_bytes(), name=photograph.name)
                fill(stack.environment["FILE_STORAGE_DATABASE__URL"], chosen.count)
                measured(chromium, stack.url, chosen.count)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
