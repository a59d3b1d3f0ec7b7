"""Geometry, compared with NumPy, Pillow and scikit-image."""

import io
import zipfile

import cv2
import numpy
import pytest
import pyvips
from image_processor.services.codec.decoding import ImageError
from image_processor.services.codec.plan import plan_of
from PIL import Image, ImageOps
from service_kit.errors import DomainError
from skimage.transform import ProjectiveTransform, warp

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo, pixels

pytestmark = pytest.mark.slow


def made(source: bytes, algorithm: str, **params: object) -> numpy.ndarray:
    return pixels(processed(source, algorithm, params))


def marked(width: int, height: int, left: int, top: int, size: int = 12) -> bytes:
    """Return a gray image with a red square."""
    image = Image.new("RGB", (width, height), (128, 128, 128))
    image.paste((255, 0, 0), (left, top, left + size, top + size))
    return encoded(image, "PNG")


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({"width": 40, "height": 40, "fit": "fill"}, (40, 40)),
        ({"width": 40, "height": 40, "fit": "cover"}, (40, 40)),
        ({"width": 40, "height": 40, "fit": "contain"}, (40, 40)),
        ({"width": 40, "height": 40, "fit": "inside"}, (40, 20)),
        ({"width": 40, "height": 40, "fit": "outside"}, (80, 40)),
        ({"width": 40}, (40, 20)),
        ({"width": 40, "dpr": 2}, (80, 40)),
        ({"width": 300, "height": 300, "fit": "inside"}, (120, 60)),
        ({"width": 300, "height": 300, "fit": "inside", "enlarge": True}, (300, 150)),
        ({"width": 300, "height": 300, "fit": "cover"}, (120, 60)),
        ({"width": 300, "height": 300, "fit": "cover", "enlarge": True}, (300, 300)),
        ({"width": 300, "height": 300, "fit": "contain"}, (300, 300)),
        ({"width": 300}, (300, 150)),
    ],
)
def test_resize_fits_as_requested(params: dict[str, object], size: tuple[int, int]) -> None:
    assert opened(processed(photo(120, 60), "resize", params)).size == size


@pytest.mark.slow
@pytest.mark.parametrize("format", ["JPEG", "WEBP", "PNG"])
@pytest.mark.parametrize(
    "width", [1600, 333, 41, 1, *(pytest.param(w, marks=pytest.mark.thorough) for w in (700, 400, 200, 199, 100, 7))]
)
def test_an_image_that_is_decoded_smaller_has_the_exact_size(format: str, width: int) -> None:
    result = opened(processed(photo(1601, 1199, format=format), "resize", {"width": width}))

    assert result.size == (width, max(1, round(1199 * width / 1601)))


