"""The same pixels, whatever kind of image they came in, against Pillow."""

import io
from collections.abc import Callable

import numpy
import pytest
from PIL import Image, ImageOps

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo

Peer = Callable[[Image.Image], Image.Image]


def colours_only(change: Peer) -> Peer:
    """The change of the colours of an RGBA image; alpha stays."""

    def changed(image: Image.Image) -> Image.Image:
        made = change(image.convert("RGB")).convert("RGB")
        made.putalpha(image.getchannel("A"))
        return made

    return changed


PEERS: dict[str, tuple[dict[str, object], Peer]] = {
    "flip": ({}, ImageOps.mirror),
    "rotate": ({"angle": 90}, lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    "crop": ({"width": 1, "height": 1, "left": 0, "top": 0}, lambda image: image.crop((0, 0, 1, 1))),
    "invert": ({}, colours_only(ImageOps.invert)),
    "grayscale": ({}, colours_only(lambda image: image.convert("L"))),
    "brightness": ({"amount": 20}, colours_only(lambda image: image.point([min(255, v + 51) for v in range(256)] * 3))),
    "border": ({"width": 3, "colour": "#0000ff"}, lambda image: ImageOps.expand(image, 3, (0, 0, 255, 255))),
}
SIZES = {"odd": (37, 23), "1×1": (1, 1), "1×50": (1, 50), "50×1": (50, 1)}
MODES = ["RGB", "L", "RGBA", "LA", "P", "1"]


def seen(content: bytes) -> Image.Image:
    return opened(content).convert("RGBA")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", PEERS)
def test_every_kind_is_changed_as_pillow_changes_it(algorithm: str, mode: str, size: str) -> None:
    params, peer = PEERS[algorithm]
    source = photo(*SIZES[size], mode=mode)

    result = seen(processed(source, algorithm, params))

    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(peer(seen(source))).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_is_resized_to_its_mean(mode: str) -> None:
    source = photo(64, 64, mode=mode)

    result = numpy.asarray(seen(processed(source, "resize", {"width": 1, "height": 1, "kernel": "linear"})))

    assert numpy.abs(result[0, 0].astype(int) - numpy.asarray(seen(source)).mean(axis=(0, 1))).max() <= 8


@pytest.mark.parametrize("algorithm", ["flip", "invert", "brightness", "border", "grayscale"])
@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_every_frame_is_changed_as_a_still_is(algorithm: str, format: str) -> None:
    params, peer = PEERS[algorithm]
    frames = [Image.new("RGB", (20, 14), colour) for colour in ((200, 30, 40), (20, 40, 90), (5, 250, 90))]
    options = {"lossless": True} if format == "WEBP" else {}
    source = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options)

    result = Image.open(io.BytesIO(processed(source, algorithm, params | {"output": {"lossless": format == "WEBP"}})))

    assert getattr(result, "n_frames", 1) == 3
    for number, frame in enumerate(frames):
        result.seek(number)
        expected = numpy.asarray(peer(frame.convert("RGBA")).convert("RGB")).astype(int)
        assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - expected).max() <= 8, "a GIF has a palette"


def test_the_colours_of_cmyk_are_those_of_its_rgb() -> None:
    source = photo(mode="CMYK", format="TIFF")

    result = numpy.asarray(seen(processed(source, "brightness", {"amount": 0, "output": {"format": "png"}})))

    # Inks are no lamps: only what is dark and what is bright is compared.
    expected = numpy.asarray(opened(source).convert("L")).astype(int)
    grey = numpy.asarray(Image.fromarray(result).convert("L")).astype(int)
    assert numpy.corrcoef(expected.ravel(), grey.ravel())[0, 1] > 0.9
