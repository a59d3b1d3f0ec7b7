"""What a process has at its start is no work for the garbage collector later."""

import subprocess
import sys

SCRIPT = """
import gc
import service_kit.api
from service_kit.garbage import spare_what_exists
before = len(gc.get_objects())
spare_what_exists()
print(before, len(gc.get_objects()))
"""


def test_later_rounds_look_at_next_to_nothing_of_what_was_imported() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)

    before, after = map(int, run.stdout.split())
    assert before > 50_000
    assert after < before / 100
