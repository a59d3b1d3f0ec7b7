"""``python -m tests.support.peak_memory SOURCE RESULT ALGORITHM PARAMS``: run a task, print its peak memory in bytes.

It runs in a separate process, so that the peak is that of the task alone.
"""

import json
import os
import sys
from pathlib import Path

from image_processor.services.codec.decoding import ImageLimits
from image_processor.services.codec.plan import plan_of
from image_processor.services.codec.process import process_image

from tests.support.processes import peak_of

if __name__ == "__main__":
    source, result, algorithm, params = sys.argv[1:]
    limits = ImageLimits(max_pixels=100_000_000, max_frames=100)
    process_image(Path(source), {}, Path(result), plan_of(algorithm, json.loads(params)), limits)
    print(peak_of(os.getpid()))
