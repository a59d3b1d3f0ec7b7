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
print(started, [found for found in gc.get_objects() if isinstance(found, (socket.socket, Engine))])
"""
UNREADABLE = dict.fromkeys(("ACCESS_CONFIG", "FILE_STORAGE_CONFIG", "IMAGE_PROCESSOR_CONFIG"), "/nowhere.yml")
OTHERS = ["flask", "flask_openapi3", "svcs", "celery", "pyvips", "numpy", "PIL"]


def test_imports_before_the_fork_read_no_settings_and_share_nothing_but_memory() -> None:
    run = subprocess.run([sys.executable, "-c", CODE], env=os.environ | UNREADABLE, capture_output=True, text=True)

    assert run.stdout.splitlines() == ["True", "[] []"], run.stderr


@pytest.mark.parametrize("service", ["file_storage", "image_processor"])
def test_processes_are_forked_from_one_that_has_the_counts_of_requests(service: str) -> None:
    code = f"""
import os, sys
import {service}.preload
assert "service_kit.access.rates" in sys.modules
from service_kit.access.principals import Limits, Principal
from service_kit.access.rates import SHARED
from service_kit.problems import Problem
alice = Principal("alice", frozenset(), limits=Limits(requests_per_second=1))
if os.fork() == 0:
    SHARED.count(alice)
    SHARED.count(alice)
    os._exit(0)
os.wait()
try:
    SHARED.count(alice)
except Problem as problem:
    print(problem.status)
"""

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert run.stdout == "429\n", run.stderr


def test_the_front_and_the_streams_of_events_import_no_library_of_the_others() -> None:
    code = f"import sys, pixmill.front.app; print([name for name in {OTHERS} if name in sys.modules])"

    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert run.stdout == "[]\n", run.stderr
