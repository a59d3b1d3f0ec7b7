"""Large images are processed with little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

pytestmark = pytest.mark.slow

MEGABYTE = 1024 * 1024
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a JPEG of 100 megapixels."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    ramp = pyvips.Image.xyz(10_000, 10_000)
    bands = (ramp[0] / 40).bandjoin([ramp[1] / 40, (ramp[0] + ramp[1]) % 255])
    bands.cast("uchar").copy(interpretation="srgb").jpegsave(str(path), Q=80)
    return path


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("resize", {"width": 1024, "height": 1024, "fit": "cover", "gravity": "attention"}),
        ("brightness", {"amount": 10}),
        *(
            pytest.param(algorithm, params, marks=pytest.mark.thorough)
            for algorithm, params in (
                ("resize", {"width": 1024}),
                ("thumbnail", {"width": 1024, "height": 1024}),
                ("blur", {"radius": 3}),
                ("sharpen", {"radius": 3}),
                ("convert", {"quality": 50}),
                ("pipeline", {"steps": [{"algorithm": "resize", "params": {"width": 1024}}, {"algorithm": "sharpen"}]}),
            )
        ),
    ],
)
def test_100_megapixels_take_less_than_150_megabytes(
    large: Path, tmp_path: Path, algorithm: str, params: dict[str, object]
) -> None:
    command: list[str | Path] = [sys.executable, "-m", "tests.support.peak_memory", large, tmp_path / "result"]
    command += [algorithm, json.dumps(params)]

    environment = {"MALLOC_ARENA_MAX": "2"}
    run = subprocess.run(command, check=True, capture_output=True, text=True, env=environment, cwd=PROJECT)

    peak = int(run.stdout)
    assert peak < 150 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"


_PEAK_OF_A_NAMED_FILE = """
import ctypes, sys
from pathlib import Path
from image_processor.services.codec.decoding import ImageLimits, NamedFiles

image = NamedFiles({7: Path(sys.argv[1])}, ImageLimits(10**8, 1)).image(7)
[library] = {line.split()[-1] for line in open("/proc/self/maps") if "/libvips" in line}
peak = ctypes.CDLL(library).vips_tracked_get_mem_highwater
peak.restype = ctypes.c_size_t
print(peak(), image.width * image.height * image.bands)
"""


@pytest.mark.parametrize(("extension", "orientation", "options"), [("jpg", 6, {}), ("tif", 1, {"tile": True})])
def test_a_named_file_that_cannot_be_streamed_is_held_once(
    tmp_path: Path, extension: str, orientation: int, options: dict[str, bool]
) -> None:
    path = tmp_path / f"named.{extension}"
    image = pyvips.Image.black(3000, 2000, bands=3).copy(interpretation="srgb")
    image.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    image.write_to_file(str(path), **options)

    command = [sys.executable, "-c", _PEAK_OF_A_NAMED_FILE, str(path)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)

    peak, held = map(int, run.stdout.split())
    assert held < peak < 1.5 * held
