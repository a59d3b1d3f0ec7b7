"""imgproxy's `best`: of the formats that suit the image and the client, the one with the smallest file.

Pillow encodes the same image for comparison, in the qualities of imgproxy's documentation: 80, WebP 79 and AVIF 63.
"""

import io
from pathlib import Path

import numpy
import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.processes.job import Job, LocalFile, Made
from image_processor.render.processes.process import Renderer
from PIL import Image, ImageDraw

from tests.support.images import encoded, opened

QUALITIES = {"JPEG": {"quality": 80}, "PNG": {}, "WEBP": {"quality": 79}, "AVIF": {"quality": 63, "speed": 9}}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def best(folder: Path, image: Image.Image, accepted: tuple[str, ...] = (), options: str = "f:best") -> bytes:
    return best_of(folder, encoded(image, "PNG"), accepted, options)


def best_of(folder: Path, content: bytes, accepted: tuple[str, ...], options: str) -> bytes:
    source, target = folder / "source", folder / "result"
    source.write_bytes(content)
    url = imgproxy_url.parse(f"/_/{options}/plain/42".encode(), imgproxy_url.Grammar(allow_security_options=True))
    plan = plan_of(url.source, url.options)
    sections = {"native": {"keys": []}, "file_storage": {"blobs_folder": "", "blobs_url": ""}}
    names = ",".join((*accepted, *plan.encoding.compared))
    job = Job(plan, LocalFile(str(source), "0" * 64), (), names, str(target))
    assert isinstance(Renderer(RenderSettings.model_validate(sections)).answer(job), Made)
    assert sorted(path.name for path in folder.iterdir()) == ["result", "source"]
    return target.read_bytes()


def textured(width: int, height: int, mode: str = "RGB") -> Image.Image:
    """Return an image of smooth random colors, whose alpha, if it has one, is a ramp."""
    small = numpy.random.default_rng(1).integers(0, 256, (height // 4, width // 4, 3), "uint8")
    image = Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)
    if mode == "RGBA":
        image.putalpha(Image.linear_gradient("L").resize((width, height)))
    return image


def drawn() -> Image.Image:
    """Return a drawing of few colors."""
    image = Image.new("RGB", (160, 120), "white")
    ImageDraw.Draw(image).ellipse((20, 10, 140, 110), "#c02040", "black", 3)
    return image


def smallest(image: Image.Image, *formats: str) -> str:
    sizes = sorted((len(encoded(image, name, **QUALITIES[name])), name) for name in formats)
    # Another encoder may differ a little.
    assert sizes[0][0] * 1.05 < sizes[1][0]
    return sizes[0][1]


@pytest.mark.parametrize("size", [(240, 160), (8, 8)])
@pytest.mark.parametrize("accepted", [(), ("webp",), ("avif", "webp")])
def test_the_smallest_file_is_sent(tmp_path: Path, size: tuple[int, int], accepted: tuple[str, ...]) -> None:
    image = textured(*size)

    made = opened(best(tmp_path, image, accepted))

    formats = ("JPEG", "PNG", *(name.upper() for name in accepted))
    assert (made.format, made.size) == (smallest(image, *formats), size)


@pytest.mark.parametrize(("accepted", "format"), [((), "PNG"), (("webp",), "WEBP")])
def test_transparency_is_kept(tmp_path: Path, accepted: tuple[str, ...], format: str) -> None:
    image = textured(64, 64, "RGBA")

    made = opened(best(tmp_path, image, accepted))

    difference = numpy.abs(numpy.asarray(made).astype(int) - numpy.asarray(image))[:, :, 3]
    assert (made.format, made.mode, int(difference.max())) == (format, "RGBA", 0)


@pytest.mark.parametrize(("accepted", "format"), [((), "PNG"), (("webp",), "WEBP"), (("avif", "webp"), "WEBP")])
def test_a_simple_image_keeps_every_pixel(tmp_path: Path, accepted: tuple[str, ...], format: str) -> None:
    made = opened(best(tmp_path, drawn(), accepted))

    assert made.format == format
    assert made.convert("RGB").tobytes() == drawn().tobytes()


def test_a_limit_of_bytes_holds_for_the_best_format_too(tmp_path: Path) -> None:
    content = best(tmp_path, textured(240, 160), ("webp",), "f:best/mb:4000")

    assert 2000 < len(content) <= 4000


def test_a_limit_that_no_format_meets_gives_the_smallest_file(tmp_path: Path) -> None:
    image = textured(240, 160)

    content = best(tmp_path, image, options="f:best/mb:100")

    lowest = io.BytesIO()
    image.save(lowest, "JPEG", quality=1)
    assert opened(content).format == "JPEG"
    assert len(content) < 1.1 * len(lowest.getvalue())


@pytest.mark.parametrize(("accepted", "formats"), [((), {"GIF"}), (("webp",), {"GIF", "WEBP"})])
def test_an_animation_stays_one(tmp_path: Path, accepted: tuple[str, ...], formats: set[str]) -> None:
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "lime", "blue")]
    animation = io.BytesIO()
    frames[0].save(animation, "GIF", save_all=True, append_images=frames[1:])

    content = best_of(tmp_path, animation.getvalue(), accepted, "f:best/maf:3")

    assert opened(content).format in formats
    assert getattr(opened(content), "n_frames", 1) == 3
