"""The garbage collector skips objects that exist when a process starts."""

import subprocess
import sys

import pytest

SCRIPT = """
import gc
import service_kit.api
from service_kit.garbage import freeze_existing_objects
before = len(gc.get_objects())
freeze_existing_objects()
print(before, len(gc.get_objects()))
"""


@pytest.mark.slow
def test_later_collections_skip_nearly_all_imported_objects() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    before, after = map(int, run.stdout.split())
    assert before > 50_000
    assert after < before / 100
