"""Colors and tones, compared with NumPy, Pillow and scikit-image."""

import io
import math
from pathlib import Path

import numpy
import pytest
from image_processor.imaging.compact_cmyk import compact_cmyk
from image_processor.imaging.profiles import general_cmyk
from image_processor.services.codec.decoding import ImageError
from PIL import Image, ImageCms, ImageEnhance, ImageOps
from skimage import color, data, exposure

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow

SAMPLES = Path(data.__file__).parent
LUMA = numpy.array([0.299, 0.587, 0.114])


def made(algorithm: str, source: bytes | None = None, **params: object) -> numpy.ndarray:
    return pixels(processed(source or photo(), algorithm, params))


def values() -> numpy.ndarray:
    return pixels(photo()).astype(float)


def close(result: numpy.ndarray, expected: numpy.ndarray, tolerance: float = 1) -> bool:
    return bool(numpy.abs(result - numpy.clip(expected, 0, 255)).max() <= tolerance)


def test_grayscale_matches_pillow() -> None:
    assert close(made("grayscale"), numpy.asarray(opened(photo()).convert("L")).astype(float))


@pytest.mark.parametrize("amount", [-100, -30, 0, 12.5, 100])
def test_brightness_adds_a_share_of_white(amount: float) -> None:
    assert close(made("brightness", amount=amount), values() + 2.55 * amount)


@pytest.mark.parametrize("amount", [-100, -30, 0, 40, 100])
def test_contrast_moves_tones_from_the_middle(amount: float) -> None:
    assert close(made("contrast", amount=amount), (values() - 127.5) * (1 + amount / 100) + 127.5)


@pytest.mark.parametrize("amount", [-100, -30, 0, 40, 100])
def test_saturation_moves_colors_from_their_luma(amount: float) -> None:
    gray = (values() @ LUMA)[..., None]

    assert close(made("saturation", amount=amount), gray + (values() - gray) * (1 + amount / 100))


def test_saturation_matches_pillow() -> None:
    expected = numpy.asarray(ImageEnhance.Color(opened(photo())).enhance(1.4)).astype(int)

    assert numpy.abs(made("saturation", amount=40) - expected).max() <= 2


def test_hue_keeps_grays_and_turns_red_to_green_at_120_degrees() -> None:
    image = Image.new("RGB", (2, 1), (128, 128, 128))
    image.putpixel((1, 0), (200, 0, 0))

    result = made("hue", encoded(image, "PNG"), degrees=120)

    assert result[0, 0].tolist() == [128, 128, 128]
    assert result[0, 1, 1] > max(result[0, 1, 0], result[0, 1, 2])


def test_hue_is_the_matrix_of_the_filter_effects_module() -> None:
    cos, sin = math.cos(math.radians(50)), math.sin(math.radians(50))
    constant = numpy.array([[0.213, 0.715, 0.072]] * 3)
    by_cos = numpy.array([[0.787, -0.715, -0.072], [-0.213, 0.285, -0.072], [-0.213, -0.715, 0.928]])
    by_sin = numpy.array([[-0.213, -0.715, 0.928], [0.143, 0.140, -0.283], [-0.787, 0.715, 0.072]])

    assert close(made("hue", degrees=50), values() @ (constant + cos * by_cos + sin * by_sin).T)


@pytest.mark.parametrize("gamma", [0.4, 1, 2.2])
def test_gamma_changes_the_middle_tones(gamma: float) -> None:
    assert close(made("gamma", gamma=gamma), 255 * (values() / 255) ** (1 / gamma))


def test_levels_are_stretched() -> None:
    result = made("levels", black=50, white=200, gamma=1.5, output_black=20, output_white=240)

    share = numpy.clip((values() - 50) / 150, 0, 1) ** (1 / 1.5)
    assert close(result, 20 + share * 220)