@pytest.mark.parametrize("width", [800, 399, 100, 60])
def test_an_image_that_is_decoded_smaller_matches_pillow(width: int) -> None:
    source = photo(1600, 1200, format="JPEG", quality=95)

    result = made(source, "resize", width=width, output={"format": "png"})

    expected = numpy.asarray(opened(source).resize((width, width * 3 // 4), Image.Resampling.LANCZOS)).astype(int)
    assert numpy.abs(result[3:-3, 3:-3, :2] - expected[3:-3, 3:-3, :2]).mean() < 1.5


@pytest.mark.parametrize(
    ("kernel", "filter"),
    [
        ("linear", Image.Resampling.BILINEAR),
        ("cubic", Image.Resampling.BICUBIC),
        ("lanczos3", Image.Resampling.LANCZOS),
    ],
)
def test_kernels_match_pillow(kernel: str, filter: Image.Resampling) -> None:
    random = numpy.random.default_rng(3)
    source = encoded(Image.fromarray(random.integers(0, 255, (120, 160, 3), dtype="uint8")), "PNG")

    result = made(source, "resize", width=80, height=60, kernel=kernel)

    expected = numpy.asarray(opened(source).resize((80, 60), filter)).astype(int)
    assert numpy.abs(result - expected)[3:-3, 3:-3].mean() < 3


@pytest.mark.parametrize("factor", [2, 3, 4, 36])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_nearest_repeats_each_pixel_exactly(mode: str, factor: int) -> None:
    source = photo(8, 6, mode=mode)

    result = made(source, "resize", width=8 * factor, height=6 * factor, kernel="nearest")

    assert (result == pixels(source).repeat(factor, axis=0).repeat(factor, axis=1)).all()


@pytest.mark.parametrize("size", [(32, 24), (21, 17), (100, 9), (7, 5)])
def test_nearest_takes_the_pixel_that_contains_each_middle(size: tuple[int, int]) -> None:
    result = made(photo(64, 48), "resize", width=size[0], height=size[1], kernel="nearest")

    across, down = (((numpy.arange(n) + 0.5) * side / n).astype(int) for n, side in zip(size, (64, 48), strict=True))
    assert (result == pixels(photo(64, 48))[down][:, across]).all()


@pytest.mark.parametrize("size", [(120, 90), (101, 67), (300, 61)])
@pytest.mark.parametrize(
    ("kernel", "filter"),
    [
        ("linear", Image.Resampling.BILINEAR),
        ("cubic", Image.Resampling.BICUBIC),
        ("lanczos3", Image.Resampling.LANCZOS),
    ],
)
def test_an_image_is_enlarged_with_the_requested_kernel(
    kernel: str, filter: Image.Resampling, size: tuple[int, int]
) -> None:
    random = numpy.random.default_rng(3)
    source = encoded(Image.fromarray(random.integers(80, 175, (60, 80, 3), dtype="uint8")), "PNG")

    result = made(source, "resize", width=size[0], height=size[1], kernel=kernel)

    expected = numpy.asarray(opened(source).resize(size, filter)).astype(int)
    inside = (slice(8, -8), slice(8, -8))
    assert numpy.abs(result - expected)[inside].max() <= (1 if kernel == "lanczos3" else 4), "libvips rounds places"


def test_mitchell_and_lanczos2_differ_from_the_others_when_enlarging() -> None:
    dot = numpy.zeros((9, 9), dtype="uint8")
    dot[4, 4] = 255
    source = encoded(Image.fromarray(dot), "PNG")

    results = [made(source, "resize", width=45, kernel=kernel) for kernel in ("mitchell", "lanczos2", "lanczos3")]

    assert results[0].max() == round(255 * (8 / 9) ** 2), "(6 - 2B) / 6 in each direction, with B = 1/3"
    assert (results[1] != results[2]).any()


@pytest.mark.parametrize("size", [(1601, 1199), (1603, 1201), (1600, 1202), (1606, 1204)])
@pytest.mark.parametrize("orientation", [1, 3])
def test_an_image_that_is_decoded_smaller_is_not_shifted(size: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    random = numpy.random.default_rng(8).integers(0, 255, (size[1] // 40, size[0] // 40, 3), dtype="uint8")
    source = encoded(Image.fromarray(random).resize(size, Image.Resampling.BICUBIC), "JPEG", quality=97, exif=exif)

    result = made(source, "resize", width=200, height=150, output={"format": "png"})

    upright = ImageOps.exif_transpose(opened(source))
    expected = numpy.asarray(upright.resize((200, 150), Image.Resampling.LANCZOS)).astype(int)
    apart = (result - expected) ** 2
    for part in (apart[:20], apart[-20:], apart[:, :20], apart[:, -20:]):
        assert part.mean() < 1.5, "46 decibels"


SMALL_PAGODA = (320, 214)


def one_picture_in_many_files() -> dict[str, bytes]:
    y, x = numpy.mgrid[0 : SMALL_PAGODA[1], 0 : SMALL_PAGODA[0]]
    random = numpy.random.default_rng(5).integers(0, 60, (*x.shape, 3))
    spots = [
        ((x - a) ** 2 + (y - b) ** 2 < 500)[..., None] * numpy.array(c)
        for a, b, c in ((60, 40, (150, 20, 20)), (200, 160, (20, 150, 20)), (290, 60, (10, 10, 150)))
    ]
    jpeg = encoded(Image.fromarray((sum(spots) + random).astype("uint8")), "JPEG", quality=95)
    shown = numpy.asarray(opened(jpeg))
    deep = pyvips.Image.new_from_array(shown.astype("uint16") * 257).copy(interpretation="rgb16")
    png = encoded(opened(jpeg), "PNG")
    return {
        "JPEG": jpeg,
        "PNG": png,
        "TIFF": encoded(opened(jpeg), "TIFF"),
        "16 bits": deep.pngsave_buffer(bitdepth=16),
    }


@pytest.mark.parametrize("gravity", ["attention", "entropy"])
@pytest.mark.parametrize("size", [(100, 100), (50, 100), (100, 30)])
@pytest.mark.parametrize("algorithm", ["resize", "crop"])
def test_a_smart_crop_shows_the_same_part_of_every_format(algorithm: str, size: tuple[int, int], gravity: str) -> None:
    params = {"width": size[0], "height": size[1], "gravity": gravity, "output": {"format": "png"}}
    params |= {"fit": "cover"} if algorithm == "resize" else {}

    results = {
        kind: pyvips.Image.new_from_buffer(processed(content, algorithm, params), "")
        for kind, content in one_picture_in_many_files().items()
    }

    shown = {kind: image.numpy() / (257 if image.format == "ushort" else 1) for kind, image in results.items()}
    # libvips clips values to 8 bits between its two passes.
    assert all(numpy.abs(shown["PNG"] - other).max() <= 4 for other in shown.values())


def test_transparent_colors_do_not_bleed_into_a_smaller_image() -> None:
    image = Image.new("RGBA", (64, 64), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 31, 64))

    result = made(encoded(image, "PNG"), "resize", width=16)

    visible = result[result[..., 3] > 0]
    assert visible[:, 0].max() <= 1
    assert visible[:, 2].min() >= 254


def test_linear_light_mixes_black_and_white_to_the_gray_of_half_the_light() -> None:
    board = (numpy.indices((64, 64)).sum(axis=0) % 2 * 255).astype("uint8")

    result = made(encoded(Image.fromarray(board), "PNG"), "resize", width=16, linear=True)

    assert abs(result[4:-4, 4:-4].mean() - 188) < 2, "sRGB 188 is half of the light of 255"


def test_cover_keeps_the_part_of_the_gravity() -> None:
    source = marked(200, 100, left=180, top=44)

    east = made(source, "resize", width=100, height=100, fit="cover", gravity="east")
    west = made(source, "resize", width=100, height=100, fit="cover", gravity="west")

    assert east[50, 86].tolist() == [255, 0, 0]
    assert (west[..., 0] == 128).all()


@pytest.mark.parametrize("params", [{"gravity": "attention"}, {"focal": {"x": 0.93, "y": 0.5}}])
def test_cover_keeps_the_part_that_draws_the_eye(params: dict[str, object]) -> None:
    source = marked(200, 100, left=180, top=44)

    result = made(source, "resize", width=100, height=100, fit="cover", **params)

    assert (result[..., 1] < 30).sum() == 12 * 12, "the whole square is there"


def test_contain_puts_the_image_on_its_background() -> None:
    result = made(photo(40, 20), "resize", width=40, height=40, fit="contain", background="#0000ff")

    assert result[0, 0].tolist() == [0, 0, 255]
    assert (result[10:30] == pixels(photo(40, 20))).all()


def test_contain_is_transparent_by_default() -> None:
    result = made(photo(40, 20), "resize", width=40, height=40, fit="contain")

    assert result[0, 0, 3] == 0
    assert result[20, 20, 3] == 255


@pytest.mark.parametrize(
    ("params", "box"),
    [
        ({"width": 20, "height": 10, "left": 5, "top": 7}, (5, 7, 25, 17)),
        ({"width": 50, "height": 50, "unit": "percent", "gravity": "southeast"}, (32, 24, 64, 48)),
        ({"width": 20, "height": 10}, (22, 19, 42, 29)),
        ({"aspect_ratio": 1, "gravity": "west"}, (0, 0, 48, 48)),
        ({"width": 20, "height": 20, "focal": {"x": 0, "y": 1}}, (0, 28, 20, 48)),
        ({"width": 1000, "height": 10, "top": 40, "left": 60}, (60, 40, 64, 48)),
    ],
)
def test_crop_keeps_the_part(params: dict[str, object], box: tuple[int, int, int, int]) -> None:
    expected = numpy.asarray(opened(photo()).crop(box)).astype(int)

    assert (made(photo(), "crop", **params) == expected).all()


@pytest.mark.parametrize("algorithm", ["crop", "pad", "extend", "levels", "curves", "channels"])
def test_params_that_would_do_nothing_are_refused_with_a_list_of_parameters(algorithm: str) -> None:
    with pytest.raises(DomainError) as refused:
        processed(photo(), algorithm, {})

    assert any("nothing to do: give" in error["detail"] for error in refused.value.errors)


def test_a_part_outside_of_the_image_is_refused() -> None:
    with pytest.raises(ImageError, match="outside the image, which has 64 × 48 pixels"):
        processed(photo(), "crop", {"left": 64, "width": 10})


@pytest.mark.parametrize("angle", [-270, -90, 0, 90, 180, 270, 360])
def test_quarter_turns_keep_every_pixel(angle: int) -> None:
    assert (made(photo(), "rotate", angle=angle) == numpy.rot90(pixels(photo()), -angle // 90)).all()


def test_other_angles_match_pillow() -> None:
    source = photo(100, 80)

    result = opened(processed(source, "rotate", {"angle": 30, "background": "#000000"}))

    expected = opened(source).rotate(-30, Image.Resampling.BICUBIC, expand=True)
    assert abs(result.width - expected.width) <= 2
    assert abs(result.height - expected.height) <= 2
    middle = (slice(40, 60), slice(50, 70))
    size = expected.size
    close = numpy.asarray(result.resize(size)).astype(int)[middle] - numpy.asarray(expected).astype(int)[middle]
    assert numpy.abs(close[..., :2]).mean() < 4


@pytest.mark.parametrize(
    ("mode", "numpys"), [("copy", "edge"), ("mirror", "symmetric"), ("repeat", "wrap"), ("background", "constant")]
)
def test_pad_matches_numpy(mode: str, numpys: str) -> None:
    options = {"constant_values": 0} if mode == "background" else {}
    expected = numpy.pad(pixels(photo()), ((3, 5), (7, 2), (0, 0)), numpys, **options)  # type: ignore[call-overload]  # a mode by its name

    result = made(photo(), "pad", top=3, bottom=5, left=7, right=2, mode=mode, background="#000")

    assert (result == expected).all()


def test_extend_reaches_the_aspect_ratio() -> None:
    expected = ImageOps.pad(opened(photo(64, 48)), (64, 64), color=(255, 0, 0))

    assert (made(photo(64, 48), "extend", aspect_ratio=1, background="red") == numpy.asarray(expected)).all()


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("extend", {"width": 80}),
        ("pad", {"left": 16}),
        ("resize", {"width": 80, "height": 48, "fit": "contain"}),
        ("rotate", {"angle": 10}),
    ],
)
def test_the_background_is_transparent_by_default_and_white_in_a_jpeg(
    algorithm: str, params: dict[str, object]
) -> None:
    assert made(photo(64, 48), algorithm, **params)[1, 1].tolist()[3] == 0

    jpeg = made(photo(64, 48), algorithm, **params, output={"format": "jpeg", "quality": 100})
    assert jpeg[1, 1].min() > 250


def test_extend_blurred_keeps_the_image_in_the_middle() -> None:
    result = made(photo(64, 48), "extend", width=100, height=100, mode="blur")

    assert (result[26:74, 18:82] == pixels(photo(64, 48))).all()
    assert result[0:20].std() > 10, "around it lies a picture, not a color"


def test_trim_cuts_the_border_away() -> None:
    bordered = encoded(ImageOps.expand(opened(photo()), (5, 9, 3, 2), (250, 250, 250)), "PNG")

    assert made(bordered, "trim", threshold=20).shape[:2] == (48, 64)


def test_trim_keeps_a_margin_and_an_image_of_one_color() -> None:
    bordered = encoded(ImageOps.expand(opened(photo()), 9, (250, 250, 250)), "PNG")
    plain = encoded(Image.new("RGB", (10, 8), "red"), "PNG")

    assert made(bordered, "trim", threshold=20, margin=4).shape[:2] == (56, 72)
    assert made(plain, "trim").shape[:2] == (8, 10)


def test_trim_cuts_transparent_edges() -> None:
    image = Image.new("RGBA", (30, 20), (255, 0, 0, 0))
    image.paste((0, 255, 0, 255), (10, 5, 20, 15))

    assert made(encoded(image, "PNG"), "trim").shape == (10, 10, 4)


def test_trim_cuts_all_frames_alike() -> None:
    frames = []
    for left in (10, 20):
        frame = Image.new("RGB", (60, 40), "white")
        frame.paste("black", (left, 10, left + 10, 20))
        frames.append(frame)
    source = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)

    result = opened(processed(source, "trim"))

    assert (result.size, getattr(result, "n_frames", 1)) == ((20, 10), 2)


def test_round_corners_is_a_circle_at_fifty_percent() -> None:
    alpha = made(photo(101, 101), "round_corners", radius=50, unit="percent")[..., 3]

    y, x = numpy.mgrid[0:101, 0:101] - 50.0
    expected = numpy.clip(50.5 - numpy.hypot(x, y) + 0.5, 0, 1) * 255
    assert numpy.abs(alpha - expected).max() <= 3


@pytest.mark.parametrize("params", [{"radius": 5e-324}, {"radius": 5e-324, "radius_y": 1.0}, {"radius": 0}])
def test_corners_of_an_invisible_radius_stay_square(params: dict[str, float]) -> None:
    assert (made(photo(), "round_corners", **params)[..., :3] == pixels(photo())).all()


def test_border_matches_pillow() -> None:
    expected = numpy.asarray(ImageOps.expand(opened(photo()), 4, (255, 0, 0)))

    assert (made(photo(), "border", width=4, color="#f00") == expected).all()


def test_perspective_matches_scikit_image() -> None:
    corners = [(10, 8), (56, 4), (60, 44), (6, 40)]
    source = photo()
    points = [{"x": x / 64, "y": y / 48} for x, y in corners]

    result = made(source, "perspective", corners=points, background="#000000", width=64, height=48)

    edges = numpy.array([(0, 0), (64, 0), (64, 48), (0, 48)]) - 0.5
    transform = ProjectiveTransform.from_estimate(edges, numpy.array(corners) - 0.5)
    expected = warp(pixels(source).astype(float), transform, output_shape=(48, 64), order=3, preserve_range=True)
    assert numpy.abs(result - expected)[2:-2, 2:-2, :2].mean() < 1


def test_a_straightened_page_is_as_large_as_its_longer_edges() -> None:
    points = [{"x": x / 64, "y": y / 48} for x, y in [(10, 8), (50, 8), (60, 44), (6, 40)]]

    result = made(photo(), "perspective", corners=points)

    assert result.shape[:2] == (round(numpy.hypot(10, 36)), round(numpy.hypot(54, 4)))


def test_fine_stripes_become_gray_where_perspective_shrinks() -> None:
    stripes = numpy.tile(numpy.array([0, 255], dtype="uint8"), (400, 350))
    whole = [{"x": x, "y": y} for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)]]

    result = made(encoded(Image.fromarray(stripes), "PNG"), "perspective", corners=whole, width=100, height=57)

    assert result[2:-2, 2:-2, 0].std() < 5
    assert abs(result[2:-2, 2:-2, 0].mean() - 127.5) < 2


@pytest.mark.parametrize("order", [(0, 2, 1, 3), (0, 1, 3, 2), (1, 0, 2, 3)])
def test_crossed_corners_are_refused(order: tuple[int, ...]) -> None:
    corners = [{"x": 0.1, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]

    with pytest.raises(ImageError, match="do not form a quadrangle"):
        processed(photo(), "perspective", {"corners": [corners[place] for place in order]})


def test_four_points_on_a_line_are_refused() -> None:
    points = [{"x": 0.1 * n, "y": 0.1 * n} for n in range(4)]

    with pytest.raises(ImageError, match="do not form a quadrangle"):
        processed(photo(), "perspective", {"corners": points})


def test_tile_makes_a_deep_zoom_pyramid() -> None:
    archive = zipfile.ZipFile(io.BytesIO(processed(photo(600, 400), "tile", {"tile_size": 256, "overlap": 0})))

    names = archive.namelist()
    assert any(name.endswith("image.dzi") for name in names)
    largest = [name for name in names if "/10/" in name and name.endswith(".jpg")]
    assert len(largest) == 3 * 2
    tile = opened(archive.read(next(name for name in largest if name.endswith("0_0.jpg"))))
    assert tile.size == (256, 256)
    close = numpy.asarray(tile).astype(int) - pixels(photo(600, 400))[:256, :256]
    assert numpy.abs(close[..., :2]).mean() < 3


@pytest.mark.parametrize("layout", ["google", "zoomify", "iiif", "iiif3"])
def test_viewers_get_tiles_of_256_pixels(layout: str) -> None:
    archive = zipfile.ZipFile(
        io.BytesIO(processed(photo(600, 400), "tile", {"layout": layout, "id": "https://a.example/b"}))
    )

    sizes = [opened(archive.read(name)).size for name in archive.namelist() if name.endswith(".jpg")]
    assert max(sizes) == (256, 256)


@pytest.mark.parametrize("layout", ["iiif", "iiif3"])
def test_iiif_tiles_without_an_address_are_refused(layout: str) -> None:
    with pytest.raises(DomainError, match="IIIF needs `id`, the address of the folder"):
        plan_of("tile", {"layout": layout})


@pytest.mark.parametrize("layout", ["iiif", "iiif3"])
def test_iiif_tiles_have_the_given_address(layout: str) -> None:
    params = {"layout": layout, "id": "https://images.example.org/tiles"}

    archive = zipfile.ZipFile(io.BytesIO(processed(photo(600, 400), "tile", params)))

    assert "https://images.example.org/tiles/image" in archive.read("image/info.json").decode()


def test_thumbnail_crops_to_its_size_or_stays_within() -> None:
    source = photo(640, 320, format="JPEG")

    assert opened(processed(source, "thumbnail", {"width": 100, "height": 100})).size == (100, 50)
    assert opened(processed(source, "thumbnail", {"width": 100, "height": 100, "crop": True})).size == (100, 100)
    assert opened(processed(photo(64, 32), "thumbnail")).size == (64, 32)


def test_thumbnail_matches_pillow() -> None:
    source = photo(1600, 1200, format="JPEG", quality=95)

    result = made(source, "thumbnail", width=160, height=160, output={"format": "png"})

    expected = numpy.asarray(opened(source).resize((160, 120), Image.Resampling.LANCZOS)).astype(int)
    assert numpy.abs(result[3:-3, 3:-3, :2] - expected[3:-3, 3:-3, :2]).mean() < 1.5


@pytest.mark.parametrize("algorithm", ["resize", "thumbnail", "rotate", "auto_orient"])
def test_orientation_is_applied_once(algorithm: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    source = photo(640, 320, format="JPEG", exif=exif)
    params = {"resize": {"width": 160}, "rotate": {"angle": 0}}.get(algorithm)

    result = opened(processed(source, algorithm, params))

    assert result.width * 2 == result.height
    assert result.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("kernel", ["nearest", "linear", "cubic", "mitchell", "lanczos2", "lanczos3"])
@pytest.mark.parametrize("width", [37, 111, 301])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_an_area_of_one_value_in_sixteen_bits_stays_so_when_it_is_resized(bands: int, width: int, kernel: str) -> None:
    flat = numpy.full((100, 150, bands), 65_275, "uint16")
    flat[..., 3:] = 65_535
    source = bytes(cv2.imencode(".png", flat)[1])

    result = processed(source, "resize", {"width": width, "kernel": kernel})

    values = cv2.imdecode(numpy.frombuffer(result, "uint8"), cv2.IMREAD_UNCHANGED)
    assert values is not None
    assert values.dtype == numpy.uint16
    assert values.shape[1] == width
    assert set(numpy.unique(values)) == {65_275, *([65_535] if bands == 4 else [])}
