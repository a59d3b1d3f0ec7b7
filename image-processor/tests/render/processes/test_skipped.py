"""imgproxy's `skip_processing`: the sources that are sent unchanged.

Cites the documentation of imgproxy (usage/processing.mdx): *Processing can only be skipped when the requested format
is the same as the source format.*
"""

from pathlib import Path

import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.processes.job import Job, LocalFile, Made
from image_processor.render.processes.process import Renderer

from tests.support.images import opened, photo


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def result(folder: Path, options: str, content: bytes, format_name: str = "source") -> bytes:
    source, target = folder / "source", folder / "result"
    source.write_bytes(content)
    url = imgproxy_url.parse(f"/_/{options}/plain/42".encode(), imgproxy_url.Grammar())
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    job = Job(plan_of(url.source, url.options), LocalFile(str(source), "0" * 64), (), format_name, str(target))
    assert isinstance(Renderer(RenderSettings.model_validate(sections)).answer(job), Made)
    return target.read_bytes()


@pytest.mark.parametrize(
    ("options", "format_name"),
    [("w:8/skp:jpg", "source"), ("w:8/skp:jpg:png/f:jpg", "source"), ("w:8/skp:jpg", "webp")],
)
def test_a_source_of_the_wanted_format_is_sent_as_it_is(tmp_path: Path, options: str, format_name: str) -> None:
    content = photo(32, 24, format="JPEG")

    assert result(tmp_path, options, content, format_name) == content


@pytest.mark.parametrize(
    ("options", "format_name", "format"),
    [
        ("w:8/skp:jpg/f:png", "source", "PNG"),
        ("w:8/skp:png", "source", "JPEG"),
        ("w:8/skp:jpg/f:best", "jpeg,gif", "JPEG"),
    ],
)
def test_a_source_of_another_format_is_processed(tmp_path: Path, options: str, format_name: str, format: str) -> None:
    made = opened(result(tmp_path, options, photo(32, 24, format="JPEG"), format_name))

    assert (made.format, made.size) == (format, (8, 6))
