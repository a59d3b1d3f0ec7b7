"""Pictures designed to be expensive, or to reach a decoder that is not allowed, sent over HTTP."""

import struct
import zlib
from pathlib import Path

import pytest
import pyvips

from tests.support.client import FILES, Served, ended_task
from tests.support.environment import MAX_WRITTEN_BYTES
from tests.support.images import photo
from tests.support.stacks import EmbeddedStack


@pytest.fixture
def stack(tuned: EmbeddedStack) -> EmbeddedStack:
    return tuned


def test_a_small_tiff_of_many_float_bands_is_refused_before_it_is_decoded(
    pixmill: Served, stack: EmbeddedStack
) -> None:
    content = bomb(side=9900, bands=12)
    before = used(stack.data)
    source = pixmill.files.upload(content, name="b.tif").id

    turned = {"angle": 90, "output": {"format": "tiff"}}
    task = ended_task(pixmill, pixmill.run([source], "rotate", params=turned).task_ids[0])

    assert task.status == "error"
    assert "12 bands; the limit is 5" in str(task.error)
    assert used(stack.data) - before < len(content) + MAX_WRITTEN_BYTES


def test_a_tiff_of_few_bands_that_would_take_more_than_the_limit_is_refused_with_what_to_do(pixmill: Served) -> None:
    source = pixmill.files.upload(bomb(side=5000, bands=4), name="b.tif").id

    task = ended_task(pixmill, pixmill.run([source], "rotate", params={"angle": 90}).task_ids[0])

    assert task.status == "error"
    assert "381.5 MiB of decoded pixels; the limit is 256.0 MiB. Make it smaller" in str(task.error)


def test_a_task_whose_temporary_file_would_be_too_large_ends_with_a_reason_and_counts_no_crash(
    pixmill: Served, tmp_path: Path
) -> None:
    image = pyvips.Image.black(6000, 4000, bands=3).copy(interpretation="srgb")
    image.tiffsave(str(tmp_path / "large.tif"), compression="deflate", level=1, predictor="none")
    source = pixmill.files.upload((tmp_path / "large.tif").read_bytes(), name="large.tif").id

    turned = {"angle": 90, "output": {"format": "tiff"}}
    task = ended_task(pixmill, pixmill.run([source], "rotate", params=turned).task_ids[0])

    assert task.status == "error"
    assert "max_written_bytes" in str(task.error)
    assert "Gave up" not in str(task.error)


def test_a_tiff_whose_header_has_two_to_the_31_pixels_is_stored_without_a_size(pixmill: Served) -> None:
    entries = [(256, 4, 2**31), (257, 4, 2**31), (258, 3, 8), (262, 3, 1)]
    rows = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    content = b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + bytes(4)

    file = pixmill.files.upload(content, name="huge.tif")

    assert (file.media_type, file.width, file.height) == ("image/tiff", None, None)
    listed = pixmill.http.get(f"{FILES}/{file.id}").json()
    assert listed["width"] is None
    task = ended_task(pixmill, pixmill.run([file], "info").task_ids[0])
    assert task.status == "error"


def test_params_nested_nine_hundred_deep_are_a_wrong_field(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    deep = "[" * 900 + "]" * 900
    body = f'{{"file_ids": [{source}], "algorithm": "resize", "params": {{"width": {deep}}}}}'

    response = pixmill.http.post("/api/image-processing/", content=body, headers={"Content-Type": "application/json"})

    assert response.status_code in (400, 422)


def test_the_start_says_in_one_line_whether_decoding_is_confined(stack: EmbeddedStack) -> None:
    log = stack.worker_log.read_text().splitlines()

    lines = [line for line in log if '"event": "sandbox"' in line]

    # uWSGI restarts a worker process that ended, and each time logs "spawning" or "respawning".
    reports = log + (stack.data / "start.log").read_text().splitlines()
    starts = [line for line in reports if "spawning" in line and "image_processor.worker" in line]
    assert len(lines) == len(starts) > 0
    assert all('"in_force": ' in line for line in lines)


def test_images_and_texts_are_processed_in_the_sandbox(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(format="JPEG"), name="p.jpg").id
    steps: dict[str, dict[str, object]] = {
        "resize": {"width": 20},
        "watermark": {"mark": {"text": "Пиксель"}},
        "blur_faces": {},
        "convert": {"format": "avif"},
        "info": {},
    }

    tasks = [pixmill.run([source], name, params=params).task_ids[0] for name, params in steps.items()]

    assert [ended_task(pixmill, task).error for task in tasks] == [None] * len(steps)


def bomb(side: int, bands: int) -> bytes:
    """Return a TIFF of black floating-point samples whose strips all share the same few compressed bytes."""
    rows, sample_bytes = 10, 4
    strip = zlib.compress(bytes(rows * side * bands * sample_bytes), 1)
    strips = side // rows
    start = 8 + len(strip)
    arrays = {
        258: ("H", [8 * sample_bytes] * bands),
        273: ("I", [8] * strips),
        279: ("I", [len(strip)] * strips),
        338: ("H", [0] * (bands - 1)),
        339: ("H", [3] * bands),
    }
    values = {256: side, 257: side, 259: 8, 262: 1, 277: bands, 278: rows, 284: 1}
    body, entries = b"", []
    for tag in sorted({*arrays, *values}):
        if tag in values:
            entries.append(struct.pack("<HHII", tag, 4, 1, values[tag]))
            continue
        kind, numbers = arrays[tag]
        entries.append(struct.pack("<HHII", tag, 3 if kind == "H" else 4, len(numbers), start + len(body)))
        body += struct.pack(f"<{len(numbers)}{kind}", *numbers)
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<I", start + len(body)) + strip + body + directory


def used(folder: Path) -> int:
    """Return the total bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
