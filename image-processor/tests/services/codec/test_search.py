"""The quality that is found, compared with every quality, and with the SSIM of scikit-image."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy
import pytest
import pyvips
from image_processor.imaging.output import Output
from image_processor.services.codec import search

# It turns off libvips' cache, which would return an earlier trial.
from image_processor.services.codec.decoding import ImageError
from image_processor.services.codec.saving import save
from image_processor.services.codec.search import Encoder, sample_of
from skimage import metrics

pytestmark = pytest.mark.slow

QUALITIES = range(1, 101)


def grainy(width: int = 96, height: int = 64) -> pyvips.Image:
    """Return a gray picture that compresses like a photograph."""
    across, down = numpy.meshgrid(numpy.linspace(40, 200, width), numpy.linspace(0, 40, height))
    grain = numpy.random.default_rng(5).normal(0, 12, (height, width))
    values = numpy.clip(across + down + grain, 0, 255).astype("uint8")
    return pyvips.Image.new_from_array(values).copy(interpretation="b-w")


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Mapping[int, bytes]:
    """Return the picture as a JPEG of each quality."""
    path = tmp_path_factory.mktemp("every") / "a.jpeg"

    def saved(quality: int) -> bytes:
        save(grainy(), "jpeg", Output(), quality, 9, path)
        return path.read_bytes()

    return {quality: saved(quality) for quality in QUALITIES}


@cache
def alike(content: bytes) -> float:
    shown = pyvips.Image.jpegload_buffer(content).numpy()
    similarity = metrics.structural_similarity(
        grainy().numpy(), shown, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(similarity)


def written(path: Path, every: Mapping[int, bytes], output: Output) -> int:
    """Return the quality of the file that is written."""
    Encoder(grainy(), "jpeg", output, path).write()
    assert list(path.parent.iterdir()) == [path], "no other file is left"
    return next(quality for quality in QUALITIES if every[quality] == path.read_bytes())


@pytest.mark.parametrize("aim", [5, 50, 85, 100])
def test_the_best_quality_within_a_size_is_found(tmp_path: Path, every: Mapping[int, bytes], aim: int) -> None:
    limit = len(every[aim])

    quality = written(tmp_path / "a.jpeg", every, Output(max_bytes=limit))

    assert len(every[quality]) <= limit
    assert quality == 100 or len(every[quality + 1]) > limit


@pytest.mark.parametrize("wanted", [0.6, 0.9, 0.99])
def test_the_smallest_quality_that_reaches_an_ssim_is_found(
    tmp_path: Path, every: Mapping[int, bytes], wanted: float
) -> None:
    quality = written(tmp_path / "a.jpeg", every, Output(min_ssim=wanted))

    assert alike(every[quality]) >= wanted - 1e-4
    assert alike(every[quality - 1]) < wanted + 1e-4


@pytest.mark.parametrize("output", [Output(min_ssim=0.9, quality=20), Output(max_bytes=100), Output(min_ssim=0.99999)])
def test_a_search_without_a_result_leaves_no_file(tmp_path: Path, output: Output) -> None:
    with pytest.raises(ImageError):
        Encoder(grainy(), "jpeg", output, tmp_path / "a.jpeg").write()

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("aim", [60, 75, 90])
def test_a_sample_leads_to_a_quality_near_the_best_one(
    tmp_path: Path, every: Mapping[int, bytes], aim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a large picture, a quality that is 3 of 100 steps from the best one is good enough: few trials must do."""
    monkeypatch.setattr(search, "SAMPLED_FROM", 0)

    by_size = written(tmp_path / "a.jpeg", every, Output(max_bytes=len(every[aim])))
    by_ssim = written(tmp_path / "a.jpeg", every, Output(min_ssim=alike(every[aim]) - 1e-5))

    assert aim - 3 <= by_size <= aim
    assert aim <= by_ssim <= aim + 3


def test_a_search_in_a_gif_stays_below_the_quality_of_the_output(tmp_path: Path) -> None:
    path, best, limited = (tmp_path / f"{name}.gif" for name in ("a", "best", "limited"))
    save(grainy(), "gif", Output(), 100, 9, best)
    save(grainy(), "gif", Output(), 40, 9, limited)

    Encoder(grainy(), "gif", Output(max_bytes=10**6, quality=40), path).write()

    assert path.stat().st_size <= limited.stat().st_size < best.stat().st_size


