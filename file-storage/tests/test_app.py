"""The WSGI application, which image-processor creates in its own process on the embedded stack."""

import os
import threading
from pathlib import Path

from file_storage.app import create_app
from file_storage.config import Settings


def test_creating_the_application_starts_no_thread_and_removes_no_file(
    restored_logging: None, settings: Settings, tmp_path: Path
) -> None:
    abandoned = tmp_path / "staging/abandoned"
    abandoned.parent.mkdir()
    abandoned.write_bytes(b"half")
    os.utime(abandoned, (1, 1))
    before = set(threading.enumerate())

    create_app()

    assert set(threading.enumerate()) <= before
    assert abandoned.exists(), "the housekeeping of the event stream removes it"
