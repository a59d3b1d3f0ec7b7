"""Filters, compared with SciPy, scikit-image and OpenCV."""

import cv2
import numpy
import pytest
from image_processor.algorithms.blur import _line
from PIL import Image
from scipy import ndimage
from skimage import metrics, restoration

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow

INSIDE = (slice(12, -12), slice(12, -12))


def textured(width: int = 80, height: int = 60, bands: int = 3) -> bytes:
    random = numpy.random.default_rng(11)
    coarse = random.integers(0, 255, (height // 4, width // 4, bands), dtype="uint8")
    image = numpy.kron(coarse, numpy.ones((4, 4, 1), dtype="uint8"))
    return encoded(Image.fromarray(image.squeeze()), "PNG")


def made(algorithm: str, source: bytes | None = None, **params: object) -> numpy.ndarray:
    return pixels(processed(source or textured(), algorithm, params))


def source() -> numpy.ndarray:
    return pixels(textured()).astype(float)


def spread(weights: numpy.ndarray) -> numpy.ndarray:
    """Return the source convolved with the weights, with repeated edges."""
    bands = [ndimage.correlate(source()[..., band], weights, mode="nearest") for band in range(3)]
    return numpy.dstack(bands)


@pytest.mark.parametrize("radius", [0.5, 2, 6, 10, 23, 30, 70])
def test_gaussian_blur_matches_scipy(radius: float) -> None:
    expected = ndimage.gaussian_filter(source(), (radius, radius, 0), mode="nearest")

    assert numpy.abs(made("blur", radius=radius) - expected).max() <= 2.1
    assert numpy.abs(made("blur", radius=radius) - expected).mean() < 0.5


@pytest.mark.parametrize("method", ["gaussian", "box", "motion"])
@pytest.mark.parametrize("radius", [0.7, 2, 5, 20, 40])
def test_a_blur_keeps_areas_of_one_value(radius: float, method: str) -> None:
    for value in (255, 254, 200, 128, 17, 0):
        plain = encoded(Image.new("RGB", (70, 50), (value, 255 - value, 200)), "PNG")

        result = made("blur", plain, radius=radius, method=method, angle=20)

        assert (result == (value, 255 - value, 200)).all()


@pytest.mark.parametrize("angle", [0, 30, 90])
def test_motion_blur_matches_scipy_with_the_same_line(angle: float) -> None:
    expected = spread(_line(9, angle))

    assert numpy.abs(made("blur", method="motion", radius=9, angle=angle) - expected).max() <= 0.6


@pytest.mark.parametrize("radius", [1, 3, 25])
def test_box_blur_matches_scipy(radius: int) -> None:
    expected = ndimage.uniform_filter(source(), (2 * radius + 1, 2 * radius + 1, 1), mode="nearest")

    assert numpy.abs(made("blur", method="box", radius=radius) - expected).max() <= 1.5, "rounded twice"


def test_motion_blur_follows_its_line_only() -> None:
    dot = numpy.zeros((41, 41), dtype="uint8")
    dot[20, 20] = 255

    result = made("blur", encoded(Image.fromarray(dot), "PNG"), method="motion", radius=8, angle=90)

    assert (result[12:29, 20] > 0).all()
    assert result[:, :19].sum() == result[:, 22:].sum() == 0


def test_transparent_colors_do_not_bleed_into_a_blur() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 40))

    result = made("blur", encoded(image, "PNG"), radius=3)

    assert result[result[..., 3] > 8][:, 0].max() <= 2


@pytest.mark.parametrize("radius", [1.5, 6, 10, 50])
def test_sharpen_is_the_unsharp_mask(radius: float) -> None:
    expected = source() + 1.5 * (source() - ndimage.gaussian_filter(source(), (radius, radius, 0), mode="nearest"))

    result = made("sharpen", radius=radius, amount=150)

    assert numpy.abs(result - numpy.clip(expected, 0, 255)).max() <= 2.5


def test_sharpen_leaves_differences_below_the_threshold() -> None:
    assert (made("sharpen", amount=500, threshold=255) == source()).all()


def noisy() -> tuple[numpy.ndarray, bytes]:
    clean = numpy.kron(numpy.array([[40, 200], [120, 80]]), numpy.ones((40, 40)))
    clean = numpy.dstack([clean, clean[::-1], clean.T])
    grain = numpy.random.default_rng(2).normal(0, 15, clean.shape)
    return clean, encoded(Image.fromarray(numpy.clip(clean + grain, 0, 255).astype("uint8")), "PNG")


@pytest.mark.parametrize(("method", "gain"), [("median", 5), ("bilateral", 3), ("non_local_means", 8)])
def test_denoise_comes_nearer_to_the_clean_image(method: str, gain: float) -> None:
    clean, grainy = noisy()
    before = metrics.peak_signal_noise_ratio(clean, pixels(grainy), data_range=255)

    after = metrics.peak_signal_noise_ratio(clean, made("denoise", grainy, method=method, strength=50), data_range=255)

    assert after > before + gain, "decibels"


def test_the_bilateral_filter_is_as_good_as_that_of_scikit_image() -> None:
    clean, grainy = noisy()
    peers = restoration.denoise_bilateral(pixels(grainy) / 255, sigma_color=0.4, sigma_spatial=3, channel_axis=-1) * 255

    result = made("denoise", grainy, method="bilateral", strength=50)

    ours, theirs = (metrics.peak_signal_noise_ratio(clean, image, data_range=255) for image in (result, peers))
    assert ours > theirs - 2


