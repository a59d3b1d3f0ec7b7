"""PNG for a waiting client: the same pixels, without a search for the best filter."""

import struct
import zlib
from pathlib import Path

import numpy
import pytest
from image_processor.imaging.output import Output
from image_processor.render.config import RenderSettings
from image_processor.render.plans.plan import DigestSource, Encoding, RenderPlan
from image_processor.render.processes.job import Job, LocalFile, Made
from image_processor.render.processes.process import Renderer

from tests.support.images import photo, pixels

SUB = 1


def rendered(folder: Path, content: bytes, output: Output) -> bytes:
    source, result = folder / "source", folder / "result"
    source.write_bytes(content)
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    plan = RenderPlan(DigestSource("0" * 64), (), Encoding(output))
    job = Job(plan, LocalFile(str(source), "0" * 64), (), "source", str(result))
    assert isinstance(Renderer(RenderSettings.model_validate(sections)).answer(job), Made)
    return result.read_bytes()


def filters_of(png: bytes) -> set[int]:
    """Return the filters of a PNG's lines; its pixels are 8-bit RGB."""
    width = struct.unpack(">I", png[16:20])[0]
    packed, place = b"", 8
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        packed += png[place + 8 : place + 8 + length] if name == b"IDAT" else b""
        place += length + 12
    return set(zlib.decompress(packed)[:: 1 + 3 * width])


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


@pytest.mark.parametrize("output", [Output(), Output(format="png")])
def test_a_rendered_png_has_one_filter_and_every_pixel(tmp_path: Path, output: Output) -> None:
    source = photo(120, 80, format="PNG")

    result = rendered(tmp_path, source, output)

    assert filters_of(result) == {SUB}
    assert numpy.array_equal(pixels(result), pixels(source))


def test_a_url_that_names_an_effort_has_the_best_filters(tmp_path: Path) -> None:
    result = rendered(tmp_path, photo(120, 80, format="PNG"), Output(format="png", effort=6))

    assert filters_of(result) != {SUB}