def textured(width: int, height: int) -> pyvips.Image:
    """Return a picture that an encoder makes smaller with more effort."""
    edges = pyvips.Image.zone(160, 120).linear(100, 128).cast("uchar")
    return edges.replicate(-(-width // 160), -(-height // 120)).crop(0, 0, width, height).copy(interpretation="b-w")


@pytest.mark.parametrize(
    ("format", "width", "height", "most"),
    [
        ("avif", 160, 120, 4),
        ("avif", 1010, 250, 3),
        ("png", 1010, 250, 5),
        ("gif", 1010, 250, 5),
    ],
)
def test_a_search_has_a_limited_effort_because_it_encodes_many_times(
    tmp_path: Path, format: str, width: int, height: int, most: int
) -> None:
    picture = textured(width, height)

    def shown(effort: int) -> bytes:
        path = tmp_path / f"{effort}.{format}"
        Encoder(picture, format, Output(max_bytes=10**6, quality=3, effort=effort), path).write()
        return bytes(pyvips.Image.new_from_file(str(path)).numpy())

    assert shown(9) == shown(most) != shown(most - 1)


def test_a_search_for_an_ssim_has_a_limited_effort_too(tmp_path: Path) -> None:
    def written_with(effort: int) -> bytes:
        path = tmp_path / f"{effort}.avif"
        Encoder(textured(96, 64), "avif", Output(min_ssim=0.9, effort=effort), path).write()
        return path.read_bytes()

    assert written_with(9) == written_with(4) != written_with(3)


@pytest.mark.parametrize(("output", "most"), [({}, 3), ({"max_bytes": 10**6}, 2)])
def test_a_sample_is_encoded_with_the_effort_of_the_whole_image(
    tmp_path: Path, output: Mapping[str, object], most: int
) -> None:
    picture = textured(2010, 1000)

    def expected(effort: int) -> float:
        wished = Output.model_validate({**output, "quality": 3, "effort": effort})
        return Encoder(picture, "avif", wished, tmp_path / "a.avif").expected_bytes()

    assert expected(9) == expected(most) != expected(most - 1)


def test_an_animation_reaches_an_ssim_although_its_frames_have_no_delay(tmp_path: Path) -> None:
    frames = [grainy(), grainy(), grainy().flip("horizontal")]
    image = pyvips.Image.arrayjoin(frames, across=1).copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", frames[0].height)
    image.set_type(pyvips.GValue.array_int_type, "delay", [0, 0, 0])

    Encoder(image, "webp", Output(min_ssim=0.7), tmp_path / "a.webp").write()

    assert (tmp_path / "a.webp").exists()


def test_a_format_that_cannot_be_written_is_larger_than_any_other(tmp_path: Path) -> None:
    encoding = Encoder(grainy(), "jpeg", Output(), tmp_path / "missing" / "a.jpeg")

    assert encoding.expected_bytes() == float("inf")
    with pytest.raises(pyvips.Error):
        encoding.write()


def test_a_sample_has_whole_blocks_from_all_over_the_image() -> None:
    """The blocks of a JPEG with half the chroma have 16 by 16 pixels (ITU-T T.81, A.2.4)."""
    width, height = 1900, 1300
    places = pyvips.Image.xyz(width, height).copy(interpretation="multiband")
    places.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Copyright", "Ada")
    places.set_type(pyvips.GValue.blob_type, "icc-profile-data", b"a profile")

    sample = sample_of(places)

    corners = sample.numpy()[::256, ::256]
    assert (sample.width, sample.height) == (768, 768)
    assert (corners % 16 == 0).all()
    for axis, side in ((0, width), (1, height)):
        first, middle, last = sorted({int(place) for place in corners[..., axis].flat})
        assert 0 < first < side / 3 - 128 < middle < side * 2 / 3 - 128 < last < side - 256
    assert "exif-ifd0-Copyright" not in sample.get_fields()
    assert sample.get("icc-profile-data") == b"a profile"


def test_the_sample_of_a_small_image_is_the_image() -> None:
    assert (sample_of(grainy()).numpy() == grainy().numpy()).all()