def test_levels_at_one_tone_leave_black_and_white() -> None:
    assert set(numpy.unique(made("levels", black=100, white=100))) == {0, 255}


def test_curves_pass_through_their_points_without_overshoot() -> None:
    ramp = encoded(Image.fromarray(numpy.arange(256, dtype="uint8").reshape(1, 256)), "PNG")
    points = [{"input": x, "output": y} for x, y in ((0, 0), (64, 10), (128, 200), (255, 255))]

    result = made("curves", ramp, all=points)[0]

    assert [result[x] for x in (0, 64, 128, 255)] == [0, 10, 200, 255]
    assert (numpy.diff(result) >= 0).all()


def test_a_curve_of_one_band_leaves_the_others() -> None:
    result = made("curves", green=[{"input": 0, "output": 255}, {"input": 255, "output": 0}])

    assert close(result[..., 1], 255 - values()[..., 1])
    assert (result[..., [0, 2]] == values()[..., [0, 2]]).all()


def test_equalize_matches_scikit_image() -> None:
    source = encoded(opened(photo()).convert("L").point([value // 3 + 40 for value in range(256)]), "PNG")

    result = made("equalize", source)

    expected = exposure.equalize_hist(pixels(source)) * 255
    assert numpy.abs(result - expected).mean() < 3


def test_equalize_keeps_hues() -> None:
    source, result = pixels(photo()), made("equalize")

    inside = (source.max(axis=2) < 200) & (result.max(axis=2) < 250) & (result.min(axis=2) > 5)
    difference = numpy.abs(color.rgb2lab(source / 255) - color.rgb2lab(result / 255))
    assert difference[inside][:, 1:].mean() < 4


def test_clahe_is_like_that_of_scikit_image() -> None:
    source = encoded(opened((SAMPLES / "coffee.png").read_bytes()).convert("L"), "PNG")

    result = made("equalize", source, method="clahe", window=75, max_slope=3)

    peers = exposure.equalize_adapthist(pixels(source).astype("uint8"), kernel_size=75, clip_limit=3 / 256) * 255
    assert numpy.corrcoef(result.ravel(), peers.ravel())[0, 1] > 0.95
    assert result.std() > pixels(source).std()


def test_clahe_spreads_a_dull_corner() -> None:
    dull = numpy.full((128, 128), 100, dtype="uint8")
    dull[:32, :32] += numpy.random.default_rng(1).integers(0, 4, (32, 32), dtype="uint8")
    source = encoded(Image.fromarray(dull), "PNG")

    result = made("equalize", source, method="clahe", window=32, max_slope=10)

    assert result[:32, :32].std() > 3 * dull[:32, :32].std()


def test_white_balance_makes_the_mean_gray() -> None:
    cast = (values() * 0.6 + 40) * numpy.array([1.0, 0.9, 0.6])
    source = encoded(Image.fromarray(cast.astype("uint8")), "PNG")

    means = made("white_balance", source).mean(axis=(0, 1))

    assert means.max() - means.min() < 2


def test_tint_keeps_lightness_and_takes_the_hue() -> None:
    gray = encoded(Image.new("RGB", (4, 4), (120, 120, 120)), "PNG")

    result = color.rgb2lab(made("tint", gray, color="#3060c0") / 255)

    wanted = color.rgb2lab(numpy.array([[[0x30, 0x60, 0xC0]]]) / 255)
    assert abs(result[..., 0].mean() - color.rgb2lab(numpy.full((1, 1, 3), 120 / 255))[0, 0, 0]) < 1
    assert numpy.abs(result[0, 0, 1:] - wanted[0, 0, 1:]).max() < 2


def test_duotone_runs_from_one_color_to_the_other() -> None:
    low, high = numpy.array([0x10, 0x20, 0x60]), numpy.array([0xFF, 0xE0, 0xA0])
    luma = numpy.asarray(opened(photo()).convert("L")).astype(float)[..., None] / 255

    result = made("duotone", shadows="#102060", highlights="#ffe0a0")

    assert close(result, low + (high - low) * luma, 2)


def test_sepia_is_the_matrix_of_the_filter_effects_module() -> None:
    matrix = numpy.array([[0.393, 0.769, 0.189], [0.349, 0.686, 0.168], [0.272, 0.534, 0.131]])

    assert close(made("sepia"), values() @ matrix.T)
    assert close(made("sepia", amount=0), values())


def test_invert_matches_pillow() -> None:
    assert (made("invert") == numpy.asarray(ImageOps.invert(opened(photo())))).all()


def test_invert_leaves_alpha() -> None:
    source = encoded(Image.new("RGBA", (3, 3), (10, 20, 30, 77)), "PNG")

    assert made("invert", source)[0, 0].tolist() == [245, 235, 225, 77]


def test_threshold_is_black_and_white() -> None:
    luma = numpy.asarray(opened(photo()).convert("L")).astype(int)

    assert (made("threshold", level=100) == numpy.where(luma >= 100, 255, 0)).mean() > 0.99


@pytest.mark.parametrize("levels", [2, 4, 128])
def test_posterize_keeps_the_number_of_tones(levels: int) -> None:
    ramp = encoded(Image.fromarray(numpy.arange(256, dtype="uint8").reshape(1, 256)), "PNG")

    result = made("posterize", ramp, levels=levels)[0]

    expected = numpy.floor(numpy.arange(256) / 255 * levels * 0.9999999) * 255 / (levels - 1)
    assert numpy.abs(result - expected).max() <= 1
    assert len(numpy.unique(result)) == levels


def cube(size: int, change: str) -> bytes:
    steps = [n / (size - 1) for n in range(size)]
    rows = [{"swap": (b, g, r), "half": (r / 2, g / 2, b / 2)}[change] for b in steps for g in steps for r in steps]
    lines = [f"{row[0]:.6f} {row[1]:.6f} {row[2]:.6f}" for row in rows]
    return "\n".join(["# a comment", 'TITLE "x"', f"LUT_3D_SIZE {size}", *lines]).encode()


@pytest.mark.parametrize("size", [2, 9, 33])
@pytest.mark.parametrize("change", ["swap", "half"])
def test_a_lut_is_applied(size: int, change: str) -> None:
    result = pixels(processed(photo(), "lut", {"file_id": 5}, {5: cube(size, change)}))

    assert close(result, values()[..., ::-1] if change == "swap" else values() / 2)


def test_a_one_dimensional_lut_is_applied() -> None:
    lut = b"LUT_1D_SIZE 3\n0 0 1\n0.5 0.25 0.5\n1 1 0\n"

    result = pixels(processed(photo(), "lut", {"file_id": 5}, {5: lut}))

    red, green, blue = (values()[..., band] / 255 for band in range(3))
    expected = numpy.dstack([red, numpy.interp(green, [0, 0.5, 1], [0, 0.25, 1]), 1 - blue]) * 255
    assert close(result, expected)


@pytest.mark.parametrize(
    ("lut", "reason"),
    [
        (b"hello", "Line 1"),
        (b"LUT_3D_SIZE 2\n0 0 0\n", "needs 8"),
        (b"0 0 0\n", "LUT_3D_SIZE"),
        (b"LUT_3D_SIZE 999999\n", "cannot have the size 999999"),
        (b"LUT_1D_SIZE 2\n0 0 nan\n1 1 1", "Line 2"),
        (b"\xff\xfe\x00", "not UTF-8 text"),
        (b"LUT_1D_SIZE 2\nDOMAIN_MIN 1 1 1\nDOMAIN_MAX 0 0 0\n0 0 0\n1 1 1", "DOMAIN_MAX"),
    ],
)
def test_a_damaged_lut_is_refused(lut: bytes, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        processed(photo(), "lut", {"file_id": 5}, {5: lut})


def test_a_small_cmyk_image_has_a_small_profile() -> None:
    content = processed(photo(format="JPEG"), "to_colorspace", {"space": "cmyk"})

    result = opened(content)
    assert result.mode == "CMYK"
    assert 10_000 < len(result.info["icc_profile"]) < 15_000
    assert len(content) < 20_000


def as_lab(inks: Image.Image, profile: bytes) -> numpy.ndarray:
    """Return CMYK colors as CIELAB, converted to sRGB by Pillow's LittleCMS."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    shown = ImageCms.profileToProfile(inks, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    lab: numpy.ndarray = color.rgb2lab(numpy.asarray(shown))
    return lab


def test_the_compact_profile_gives_the_colors_of_the_large_one() -> None:
    random = numpy.random.default_rng(3).integers(0, 256, (100, 100, 4)).astype("uint8")
    any_inks = Image.frombytes("CMYK", (100, 100), random.tobytes())
    photograph = encoded(Image.open(SAMPLES / "coffee.png"), "PNG")
    of_photograph = opened(processed(photograph, "to_colorspace", {"space": "cmyk", "output": {"format": "tiff"}}))
    assert of_photograph.info["icc_profile"] == compact_cmyk()

    for inks in (any_inks, of_photograph):
        error = color.deltaE_ciede2000(as_lab(inks, compact_cmyk()), as_lab(inks, general_cmyk()))
        assert error.mean() < 0.7
        assert numpy.percentile(error, 99) < 3


def as_inks(photograph: Image.Image, profile: bytes) -> Image.Image:
    target = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    made = ImageCms.profileToProfile(photograph, ImageCms.createProfile("sRGB"), target, outputMode="CMYK")
    assert made is not None
    return made


def test_other_programs_convert_by_the_compact_profile_as_well_as_by_the_large_one() -> None:
    photograph = Image.open(SAMPLES / "coffee.png").convert("RGB")
    wanted = color.rgb2lab(numpy.asarray(photograph))

    compact, large = (
        color.deltaE_ciede2000(as_lab(as_inks(photograph, profile), general_cmyk()), wanted).mean()
        for profile in (compact_cmyk(), general_cmyk())
    )

    assert compact < large + 0.5


def test_cmyk_without_a_profile_gets_none() -> None:
    result = opened(processed(photo(mode="CMYK", format="JPEG"), "flip"))

    assert (result.mode, "icc_profile" in result.info) == ("CMYK", False)


def test_p3_holds_the_same_colors() -> None:
    result = opened(processed(photo(), "to_colorspace", {"space": "p3"}))

    profile = ImageCms.ImageCmsProfile(io.BytesIO(result.info["icc_profile"]))
    back = ImageCms.profileToProfile(result, profile, ImageCms.createProfile("sRGB"))
    assert numpy.abs(numpy.asarray(back).astype(int) - pixels(photo())).mean() < 1.5


def test_a_wide_gamut_is_converted_before_colors_are_changed() -> None:
    wide = processed(photo(), "to_colorspace", {"space": "p3"})

    result = pixels(processed(wide, "brightness", {"amount": 0}))

    assert numpy.abs(result - pixels(photo())).mean() < 1.5


@pytest.mark.parametrize("algorithm", ["brightness", "invert", "gamma", "posterize", "equalize"])
def test_sixteen_bits_stay(algorithm: str) -> None:
    ramp = Image.fromarray((numpy.arange(64 * 48) * 20).reshape(48, 64).astype("uint16"))
    params = {"brightness": {"amount": 10}, "gamma": {"gamma": 2}, "posterize": {"levels": 100}}.get(algorithm)

    result = opened(processed(encoded(ramp, "PNG"), algorithm, params))

    assert result.mode == "I;16"
    expected = {"invert": 65535 - numpy.asarray(ramp).astype(int)}.get(algorithm)
    assert expected is None or (numpy.asarray(result) == expected).all()
