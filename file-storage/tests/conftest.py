"""A file service on SQLite and a folder, as on the embedded stack."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services import passwords
from service_kit.settings import load

from tests.support.databases import empty_sqlite
from tests.support.environment import INNER_SECRETS

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("PIXMILL_LINK_SECRET", "test-secret of 32 bytes and more.")
    for name, secret in INNER_SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{tmp_path}/access.db")
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", f"sqlite:///{tmp_path}/files.db")
    monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(tmp_path))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")
    # A fifth of the time; test_passwords.py hashes as long as a link does.
    monkeypatch.setattr(passwords, "_TIMES", 1)
    loaded = load(Settings)
    empty_sqlite(tmp_path / "files.db", "file_storage")
    empty_sqlite(tmp_path / "access.db", "service_kit.access")
    return loaded


@pytest.fixture
def services(settings: Settings) -> svcs.Container:
    return svcs.Container(create_registry(settings))


@pytest.fixture(scope="module")
def restored_logging() -> Iterator[None]:
    """Undo the logging configuration of the applications that a module creates."""
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
