"""Every kind of image gives the same pixels as with Pillow."""

import io
import struct
from collections.abc import Callable

import cv2
import numpy
import pytest
import tifffile
from image_processor.services.codec.decoding import ImageError
from PIL import Image, ImageCms, ImageOps

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo

pytestmark = pytest.mark.slow

Peer = Callable[[Image.Image], Image.Image]


def colors_only(change: Peer) -> Peer:
    """Apply a change to the colors of an RGBA image; alpha stays."""

    def changed(image: Image.Image) -> Image.Image:
        made = change(image.convert("RGB")).convert("RGB")
        made.putalpha(image.getchannel("A"))
        return made

    return changed


PEERS: dict[str, tuple[dict[str, object], Peer]] = {
    "flip": ({}, ImageOps.mirror),
    "rotate": ({"angle": 90}, lambda image: image.transpose(Image.Transpose.ROTATE_270)),
    "crop": ({"width": 1, "height": 1, "left": 0, "top": 0}, lambda image: image.crop((0, 0, 1, 1))),
    "invert": ({}, colors_only(ImageOps.invert)),
    "grayscale": ({}, colors_only(lambda image: image.convert("L"))),
    "brightness": ({"amount": 20}, colors_only(lambda image: image.point([min(255, v + 51) for v in range(256)] * 3))),
    "border": ({"width": 3, "color": "#0000ff"}, lambda image: ImageOps.expand(image, 3, (0, 0, 255, 255))),
}
SIZES = {"odd": (37, 23), "1×1": (1, 1), "1×50": (1, 50), "50×1": (50, 1)}
MODES = ["RGB", "L", "RGBA", "LA", "P", "1"]


def seen(content: bytes) -> Image.Image:
    return opened(content).convert("RGBA")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("algorithm", PEERS)
def test_every_kind_of_image_matches_pillow(algorithm: str, mode: str, size: str) -> None:
    params, peer = PEERS[algorithm]
    source = photo(*SIZES[size], mode=mode)

    result = seen(processed(source, algorithm, params))

    assert numpy.abs(numpy.asarray(result).astype(int) - numpy.asarray(peer(seen(source))).astype(int)).max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_image_is_resized_to_its_mean(mode: str) -> None:
    source = photo(64, 64, mode=mode)

    result = numpy.asarray(seen(processed(source, "resize", {"width": 1, "height": 1, "kernel": "linear"})))

    assert numpy.abs(result[0, 0].astype(int) - numpy.asarray(seen(source)).mean(axis=(0, 1))).max() <= 8


@pytest.mark.parametrize("algorithm", ["flip", "invert", "brightness", "border", "grayscale"])
@pytest.mark.parametrize("format", ["GIF", "WEBP"])
def test_every_frame_is_changed_like_a_still_image(algorithm: str, format: str) -> None:
    params, peer = PEERS[algorithm]
    frames = [Image.new("RGB", (20, 14), color) for color in ((200, 30, 40), (20, 40, 90), (5, 250, 90))]
    options = {"lossless": True} if format == "WEBP" else {}
    source = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=100, **options)

    result = Image.open(io.BytesIO(processed(source, algorithm, params | {"output": {"lossless": format == "WEBP"}})))

    assert getattr(result, "n_frames", 1) == 3
    for number, frame in enumerate(frames):
        result.seek(number)
        expected = numpy.asarray(peer(frame.convert("RGBA")).convert("RGB")).astype(int)
        assert numpy.abs(numpy.asarray(result.convert("RGB")).astype(int) - expected).max() <= 8, "a GIF has a palette"


def test_the_colors_of_cmyk_are_those_of_its_rgb() -> None:
    source = photo(mode="CMYK", format="TIFF")

    result = numpy.asarray(seen(processed(source, "brightness", {"amount": 0, "output": {"format": "png"}})))

    # Inks cannot reproduce every color, so compare only dark and bright.
    expected = numpy.asarray(opened(source).convert("L")).astype(int)
    gray = numpy.asarray(Image.fromarray(result).convert("L")).astype(int)
    assert numpy.corrcoef(expected.ravel(), gray.ravel())[0, 1] > 0.9


RAMP = numpy.linspace(0, 1, 24 * 16).reshape(16, 24)
COLORS = numpy.dstack([RAMP, RAMP[::-1], 1 - RAMP])


