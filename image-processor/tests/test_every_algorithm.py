"""Rules for every algorithm: on every kind of image, with any params."""

import io
import json
import subprocess
import sys
import zipfile
from functools import cache

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_processor.algorithms.registry import Algorithm, all_algorithms
from image_processor.services.codec.decoding import ImageError
from image_processor.services.codec.plan import task_params
from PIL import Image, ImageSequence

from tests.support.algorithm_runs import processed
from tests.support.images import encoded, opened, photo
from tests.support.params import params_of

pytestmark = pytest.mark.slow

CUBE = "LUT_3D_SIZE 2\n" + "\n".join(f"{1 - r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))
DELAYS = [100, 250, 40]


@cache
def animation(format: str) -> bytes:
    frames = [opened(photo(40, 30)).rotate(90 * turn) for turn in range(3)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=DELAYS, loop=3)


def deep() -> bytes:
    ramp = (numpy.arange(64 * 48) * 20).reshape(48, 64).astype("uint16")
    return encoded(Image.fromarray(ramp), "PNG")


KINDS = {
    "color": photo(),
    "JPEG": photo(format="JPEG"),
    "AVIF": photo(format="AVIF"),
    "gray": photo(mode="L"),
    "alpha": photo(mode="RGBA"),
    "gray and alpha": photo(mode="LA"),
    "palette": photo(mode="P"),
    "1 bit": photo(mode="1"),
    "16 bits": deep(),
    "CMYK": photo(mode="CMYK", format="JPEG"),
    "CMYK TIFF": photo(mode="CMYK", format="TIFF"),
    "1×1": photo(1, 1),
    "1×50": photo(1, 50),
    "50×1": photo(50, 1),
    "odd": photo(37, 23),
    "GIF animation": animation("GIF"),
    "WebP animation": animation("WEBP"),
}
ALSO_ELSEWHERE = ("AVIF", "palette", "50×1", "CMYK TIFF", "GIF animation", "WebP animation")
"""Kinds whose pixels are like those of another kind once they are decoded; tests of animations cover both formats."""
EXAMPLES = 2 if settings().max_examples <= 100 else 50
"""How many params of each algorithm are tried: there are many algorithms."""
ALGORITHMS = list(all_algorithms().values())
FACELESS = "crop_faces"


def files_for(algorithm: Algorithm, content: bytes) -> dict[int, bytes]:
    """Return the files for the ids 2 and 3 in the examples."""
    if algorithm.name == "lut":
        return {2: CUBE.encode()}
    return {2: content if algorithm.name == "compare" else photo(33, 21, mode="RGBA"), 3: photo(20, 40)}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[pytest.mark.thorough] * (kind in ALSO_ELSEWHERE)) for kind in KINDS]
)
@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
def test_every_kind_of_image_gives_a_result(algorithm: Algorithm, kind: str) -> None:
    content = KINDS[kind]
    if algorithm.name == FACELESS:
        with pytest.raises(ImageError, match="No face"):
            processed(content, algorithm.name, algorithm.example)
        return

    result = processed(content, algorithm.name, algorithm.example, files_for(algorithm, content))

    if algorithm.result == "json":
        assert json.loads(result)
    elif algorithm.result == "zip":
        assert zipfile.ZipFile(io.BytesIO(result)).testzip() is None
    else:
        assert min(opened(result).size) > 0


@pytest.mark.parametrize("format", ["GIF", "WEBP"])
@pytest.mark.parametrize(
    "algorithm",
    [
        algorithm
        for algorithm in ALGORITHMS
        # `animate` creates its own animation; the other algorithm finds no face.
        if algorithm.result == "image" and algorithm.frames != "first" and algorithm.name not in ("animate", FACELESS)
    ],
    ids=lambda algorithm: algorithm.name,
)
def test_animations_keep_their_frames_and_their_timing(algorithm: Algorithm, format: str) -> None:
    params = algorithm.example | ({} if algorithm.encodes else {"output": {"format": format.lower()}})
    result = Image.open(io.BytesIO(processed(animation(format), algorithm.name, params, files_for(algorithm, b""))))

    durations = []
    for frame in ImageSequence.Iterator(result):
        frame.load()
        durations.append(frame.info["duration"])
    assert sum(durations) == sum(DELAYS)
    assert len(durations) == len(DELAYS)
    assert plays(result) == plays(Image.open(io.BytesIO(animation(format))))


def plays(image: Image.Image) -> int:
    """Return how often an animation plays; a GIF stores the number of repetitions."""
    loop = int(image.info["loop"])
    return loop + 1 if image.format == "GIF" else loop


@pytest.mark.parametrize(
    "algorithm",
    [algorithm for algorithm in ALGORITHMS if algorithm.frames == "first"],
    ids=lambda algorithm: algorithm.name,
)
def test_algorithms_on_a_single_frame_take_the_first(algorithm: Algorithm) -> None:
    content = animation("GIF")

    result = processed(content, algorithm.name, algorithm.example, files_for(algorithm, photo(40, 30)))

    if algorithm.result == "image":
        assert getattr(opened(result), "n_frames", 1) == 1


@cache
def tall() -> bytes:
    random = numpy.random.default_rng(5)
    return encoded(Image.fromarray(random.integers(0, 255, (1500, 60, 3), dtype="uint8")), "PNG")


@pytest.mark.parametrize(
    # Algorithms that only encode do not change the pixels.
    "algorithm",
    [algorithm for algorithm in ALGORITHMS if algorithm.sequential and not algorithm.encodes],
    ids=lambda algorithm: algorithm.name,
)
def test_streaming_gives_the_same_result_as_holding_the_image(algorithm: Algorithm) -> None:
    content = tall()
    streamed = processed(content, algorithm.name, algorithm.example, files_for(algorithm, content))
    steps = [
        {"algorithm": "rotate", "params": {"angle": 0}},
        {"algorithm": algorithm.name, "params": algorithm.example},
    ]
    held = processed(content, "pipeline", {"steps": steps}, files_for(algorithm, content))

    assert streamed == held


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
def test_every_parameter_is_described(algorithm: Algorithm) -> None:
    fields = task_params(algorithm).model_fields

    assert algorithm.summary.endswith(".")
    assert [name for name, field in fields.items() if not field.description] == []


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda algorithm: algorithm.name)
@settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_valid_params_give_a_result_or_a_reason(algorithm: Algorithm, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(KINDS)))
    params = data.draw(params_of(task_params(algorithm)))
    files = {number: files_for(algorithm, KINDS[kind])[2] for number in range(1, 10)}

    try:
        result = processed(KINDS[kind], algorithm.name, params, files)
    except ImageError as error:
        assert str(error).endswith(".")
        return

    assert len(result) > 0


def test_the_api_loads_no_opencv() -> None:
    code = "from image_processor.algorithms.registry import all_algorithms; all_algorithms()"

    look = "import sys; print('cv2' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", f"{code}; {look}"], capture_output=True, text=True, check=True)

    assert run.stdout.strip() == "False"
