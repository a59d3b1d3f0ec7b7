"""imgproxy's `best`: of the formats that suit the image and the client, the one with the smallest file, or nearly so.

Pillow encodes the same image for comparison, in the qualities of imgproxy's documentation: 80, WebP 79 and AVIF 63.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy
import pytest
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.processes.job import Job, LocalFile, Made
from image_processor.render.processes.process import Renderer
from PIL import Image, ImageDraw, ImageFilter, ImageFont

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


def photographed(width: int = 600, height: int = 400) -> Image.Image:
    """Return an image with details of all sizes, as a photograph has."""
    shape = (height, width, 3)
    spectrum = numpy.fft.fft2(numpy.random.default_rng(2).normal(size=shape), axes=(0, 1))
    down, across = numpy.fft.fftfreq(height)[:, None, None], numpy.fft.fftfreq(width)[None, :, None]
    pixels = numpy.fft.ifft2(spectrum / (numpy.hypot(down, across) + 1 / width) ** 1.2, axes=(0, 1)).real
    return Image.fromarray(numpy.clip(128 + 50 * pixels / pixels.std(), 0, 255).astype("uint8"))


def page() -> Image.Image:
    """Return a white page with a photograph on an eighth of it."""
    image = Image.new("RGB", (800, 500), "white")
    image.paste(photographed(240, 200), (50, 50))
    return image


def written() -> Image.Image:
    """Return a drawing with text, whose letters have smooth edges."""
    image = Image.new("RGB", (640, 400), "white")
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((20, 20, 200, 380), 12, "#2d3e50")
    for line in range(12):
        draw.text((220, 20 + 30 * line), f"{line}. The quick brown fox jumps", "#202020", ImageFont.load_default(18))
    return image


def gradient() -> Image.Image:
    down, across = numpy.mgrid[0:300, 0:400]
    return Image.fromarray(
        numpy.stack([across * 255 // 399, down * 255 // 299, (across + down) // 3], 2).astype("uint8")
    )


PICTURES: Mapping[str, Callable[[], Image.Image]] = {
    "photograph": photographed,
    "blurred": lambda: photographed().filter(ImageFilter.GaussianBlur(12)),
    "enlarged": lambda: photographed(120, 80).resize((600, 400), Image.Resampling.BICUBIC),
    "page": page,
    "gradient": gradient,
    "text": written,
    "drawing": drawn,
}


def fewest_bytes(image: Image.Image, *accepted: str) -> int:
    """Return the size of the smallest of the files that Pillow writes."""
    lossless = [encoded(image, "WEBP", lossless=True)] if "webp" in accepted else []
    formats = ("JPEG", "PNG", *(name.upper() for name in accepted))
    return min(map(len, (*lossless, *(encoded(image, name, **QUALITIES[name]) for name in formats))))


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


@pytest.mark.parametrize("accepted", [(), ("avif", "webp")])
@pytest.mark.parametrize("name", PICTURES)
def test_no_kind_of_picture_is_much_larger_than_the_smallest_file(
    tmp_path: Path, name: str, accepted: tuple[str, ...]
) -> None:
    image = PICTURES[name]()

    content = best(tmp_path, image, accepted)

    # PNG is written quickly: that of the gradient is twice as large as Pillow's.
    assert len(content) < 2.2 * fewest_bytes(image, *accepted)


@pytest.mark.parametrize("options", ["f:best", "f:best/mb:50000"])
def test_an_opaque_alpha_is_not_kept(tmp_path: Path, options: str) -> None:
    image = photographed(300, 200)
    with_alpha = image.copy()
    with_alpha.putalpha(255)

    content = best(tmp_path, with_alpha, options=options)

    assert content == best(tmp_path, image, options=options)
    assert opened(content).format == "JPEG"


@pytest.mark.parametrize("left", [560, 250])
def test_a_photograph_that_the_sample_misses_or_shows_is_not_sent_without_loss(tmp_path: Path, left: int) -> None:
    image = Image.new("RGB", (2000, 1500), "white")
    image.paste(photographed(300, 1300), (left, 100))

    content = best(tmp_path, image, ("webp",))

    assert len(content) < 1.5 * fewest_bytes(image, "webp")


@pytest.mark.parametrize(("accepted", "format"), [((), "PNG"), (("webp",), "WEBP")])
def test_a_large_page_of_text_keeps_every_pixel_for_few_bytes_more(
    tmp_path: Path, accepted: tuple[str, ...], format: str
) -> None:
    image = Image.new("RGB", (1920, 1200), "white")
    for left in range(0, 1920, 640):
        image.paste(written(), (left, 400 * (left // 640)))

    made = opened(best(tmp_path, image, accepted))

    assert made.format == format
    assert made.convert("RGB").tobytes() == image.tobytes()


@pytest.mark.parametrize(("accepted", "format"), [((), "PNG"), (("webp",), "WEBP")])
def test_transparency_is_kept(tmp_path: Path, accepted: tuple[str, ...], format: str) -> None:
    image = textured(64, 64, "RGBA")

    made = opened(best(tmp_path, image, accepted))

    difference = numpy.abs(numpy.asarray(made).astype(int) - numpy.asarray(image))[:, :, 3]
    assert (made.format, made.mode, int(difference.max())) == (format, "RGBA", 0)


@pytest.mark.parametrize(("accepted", "format"), [((), "PNG"), (("webp",), "WEBP"), (("avif", "webp"), "WEBP")])
def test_a_drawing_keeps_every_pixel(tmp_path: Path, accepted: tuple[str, ...], format: str) -> None:
    made = opened(best(tmp_path, drawn(), accepted))

    assert made.format == format
    assert made.convert("RGB").tobytes() == drawn().tobytes()


@pytest.mark.parametrize("accepted", [(), ("webp",)])
@pytest.mark.parametrize("limit", ["mb:100000", "aq:size:100000"])
@pytest.mark.parametrize("name", ["drawing", "text"])
def test_a_limit_that_changes_nothing_makes_no_file_larger(
    tmp_path: Path, name: str, limit: str, accepted: tuple[str, ...]
) -> None:
    image = PICTURES[name]()

    content = best(tmp_path, image, accepted, f"f:best/{limit}")

    assert content == best(tmp_path, image, accepted)


@pytest.mark.parametrize("name", ["photograph", "text"])
def test_an_ssim_to_reach_makes_no_file_larger(tmp_path: Path, name: str) -> None:
    content = best(tmp_path, PICTURES[name](), ("webp",), "f:best/aq:dssim:0.02:0:79")

    assert len(content) <= len(best(tmp_path, PICTURES[name](), ("webp",)))


def test_a_lossless_file_above_the_limit_is_not_sent(tmp_path: Path) -> None:
    image = written()
    limit = len(best(tmp_path, image)) - 1

    content = best(tmp_path, image, options=f"f:best/mb:{limit}")

    assert len(content) <= limit


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
