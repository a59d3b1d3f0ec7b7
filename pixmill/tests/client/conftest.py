"""A real file service for the tests of uploads."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from file_storage.app import create_app
from flask.testing import FlaskClient

from tests.support.applications import configure_applications
from tests.support.file_service import Server


@pytest.fixture(scope="session")
def file_service() -> Iterator[FlaskClient]:
    handlers, level = logging.root.handlers[:], logging.root.level
    with pytest.MonkeyPatch.context() as monkeypatch:
        configure_applications(monkeypatch, "client")
        monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
        client = create_app().test_client()
    # Other modules in this process read the same environment.
    yield client
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def server(file_service: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Server(file_service)
