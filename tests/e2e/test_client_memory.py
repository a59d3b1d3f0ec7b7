"""The memory of programs that use the client depends on the number of parallel requests, not on the number of files."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pixmill.client.uploads import BATCH_BYTES

from tests.support.environment import ENVIRONMENT
from tests.support.stacks import Stack

# The files have half a gigabyte.
pytestmark = pytest.mark.thorough

PARALLEL = 16
FILE_BYTES = 2**20
BATCHES = 2 * PARALLEL
PROGRAM = """
import asyncio, resource, sys
from pathlib import Path
from pixmill import AsyncPixmill, Pixmill

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

async def asynchronously(url, paths):
    async with AsyncPixmill(url) as px:
        return [end.error async for end in px.files.upload_many(paths, parallel=16)]

def waiting(url, paths):
    with Pixmill(url) as px:
        return [end.error for end in px.files.upload_many(paths, parallel=16)]

url, folder, how = sys.argv[1:]
paths = sorted(Path(folder).iterdir())
before = peak()
errors = asyncio.run(asynchronously(url, paths)) if how == "async" else waiting(url, paths)
assert len(errors) == len(paths) and not any(errors), errors
print(peak() - before)
"""


@pytest.mark.parametrize("how", ["sync", "async"])
def test_each_parallel_request_needs_the_memory_of_a_batch_and_its_files(
    stack: Stack, tmp_path: Path, how: str
) -> None:
    for number in range(BATCHES * BATCH_BYTES // FILE_BYTES):
        (tmp_path / f"{number}.bin").write_bytes(os.urandom(FILE_BYTES))

    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, stack.url, str(tmp_path), how],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    growth = int(run.stdout)
    print(f"\npeak memory: {growth >> 20} MiB")
    # A batch is built next to the bytes of its files; the next operation waits with a batch of its own.
    assert growth < (PARALLEL + 1) * 2 * BATCH_BYTES + 2**26
