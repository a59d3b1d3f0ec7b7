"""``python -m tests.fuzz.decode CORPUS… [libFuzzer options]``: process damaged image files as a worker does.

Each file must lead to a result or an :class:`ImageError`. Anything else, including a crash or hang of libvips, is a
finding, which atheris (libFuzzer) writes to a file; run it again with that file as the only argument.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["image_processor"]):
    from image_processor.services.codec.decoding import ImageError, ImageLimits
    from image_processor.services.codec.plan import plan_of
    from image_processor.services.codec.process import process_image

LIMITS = ImageLimits(max_pixels=4_000_000, max_frames=50)
PLANS = [
    plan_of("info", None),
    plan_of("thumbnail", {"width": 32, "height": 32, "crop": True, "output": {"format": "png"}}),
    plan_of(
        "pipeline", {"steps": [{"algorithm": "crop", "params": {"width": 64, "height": 64}}, {"algorithm": "exif"}]}
    ),
    plan_of("convert", {"format": "jpeg", "metadata": "copyright", "profile": "strip"}),
]
FOLDER = Path(tempfile.mkdtemp())


def decode(content: bytes) -> None:
    """Process one file; its last byte selects the operation."""
    if not content:
        return
    source = FOLDER / "source"
    source.write_bytes(content)
    try:
        process_image(source, {}, FOLDER / "result", PLANS[content[-1] % len(PLANS)], LIMITS)
    except ImageError as error:
        if not str(error):
            raise


if __name__ == "__main__":
    atheris.Setup(sys.argv, decode)
    atheris.Fuzz()
