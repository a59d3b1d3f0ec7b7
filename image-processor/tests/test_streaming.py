"""Large images pass in little memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import pyvips

MEGABYTE = 1024 * 1024
RUN = """
import json, sys
from pathlib import Path
from image_processor.services.decoding import Limits
from image_processor.services.images import process_image
from image_processor.services.plan import plan_of
source, result, name, params = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], json.loads(sys.argv[4])
process_image(source, {}, result, plan_of(name, params), Limits(10**8, 100))
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A JPEG of 100 megapixels."""
    path = tmp_path_factory.mktemp("large") / "large.jpg"
    ramp = pyvips.Image.xyz(10_000, 10_000)
    bands = (ramp[0] / 40).bandjoin([ramp[1] / 40, (ramp[0] + ramp[1]) % 255])
    bands.cast("uchar").copy(interpretation="srgb").jpegsave(str(path), Q=80)
    return path


@pytest.mark.parametrize(
    ("algorithm", "params"),
    [
        ("resize", {"width": 1024}),
        ("resize", {"width": 1024, "height": 1024, "fit": "cover", "gravity": "attention"}),
        ("thumbnail", {"width": 1024, "height": 1024}),
        ("brightness", {"amount": 10}),
        ("blur", {"radius": 3}),
        ("sharpen", {"radius": 3}),
        ("convert", {"quality": 50}),
        ("pipeline", {"steps": [{"algorithm": "resize", "params": {"width": 1024}}, {"algorithm": "sharpen"}]}),
    ],
)
def test_100_megapixels_take_less_than_150_megabytes(
    large: Path, tmp_path: Path, algorithm: str, params: dict[str, object]
) -> None:
    command = [sys.executable, "-c", RUN, large, tmp_path / "result", algorithm, json.dumps(params)]

    run = subprocess.run(command, check=True, capture_output=True, text=True, env={"MALLOC_ARENA_MAX": "2"})

    peak = int(run.stdout)
    assert peak < 150 * MEGABYTE, f"{peak / MEGABYTE:.0f} MB"
