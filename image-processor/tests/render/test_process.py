"""Sources that a render process reads from the disk of the service."""

from pathlib import Path

import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.dialects import imgproxy
from image_processor.render.failures import BUSY, TOO_LARGE
from image_processor.render.imgproxy_plan import plan_of
from image_processor.render.job import Answer, Job, LocalFile, Made, Refused
from image_processor.render.process import Renderer
from PIL import Image


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.png"
    Image.effect_noise((40, 30), 80).save(path)
    return path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def rendered(source: Path, options: str = "w:20", max_file_bytes: int = 1_000_000) -> Answer:
    """Return the answer to imgproxy's options, which may change limits."""
    settings = RenderSettings.model_validate(
        {
            "native": {"keys": []},
            "file_storage": {"blobs_folder": "", "blobs_url": ""},
            "limits": {"max_file_bytes": max_file_bytes},
        }
    )
    grammar = imgproxy.Grammar(allow_security_options=True)
    url = imgproxy.parse(f"/signature/{options}/plain/http://localhost/source".encode(), grammar)
    plan = plan_of(url.source, url.options)
    file = LocalFile(str(source), "0" * 64)
    return Renderer(settings).answer(Job(plan, file, (), "source", str(source.with_name("result"))))


def kind_of(answer: Answer) -> str:
    assert isinstance(answer, Refused)
    return answer.kind


def test_a_fetched_file_that_somebody_deleted_may_be_fetched_again(tmp_path: Path) -> None:
    assert kind_of(rendered(tmp_path / "deleted")) == BUSY


def test_a_fetched_file_may_be_as_large_as_any_source(source: Path) -> None:
    size = source.stat().st_size

    assert isinstance(rendered(source, max_file_bytes=size), Made)
    assert kind_of(rendered(source, max_file_bytes=size - 1)) == TOO_LARGE


def test_a_url_limits_the_size_of_a_fetched_file(source: Path) -> None:
    size = source.stat().st_size

    assert isinstance(rendered(source, f"msfs:{size}"), Made)
    assert kind_of(rendered(source, f"msfs:{size - 1}")) == TOO_LARGE
