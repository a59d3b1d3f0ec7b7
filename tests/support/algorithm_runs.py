"""Run an algorithm on bytes as the worker does, without a server."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from image_processor.services.codec.decoding import ImageLimits
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image

LIMITS = ImageLimits(max_pixels=100_000_000, max_frames=1000)


def processed(
    content: bytes,
    algorithm: str,
    params: Mapping[str, object] | None = None,
    files: Mapping[int, bytes] | None = None,
    limits: ImageLimits = LIMITS,
) -> bytes:
    """Return the bytes of the result.

    :param files: the files that ``params`` refer to, by id.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "source"), Path(folder, "result")
        source.write_bytes(content)
        named = {number: Path(folder, f"file-{number}") for number in files or {}}
        for number, path in named.items():
            path.write_bytes((files or {})[number])
        process_image(source, named, result, plan_of(algorithm, params), limits)
        assert sorted(Path(folder).iterdir()) == sorted([source, result, *named.values()]), "no other file is left"
        return result.read_bytes()


def report(
    content: bytes,
    algorithm: str,
    params: Mapping[str, object] | None = None,
    files: Mapping[int, bytes] | None = None,
) -> dict[str, object]:
    """Return the result of an analysis."""
    found: dict[str, object] = json.loads(processed(content, algorithm, params, files))
    return found
