"""Images for the benchmarks."""

from pathlib import Path

import numpy
import pyvips


def photographs(folder: Path, width: int, height: int, count: int) -> list[Path]:
    """Create ``count`` different JPEG files with the noise of a photograph."""
    random = numpy.random.default_rng(7)
    made = []
    for number in range(count):
        y, x = numpy.mgrid[0:height, 0:width]
        smooth = numpy.dstack([x * 200 / width, y * 200 / height, (x + y + number * 50) % 200])
        pixels = numpy.clip(smooth + random.normal(20, 8, smooth.shape), 0, 255).astype("uint8")
        path = folder / f"{width}x{height}-{number}.jpg"
        pyvips.Image.new_from_array(pixels, interpretation="srgb").jpegsave(str(path), Q=85)
        made.append(path)
    return made
