"""Sources that a render process reads from the disk of the service."""

import struct
import zlib
from pathlib import Path

import pytest
from image_processor.imaging.output import Output
from image_processor.imaging.source import Source
from image_processor.render.config import RenderSettings
from image_processor.render.dialects.imgproxy import url as imgproxy_url
from image_processor.render.dialects.imgproxy.plan import plan_of
from image_processor.render.failures import BUSY, NOT_RENDERABLE, TOO_LARGE
from image_processor.render.plans.plan import DigestSource, Encoding, OriginSource, RenderPlan
from image_processor.render.processes.job import Job, JobOutcome, LocalFile, Made, Refused
from image_processor.render.processes.process import Renderer
from image_processor.render.routers.api import PreviewIn, preview_plan, thumbnail_plan
from PIL import Image

pytestmark = pytest.mark.slow

MIME = {".jpg": "image/jpeg", ".png": "image/png", ".gif": "image/gif"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.png"
    Image.effect_noise((40, 30), 80).save(path)
    return path


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


def renderer(max_file_bytes: int = 1_000_000) -> Renderer:
    sections = {
        "native": {"keys": []},
        "file_storage": {"blobs_folder": "", "blobs_url": ""},
        "limits": {"max_file_bytes": max_file_bytes},
    }
    return Renderer(RenderSettings.model_validate(sections))


def rendered(
    source: Path, options: str = "w:20", max_file_bytes: int = 1_000_000, format_name: str = "source"
) -> JobOutcome:
    """Return the answer to imgproxy's options, which may change limits."""
    grammar = imgproxy_url.Grammar(allow_security_options=True)
    url = imgproxy_url.parse(f"/signature/{options}/plain/http://localhost/source".encode(), grammar)
    plan = plan_of(url.source, url.options)
    file = LocalFile(str(source), "0" * 64)
    return renderer(max_file_bytes).answer(Job(plan, file, (), format_name, str(source.with_name("result"))))


def kind_of(answer: JobOutcome) -> str:
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


@pytest.mark.parametrize(
    ("name", "mode", "frames", "extension"),
    [
        ("AVIF", "RGB", 1, ".jpg"),
        ("AVIF", "RGBA", 1, ".png"),
        ("WEBP", "RGB", 1, ".jpg"),
        ("WEBP", "RGB", 2, ".gif"),
    ],
)
def test_a_client_that_shows_neither_avif_nor_webp_gets_neither(
    tmp_path: Path, name: str, mode: str, frames: int, extension: str
) -> None:
    images = [Image.new("RGBA", (40, 30), (number * 200, 0, 0, 128)).convert(mode) for number in range(frames)]
    source = tmp_path / "source"
    images[0].save(source, name, **({"save_all": True, "append_images": images[1:]} if frames > 1 else {}))
    plan = RenderPlan(OriginSource("http://localhost/"), (), Encoding(Output(), negotiated=True))
    job = Job(plan, LocalFile(str(source), "0" * 64), (), "plain", str(tmp_path / "result"))

    answer = renderer().answer(job)

    assert isinstance(answer, Made)
    assert answer.extension == extension
    assert MIME[extension] == Image.open(tmp_path / "result").get_format_mimetype()


@pytest.mark.parametrize(
    ("option", "name", "extension"),
    [
        ("webpo:lossless", "JPEG", ".jpg"),
        ("webpo:lossless", "GIF", ".gif"),
        ("webpo:lossless", "WEBP", ".webp"),
        ("mb:100", "JPEG", ".jpg"),
        ("mb:100", "WEBP", ".webp"),
        ("aq:size:100", "JPEG", ".jpg"),
        ("mb:100/f:best", "PNG", ".png"),
        # imgproxy sends the image of the highest quality if none is good enough.
        ("aq:dssim:0.00001::10", "JPEG", ".jpg"),
        ("aq:dssim:0.01", "TIFF", ".tif"),
    ],
)
def test_what_a_format_cannot_have_does_not_fail_the_image(
    tmp_path: Path, option: str, name: str, extension: str
) -> None:
    """imgproxy sends the image: `webp_options` are for WebP alone, and a limit of bytes is met as far as possible."""
    source = tmp_path / "source"
    Image.effect_noise((200, 150), 80).convert("RGB").save(source, name)

    answer = rendered(source, option)

    assert isinstance(answer, Made), answer
    assert answer.extension == extension
    Image.open(tmp_path / "result").load()


def result_of(source: Path, options: str, format_name: str = "source") -> bytes:
    answer = rendered(source, options, format_name=format_name)
    assert isinstance(answer, Made), answer
    return source.with_name("result").read_bytes()


@pytest.mark.parametrize("options", ["jpgo:1", "jpgo:0:1", "pngo:1", "pngo:0:1:16", "q:10", "mb:600"])
@pytest.mark.parametrize(("mode", "name"), [("RGB", "jpeg"), ("RGBA", "png")])
def test_a_format_of_the_codec_s_choice_has_the_options_of_that_format(
    tmp_path: Path, options: str, mode: str, name: str
) -> None:
    """The image is that of a URL that names the format."""
    source = tmp_path / "source"
    bands = [Image.linear_gradient("L").rotate(90 * turn).resize((64, 64)) for turn in range(4)]
    Image.merge(mode, bands[: len(mode)]).save(source, "AVIF")

    assert result_of(source, options, "plain") == result_of(source, f"{options}/f:{name}")


@pytest.mark.parametrize("name", ["webp", "avif"])
@pytest.mark.parametrize("options", ["w:0", "q:50", "webpo:lossless", "avifo:off", "mb:900"])
def test_the_best_format_has_the_options_of_that_format(tmp_path: Path, options: str, name: str) -> None:
    source = tmp_path / "source"
    # Noise, of which a lossless file is much larger than a lossy one.
    Image.effect_noise((64, 48), 80).convert("RGB").save(source, "PNG")

    assert result_of(source, f"{options}/f:best", name) == result_of(source, f"{options}/f:{name}")


def test_the_quality_of_a_dialect_takes_no_colors_away_from_a_bitmap(tmp_path: Path) -> None:
    """Such a format is not written, so the result is a PNG, to which imgproxy's quality does not apply."""
    source = tmp_path / "source"
    bands = [Image.linear_gradient("L").rotate(90 * turn) for turn in range(3)]
    Image.merge("RGB", bands).save(source, "BMP")

    answer = rendered(source, "w:0")

    assert isinstance(answer, Made)
    assert answer.extension == ".png"
    assert Image.open(tmp_path / "result").convert("RGB").tobytes() == Image.open(source).tobytes()


def test_the_smallest_file_is_sent_if_none_is_small_enough(tmp_path: Path) -> None:
    source, result = tmp_path / "source", tmp_path / "result"
    Image.effect_noise((200, 150), 80).save(source, "PNG")

    rendered(source, "q:1/f:jpg")
    smallest = result.read_bytes()
    rendered(source, "mb:100/f:jpg")

    assert result.read_bytes() == smallest


def test_without_a_dialect_a_limit_that_cannot_be_met_is_an_error(source: Path) -> None:
    encoding = Encoding(Output(format="jpeg", max_bytes=10))
    job = Job(
        RenderPlan(OriginSource("http://localhost/"), (), encoding),
        LocalFile(str(source), "0" * 64),
        (),
        "source",
        str(source.with_name("result")),
    )

    assert kind_of(renderer().answer(job)) == NOT_RENDERABLE


def test_a_url_limits_the_size_of_a_frame_of_an_animation(tmp_path: Path) -> None:
    source = tmp_path / "source"
    frames = [Image.new("RGB", (400, 300), (0, number * 60, 0)) for number in range(4)]
    frames[0].save(source, "GIF", save_all=True, append_images=frames[1:])

    assert isinstance(rendered(source, "maf:4/mafr:0.12"), Made)
    assert kind_of(rendered(source, "maf:4/mafr:0.11")) == NOT_RENDERABLE
    # A still image has no such limit.
    assert isinstance(rendered(source, "mafr:0.11"), Made)


@pytest.fixture(params=["PNG", "AVIF"])
def sequence(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return an animation of which only the first frame, in red, can be read."""
    frames = [Image.new("RGB", (40, 30), color) for color in ("red", "lime", "blue")]
    frames[0].save(tmp_path / "source", request.param, save_all=True, append_images=frames[1:])
    return tmp_path / "source"


def answer_to(plan: RenderPlan, source: Path, format_name: str = "source") -> JobOutcome:
    return renderer().answer(
        Job(plan, LocalFile(str(source), "0" * 64), (), format_name, str(source.with_name("result")))
    )


def image_by_url(reading: Source) -> RenderPlan:
    return RenderPlan(OriginSource("http://localhost/"), (), Encoding(Output(), negotiated=True), reading)


def assert_red_still(path: Path, kind: str) -> None:
    with Image.open(path) as image:
        assert (image.format, getattr(image, "n_frames", 1)) == (kind, 1)
        red, green, blue = image.convert("RGB").resize((1, 1)).tobytes()
        assert red > 240
        assert max(green, blue) < 15


def test_the_thumbnail_of_a_sequence_is_its_first_frame(sequence: Path) -> None:
    answer = answer_to(thumbnail_plan(DigestSource("0" * 64), 128), sequence)

    assert isinstance(answer, Made), answer
    assert_red_still(sequence.with_name("result"), "WEBP")


@pytest.mark.parametrize(("format_name", "kind"), [("webp", "WEBP"), ("avif", "AVIF"), ("gif", "GIF")])
def test_an_image_by_url_of_a_sequence_is_its_first_frame(sequence: Path, format_name: str, kind: str) -> None:
    answer = answer_to(image_by_url(Source()), sequence, format_name)

    assert isinstance(answer, Made), answer
    assert_red_still(sequence.with_name("result"), kind)


def test_a_url_that_asks_for_frames_of_a_sequence_is_refused(sequence: Path) -> None:
    assert kind_of(answer_to(image_by_url(Source(frames=3)), sequence, "webp")) == NOT_RENDERABLE


def test_a_preview_of_a_sequence_is_refused_as_the_task_would_be(sequence: Path) -> None:
    wanted = PreviewIn.model_validate({"file_id": 1, "steps": [{"algorithm": "flip"}], "output": {"format": "webp"}})

    assert kind_of(answer_to(preview_plan(wanted), sequence)) == NOT_RENDERABLE


def test_the_reason_of_a_refusal_is_never_that_of_the_file_before(tmp_path: Path) -> None:
    before, damaged = tmp_path / "before.jpg", tmp_path / "damaged.png"
    Image.effect_noise((40, 30), 80).save(before)
    before.write_bytes(before.read_bytes()[:-200])
    Image.new("L", (40, 30)).save(damaged)
    head = struct.pack(">4sIIB4x", b"IHDR", 40, 30, 3)  # 3 bits per sample
    damaged.write_bytes(damaged.read_bytes()[:12] + head + struct.pack(">I", zlib.crc32(head)))

    refusals = [rendered(before), rendered(damaged, "raw:1")]

    assert [refused.detail for refused in refusals if isinstance(refused, Refused)] == [
        "The image cannot be decoded: the file is truncated or corrupt.",
        "The image cannot be decoded: its header is invalid.",
    ]
