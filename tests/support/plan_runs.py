"""Runs the plan of a URL on bytes, without a server."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from image_processor.render.plans.plan import RenderPlan
from image_processor.services.codec.process import process_image

from tests.support.algorithm_runs import LIMITS


def rendered(plan: RenderPlan, content: bytes, files: Mapping[int, bytes] | None = None) -> bytes:
    """Return the result; PNG if the URL does not choose a format."""
    chosen = plan.encoding.output.format
    with tempfile.TemporaryDirectory() as folder:
        source, result = Path(folder, "source"), Path(folder, "result")
        source.write_bytes(content)
        named = {number: Path(folder, f"file-{number}") for number in files or {}}
        for number, path in named.items():
            path.write_bytes((files or {})[number])
        process_image(source, named, result, plan.for_codec("png" if chosen == "source" else chosen), LIMITS)
        return result.read_bytes()