def test_the_median_matches_scipy() -> None:
    expected = ndimage.median_filter(pixels(textured(bands=1)), 3, mode="nearest")

    assert (made("denoise", textured(bands=1), method="median", strength=1) == expected)[INSIDE].all()


@pytest.mark.parametrize("size", [2, 7, 16])
def test_pixelate_shows_the_mean_of_each_block(size: int) -> None:
    result = made("pixelate", size=size)

    block = source()[size : 2 * size, size : 2 * size].mean(axis=(0, 1))
    shown = result[size : 2 * size, size : 2 * size]
    assert (shown == shown[0, 0]).all()
    assert numpy.abs(shown[0, 0] - block).max() <= 1


def test_sobel_matches_scipy() -> None:
    gray = numpy.asarray(opened(textured()).convert("L")).astype(float)
    expected = numpy.hypot(ndimage.sobel(gray, 0, mode="nearest"), ndimage.sobel(gray, 1, mode="nearest"))

    assert numpy.abs(made("edges") - numpy.clip(expected, 0, 255)).max() <= 4


def test_canny_matches_opencv() -> None:
    gray = numpy.asarray(opened(photo(200, 150)).convert("L"))

    result = made("edges", photo(200, 150), method="canny", low=50, high=120)

    assert (result == cv2.Canny(gray, 50, 120, L2gradient=True)).mean() > 0.99


def test_emboss_is_gray_in_areas_of_one_color() -> None:
    result = made("emboss", encoded(Image.new("RGB", (9, 9), (200, 10, 30)), "PNG"))

    assert numpy.abs(result - 128).max() <= 1


def test_emboss_applies_its_kernel() -> None:
    gray = numpy.asarray(opened(textured()).convert("L")).astype(float)
    slope = numpy.array([[-1, -1, 0], [-1, 0, 1], [0, 1, 1]])

    expected = numpy.clip(ndimage.correlate(gray, slope, mode="nearest") + 128, 0, 255)

    assert numpy.abs(made("emboss") - expected).max() <= 4


@pytest.mark.parametrize(
    ("kernel", "normalize"),
    [
        ([0, -1, 0, -1, 5, -1, 0, -1, 0], True),
        ([1] * 25, True),
        ([-1, 0, 1, -2, 0, 2, -1, 0, 1], True),
        ([0.5] * 9, False),
        ([1] * 49, True),
    ],
)
def test_convolve_matches_scipy(kernel: list[float], normalize: bool) -> None:
    side = round(len(kernel) ** 0.5)
    weights = numpy.array(kernel, dtype=float).reshape(side, side)
    total = weights.sum() if normalize and weights.sum() else 1

    result = made("convolve", kernel=kernel, normalize=normalize)

    assert numpy.abs(result - numpy.clip(spread(weights / total), 0, 255)).max() <= 1


def test_vignette_darkens_corners_and_leaves_the_middle() -> None:
    plain = encoded(Image.new("RGB", (101, 81), (200, 100, 50)), "PNG")

    result = made("vignette", plain, amount=80)

    assert result[40, 50].tolist() == [200, 100, 50]
    assert numpy.abs(result[0, 0] - numpy.array([200, 100, 50]) * 0.2).max() <= 4


def test_vignette_fades_as_its_formula_says() -> None:
    result = made("vignette", amount=80, radius=40, color="#204060")

    y, x = numpy.mgrid[0:60, 0:80]
    distance = numpy.sqrt((((x - 39.5) / 40) ** 2 + ((y - 29.5) / 30) ** 2) / 2)
    t = numpy.maximum(0, (distance - 0.4) / 0.6)
    share = (t * t * (3 - 2 * t) * 0.8)[..., None]
    assert numpy.abs(result - (source() * (1 - share) + numpy.array([0x20, 0x40, 0x60]) * share)).max() <= 2


def test_noise_has_the_requested_deviation_and_a_seed() -> None:
    plain = encoded(Image.new("RGB", (300, 300), (128, 128, 128)), "PNG")

    result = made("noise", plain, amount=10, seed=3)

    assert abs(result.std() - 25.5) < 1
    assert abs(result.mean() - 128) < 0.5
    assert (result == made("noise", plain, amount=10, seed=3)).all()
    assert (result != made("noise", plain, amount=10, seed=4)).any()


def test_monochrome_noise_is_gray() -> None:
    plain = encoded(Image.new("RGB", (30, 30), (128, 128, 128)), "PNG")

    result = made("noise", plain, amount=10, monochrome=True)

    assert (result[..., 0] == result[..., 1]).all()


@pytest.mark.parametrize("factor", [1.5, 2, 4])
def test_upscale_matches_pillow_bicubic(factor: float) -> None:
    small = opened(photo(60, 40))
    size = (round(60 * factor), round(40 * factor))

    result = opened(processed(photo(60, 40), "upscale", {"factor": factor, "sharpen": 0}))

    assert result.size == size
    expected = numpy.asarray(small.resize(size, Image.Resampling.BICUBIC)).astype(int)
    assert numpy.abs(numpy.asarray(result).astype(int) - expected)[INSIDE][..., :2].mean() < 1.5
