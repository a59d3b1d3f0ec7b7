"""A worker resizes a very large image in little memory."""

import pytest
import pyvips

from tests.support.client import FILES, Served, ended_task
from tests.support.folders import temporary_folder
from tests.support.processes import peak_of, processes_of
from tests.support.stacks import start

pytestmark = pytest.mark.thorough

PEAK = 150 * 1024 * 1024


def test_100_megapixels_need_less_than_150_megabytes() -> None:
    ramp = pyvips.Image.xyz(10_000, 10_000)
    image = ramp[0].linear(1 / 40, 0).bandjoin([ramp[1] / 40, (ramp[0] + ramp[1]) % 255]).cast("uchar")
    content = image.copy(interpretation="srgb").jpegsave_buffer(Q=80)
    stack = start("embedded", temporary_folder("large"), {"WORKER_CONCURRENCY": "1"})
    try:
        with Served(stack.url) as pixmill:
            source = pixmill.http.put(f"{FILES}/", params={"name": "large.jpg"}, content=content).json()["id"]
            task = ended_task(pixmill, pixmill.run([source], "resize", params={"width": 1024}).task_ids[0])

        workers = [
            number for number, command in processes_of(stack.folder).items() if "image_processor.worker" in command
        ]
        peaks = {number: peak_of(number) for number in workers}
    finally:
        stack.stop()

    assert task.status == "finished", task
    assert len(peaks) == 2, "the worker and its only child process"
    assert max(peaks.values()) < PEAK, peaks
