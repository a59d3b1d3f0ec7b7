"""Renders without disk space for their result."""

from pathlib import Path

import pytest
from image_processor.imaging.output import Output
from image_processor.render.config import RenderSettings
from image_processor.render.failures import BUSY
from image_processor.render.plans.plan import DigestSource, Encoding, RenderPlan, step
from image_processor.render.processes.job import Job, LocalFile, Refused
from image_processor.render.processes.process import Renderer

from tests.support.images import photo


def test_a_small_jpeg_may_succeed_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    renderer = Renderer(RenderSettings.model_validate(sections))
    source, result = tmp_path / "source", tmp_path / "result"
    source.write_bytes(photo(64, 48, format="JPEG"))
    result.symlink_to("/dev/full")
    digest = "0" * 64
    plan = RenderPlan(DigestSource(digest), (step("resize", {"width": 32}),), Encoding(Output()))

    answer = renderer.answer(Job(plan, LocalFile(str(source), digest), (), "source", str(result)))

    assert isinstance(answer, Refused)
    assert (answer.kind, answer.detail) == (BUSY, "The disk of the render service is full; try again later.")
