"""Imports of processes: uWSGI's main process before it forks, and the front."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

CODE = """
import gc, socket, threading
started = []
start = threading.Thread.start
threading.Thread.start = lambda thread: (started.append(thread), start(thread))
import file_storage.preload, image_processor.preload
print(gc.get_freeze_count() > 100_000)
gc.unfreeze()
from sqlalchemy import Engine
print(started, [each for each in gc.get_objects() if isinstance(each, (socket.socket, Engine))])
"""
UNREADABLE = dict.fromkeys(("ACCESS_CONFIG", "FILE_STORAGE_CONFIG", "IMAGE_PROCESSOR_CONFIG"), "/nowhere.yml")
OTHERS = ["flask", "flask_openapi3", "svcs", "celery", "pyvips", "numpy", "PIL"]


def test_imports_before_the_fork_read_no_settings_and_share_nothing_but_memory() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], env=os.environ | UNREADABLE, capture_output=True, text=True)

    assert run.stdout.splitlines() == ["True", "[] []"], run.stderr


def test_the_front_and_the_streams_of_events_import_no_library_of_the_others() -> None:
    code = f"import sys, pixmill.front.app; print([name for name in {OTHERS} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert run.stdout == "[]\n", run.stderr