def tiff(values: numpy.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        getattr(writer, "write")(values, **options)  # noqa: B009 (its types are stricter than it is)
    return file.getvalue()


def bytes_of(*bands: numpy.ndarray) -> numpy.ndarray:
    values: numpy.ndarray = numpy.rint(numpy.dstack(bands) * 255).astype("uint8")
    return values


# As in ImageMagick and Pillow, 0 is black, and 1 or the maximum is white.
SAMPLES = {
    "floating point": (tiff(RAMP.astype("float32")), RAMP),
    "half precision": (tiff(RAMP.astype("float16")), RAMP),
    "floating-point colors": (tiff(COLORS.astype("float32"), photometric="rgb"), COLORS),
    "floating point below 0": (tiff((RAMP - 0.25).astype("float32")), RAMP.clip(0.25) - 0.25),
    "32 bits": (tiff((RAMP * (2**32 - 1)).astype("uint32")), RAMP),
    "32 bits of colors": (tiff((COLORS * (2**32 - 1)).astype("uint32"), photometric="rgb"), COLORS),
    "a spare band": (tiff(bytes_of(COLORS, RAMP), photometric="rgb", extrasamples=[0]), COLORS),
    "two spare bands": (tiff(bytes_of(COLORS, RAMP, RAMP), photometric="rgb", extrasamples=[0, 0]), COLORS),
    "a spare band of gray": (tiff(bytes_of(RAMP, RAMP[::-1]), photometric="minisblack", extrasamples=[0]), RAMP),
    "white is zero in floating point": (tiff((1 - RAMP).astype("float32"), photometric="miniswhite"), RAMP),
    "white is zero in half precision": (tiff((1 - RAMP).astype("float16"), photometric="miniswhite"), RAMP),
    "white is zero": (tiff(bytes_of(RAMP)[..., 0], photometric="miniswhite"), 1 - RAMP),
}


@pytest.mark.parametrize("algorithm", ["convert", "brightness", "flip"])
@pytest.mark.parametrize("target", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_samples_of_every_kind_have_their_brightness(kind: str, target: str, algorithm: str) -> None:
    content, expected = SAMPLES[kind]
    output = {"format": target, "quality": 100}
    params = {"brightness": {"amount": 0}}.get(algorithm, {})

    result = opened(processed(content, algorithm, output if algorithm == "convert" else params | {"output": output}))

    values = numpy.asarray(result).astype(float) / (257 if result.mode.startswith("I") else 1)
    values = values[:, ::-1] if algorithm == "flip" else values
    if values.ndim > expected.ndim:
        values = values[..., 0]
    assert values.shape == expected.shape, "nothing spare is left"
    assert numpy.abs(values - expected * 255).mean() < 4


UNCLEAR = {
    "signed": (tiff((RAMP * 127).astype("int8")), "signed samples"),
    "signed 16 bits": (tiff((RAMP * 32_767).astype("int16")), "signed samples"),
    "signed 32 bits": (tiff((RAMP * 2**30).astype("int32")), "signed samples"),
    "floating point up to 255": (tiff((RAMP * 255).astype("float32")), "up to 255, but 1 is white"),
    "floating point up to 2": (tiff((COLORS * 2).astype("float32"), photometric="rgb"), "up to 2, but 1 is white"),
    "not a number": (tiff(numpy.full((8, 8), numpy.nan, "float32")), "None of the image's samples is a number"),
    "half precision in planes": (
        tiff(numpy.moveaxis(COLORS, -1, 0).astype("float16"), photometric="rgb", planarconfig="separate"),
        "half-precision samples in separate planes",
    ),
    "samples of different sizes": (
        tiff(bytes_of(COLORS), photometric="rgb").replace(struct.pack("<3H", 8, 8, 8), struct.pack("<3H", 5, 6, 5)),
        "The samples of this TIFF differ in size",
    ),
    **{
        f"{meaning} of {dtype}": (
            tiff((COLORS * (1 if dtype.startswith("f") else 2**31 - 1)).astype(dtype), photometric=meaning),
            "CIELAB or YCbCr with samples of an unusual kind, which is not supported: save it as RGB",
        )
        for meaning, dtype in (
            *(("cielab", dtype) for dtype in ("uint32", "int32", "float16")),
            *(("icclab", dtype) for dtype in ("uint32", "float32")),
            ("ycbcr", "uint32"),
        )
    },
    "double precision": (tiff(RAMP), "kind of samples is not supported"),
    "gray and alpha of 4 bits": (
        tiff(bytes_of(RAMP, RAMP), photometric="minisblack", extrasamples=["unassalpha"]).replace(
            struct.pack("<2H", 8, 8), struct.pack("<2H", 4, 4), 1
        ),
        "kind of samples is not supported",
    ),
    "complex numbers": (tiff(RAMP.astype("complex64")), "kind of samples is not supported"),
}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "float32"])
@pytest.mark.parametrize("meaning", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("extra", [["unassalpha"], ["unspecified"], ["unspecified", "unassalpha"]], ids="-".join)
def test_gray_in_planes_is_gray_with_its_alpha(extra: list[str], meaning: str, dtype: str) -> None:
    white = 1 if dtype == "float32" else numpy.iinfo(dtype).max
    values = {"minisblack": RAMP, "miniswhite": 1 - RAMP, "unassalpha": RAMP.T.reshape(RAMP.shape), "unspecified": RAMP}
    planes = numpy.stack([values[name] * white for name in [meaning, *extra]]).astype(dtype)

    content = tiff(planes, photometric=meaning, planarconfig="separate", extrasamples=extra, rowsperstrip=3)
    result = numpy.asarray(opened(processed(content, "convert", {"format": "webp", "lossless": True})).convert("RGBA"))

    alpha = values["unassalpha"] if "unassalpha" in extra else numpy.ones(RAMP.shape)
    assert numpy.abs(result - numpy.dstack([RAMP, RAMP, RAMP, alpha]) * 255.0)[alpha > 0.01].max() <= 1


PARAMS: dict[str, dict[str, object]] = {
    "convert": {"format": "png"},
    "brightness": {"amount": 0},
    "dominant_colors": {},
}


@pytest.mark.parametrize("algorithm", PARAMS)
@pytest.mark.parametrize("kind", UNCLEAR)
def test_samples_without_a_defined_meaning_are_refused_with_a_reason(kind: str, algorithm: str) -> None:
    content, reason = UNCLEAR[kind]

    with pytest.raises(ImageError, match=reason):
        processed(content, algorithm, PARAMS[algorithm])


SMOOTH = cv2.GaussianBlur(numpy.asarray(opened(photo())), (0, 0), 3)
YCBCR: dict[str, dict[str, object]] = {
    "uncompressed": {"subsampling": (1, 1)},
    "LZW": {"subsampling": (1, 1), "compression": "lzw", "predictor": True},
    "Deflate": {"subsampling": (1, 1), "compression": "zlib"},
    "in strips": {"subsampling": (1, 1), "rowsperstrip": 8},
    "JPEG": {"subsampling": (2, 2), "compression": "jpeg", "compressionargs": {"level": 95}},
    "BT.709": {"subsampling": (1, 1), "extratags": [(529, 5, 3, (2126, 10000, 7152, 10000, 722, 10000), True)]},
    "of television": {
        "subsampling": (1, 1),
        "extratags": [(532, 5, 6, (16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1), True)],
    },
    "a damaged coefficient": {"subsampling": (1, 1), "extratags": [(529, 5, 3, (299, 1000, 0, 1000, 1, 0), True)]},
}


def shown_by_opencv(content: bytes) -> numpy.ndarray:
    shown = cv2.imdecode(numpy.frombuffer(content, "uint8"), cv2.IMREAD_COLOR)
    assert shown is not None
    return shown[..., ::-1].astype(int)


@pytest.mark.parametrize("target", ["png", "webp", "jpeg"])
@pytest.mark.parametrize("kind", YCBCR)
def test_brightness_and_chroma_are_shown_shown_by_opencv_them(kind: str, target: str) -> None:
    samples = numpy.asarray(Image.fromarray(SMOOTH).convert("YCbCr"))
    content = tiff(samples, photometric="ycbcr", **YCBCR[kind])
    lossless = {"lossless": True} if target == "webp" else {"quality": 100}

    result = numpy.asarray(opened(processed(content, "convert", {"format": target, **lossless}))).astype(int)

    if kind == "a damaged coefficient":
        content = tiff(samples, photometric="ycbcr", subsampling=(1, 1))
    shown = shown_by_opencv(content)
    # libtiff uses integer arithmetic.
    assert numpy.abs(result - shown).max() <= (6 if target == "jpeg" else 3)


def test_subsampled_chroma_does_not_become_alpha() -> None:
    # For each 2 × 2 pixels, there are four luma samples and one pair of chroma samples (TIFF 6.0, 21).
    samples = numpy.tile(numpy.array([98] * 4 + [89, 200], "uint8"), 12 * 8)
    tags = {256: 24, 257: 16, 259: 1, 262: 6, 273: 8, 277: 3, 278: 16, 279: len(samples)}
    rows = [(tag, 4, 1, struct.pack("<I", value)) for tag, value in tags.items()]
    rows += [(258, 3, 3, struct.pack("<I", 8 + len(samples))), (530, 3, 2, struct.pack("<HH", 2, 2))]
    directory = b"".join(struct.pack("<HHI", *row[:3]) + row[3] for row in sorted(rows))
    values = samples.tobytes() + struct.pack("<4H", 8, 8, 8, 0)
    head = b"II*\0" + struct.pack("<I", 8 + len(values))
    content = head + values + struct.pack("<H", len(rows)) + directory + bytes(4)

    result = numpy.asarray(opened(processed(content, "convert", {"format": "png"})))

    shown = shown_by_opencv(content)
    assert result.shape == shown.shape
    assert numpy.abs(result.astype(int) - shown).max() <= 1


def in_cielab(image: Image.Image) -> numpy.ndarray:
    """Return the image in CIELAB, converted by LittleCMS: L* of 255, a* and b* signed."""
    converted = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert converted is not None
    return numpy.asarray(converted).copy()


def in_cielab_of_16_bits(image: Image.Image) -> numpy.ndarray:
    lightness, *chroma = numpy.moveaxis(in_cielab(image), -1, 0)
    return numpy.dstack(
        [lightness * numpy.uint16(257), *(band.view("int8").astype("int16").view("uint16") << 8 for band in chroma)]
    )


LAB = {
    "8 bits": lambda image: tiff(in_cielab(image), photometric="cielab"),
    "8 bits, compressed": lambda image: tiff(in_cielab(image), photometric="cielab", compression="lzw", predictor=True),
    "16 bits": lambda image: tiff(in_cielab_of_16_bits(image), photometric="cielab"),
    "16 bits in planes": lambda image: tiff(
        numpy.moveaxis(in_cielab_of_16_bits(image), -1, 0), photometric="cielab", planarconfig="separate"
    ),
    "ICC's L*a*b*": lambda image: tiff(in_cielab(image) ^ numpy.array([0, 128, 128], "uint8"), photometric="icclab"),
    "with alpha": lambda image: tiff(
        numpy.dstack([in_cielab(image), numpy.full(image.size[::-1], 255, "uint8")]),
        photometric="cielab",
        extrasamples=["unassalpha"],
    ),
}


@pytest.mark.parametrize("algorithm", ["convert", "flip", "brightness", "resize"])
@pytest.mark.parametrize("target", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("kind", LAB)
def test_cielab_matches_littlecms(kind: str, target: str, algorithm: str) -> None:
    picture = Image.fromarray(SMOOTH)
    output: dict[str, object] = {"format": target, "quality": 100, "profile": "strip"}
    steps: dict[str, dict[str, object]] = {"brightness": {"amount": 0}, "flip": {}, "resize": {"width": 32}}
    params = output if algorithm == "convert" else steps[algorithm] | {"output": output}

    result = processed(LAB[kind](picture), algorithm, params)

    picture = ImageOps.mirror(picture) if algorithm == "flip" else picture
    picture = picture.resize((32, 24), Image.Resampling.LANCZOS) if algorithm == "resize" else picture
    shown = shown_by_opencv(result)
    assert numpy.abs(shown - numpy.asarray(picture)).mean() < 2
    assert numpy.abs(shown - numpy.asarray(picture)).max() < 14  # 8 bits of L*a*b* are coarse


@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_after_cielab_is_the_alpha(bits: int) -> None:
    picture, alpha = Image.fromarray(SMOOTH), numpy.tile(numpy.arange(0, 256, 4).astype("uint8"), (48, 1))
    values = in_cielab(picture) if bits == 8 else in_cielab_of_16_bits(picture)
    bands = numpy.dstack([values, alpha.astype(values.dtype) * values.dtype.type(257 if bits == 16 else 1)])

    content = tiff(bands, photometric="cielab", extrasamples=["unassalpha"])
    result = numpy.asarray(opened(processed(content, "convert", {"format": "png"}))).astype(int)

    assert numpy.abs(result[..., 3] - alpha).max() <= 1
    assert numpy.abs(result[..., :3] - SMOOTH).max() < 14


@pytest.mark.parametrize("photometric", [10, 32803, 32844])
def test_a_photometric_that_libvips_would_mistake_is_refused_with_a_reason(photometric: int) -> None:
    content = bytearray(tiff(bytes_of(COLORS), photometric="rgb"))
    with tifffile.TiffFile(io.BytesIO(bytes(content))) as file:
        place = file.pages.first.tags[262].offset + 8
    content[place : place + 2] = struct.pack("<H", photometric)

    with pytest.raises(ImageError, match="is not supported: save it as RGB"):
        processed(bytes(content), "convert", {"format": "png"})


def test_chroma_in_separate_planes_is_refused_with_a_reason() -> None:
    planes = numpy.ascontiguousarray(SMOOTH.transpose(2, 0, 1))
    content = tiff(planes, photometric="ycbcr", subsampling=(1, 1), planarconfig="separate")

    with pytest.raises(ImageError, match="YCbCr in separate planes"):
        processed(content, "convert", {"format": "png"})


def test_an_alpha_after_a_spare_band_is_the_alpha() -> None:
    alpha = RAMP[::-1]
    source = tiff(bytes_of(COLORS, RAMP, alpha), photometric="rgb", extrasamples=["unspecified", "unassalpha"])

    result = opened(processed(source, "convert", {"format": "png"}))

    assert numpy.array_equal(numpy.asarray(result), bytes_of(COLORS, alpha))


@pytest.mark.parametrize("color", ["#ff0000", "#00ff0080"])
def test_gray_with_alpha_lies_on_a_colored_background(color: str) -> None:
    half = opened(photo(mode="LA"))
    half.putalpha(Image.linear_gradient("L").resize(half.size))
    source = encoded(half, "PNG")

    result = opened(processed(source, "convert", {"format": "jpeg", "background": color, "quality": 100}))

    opaque = tuple(int(color[place : place + 2], 16) for place in (1, 3, 5))
    ground = Image.new("RGBA", (64, 48), (*opaque, 255))
    ground.alpha_composite(opened(source).convert("RGBA"))
    difference = numpy.asarray(result.convert("RGB")).astype(int) - numpy.asarray(ground.convert("RGB"))
    assert numpy.abs(difference).mean() < 3


def test_the_corners_of_a_gray_image_are_of_the_background_in_a_jpeg() -> None:
    output = {"format": "jpeg", "background": "#ff0000", "quality": 100}

    result = opened(processed(photo(mode="L"), "round_corners", {"radius": 10, "output": output}))

    red, green, blue = numpy.asarray(result.convert("RGB"))[0, 0]
    assert red > 245
    assert max(green, blue) < 10


EDGE = numpy.tile(numpy.repeat([0, 1], 48), (64, 1)).astype("float32")


@pytest.mark.parametrize("target", ["png", "jpeg", "tiff"])
@pytest.mark.parametrize("kernel", ["cubic", "mitchell", "lanczos3"])
@pytest.mark.parametrize("width", [40, 200])
def test_a_hard_edge_in_floating_point_is_resized_as_in_sixteen_bits(width: int, kernel: str, target: str) -> None:
    params = {"width": width, "kernel": kernel, "output": {"format": target, "quality": 100}}
    whole = tiff((EDGE * 65_535).astype("uint16"))

    result = numpy.asarray(opened(processed(tiff(EDGE), "resize", params))).astype(float)

    expected = numpy.asarray(opened(processed(whole, "resize", params))).astype(float)
    white = {"png": 1, "jpeg": 1, "tiff": 65_535}[target]
    assert numpy.abs(result * white - expected).max() <= 1.01
    if target == "tiff":
        pillows = Image.fromarray(EDGE).resize((width, round(width * 2 / 3)), Image.Resampling.LANCZOS)
        assert kernel != "lanczos3" or numpy.abs(result - numpy.asarray(pillows).clip(0, 1)).max() < 0.02


def test_a_range_that_is_refused_is_that_of_the_source_and_not_of_what_it_became() -> None:
    values = numpy.zeros((64, 96), "float32")
    values[30, 40] = 236

    with pytest.raises(ImageError, match="up to 236, but 1 is white"):
        processed(tiff(values), "resize", {"width": 30, "output": {"format": "png"}})


@pytest.mark.parametrize("target", ["png", "tiff"])
def test_what_is_not_a_number_is_black_and_reaches_no_farther_than_a_black_pixel(target: str) -> None:
    holed, black = numpy.full((64, 96), 0.5, "float32"), numpy.full((64, 96), 0.5, "float32")
    holed[30, 40], black[30, 40] = numpy.nan, 0
    params = {"width": 48, "output": {"format": target}}

    result = numpy.asarray(opened(processed(tiff(holed), "resize", params))).astype(float)

    assert numpy.array_equal(result, numpy.asarray(opened(processed(tiff(black), "resize", params))).astype(float))
    assert result[2, 2] == (0.5 if target == "tiff" else 32_768)
