"""A real file service for the tests of uploads."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from file_storage.app import create_app
from flask.testing import FlaskClient

from tests.support.applications import configure_applications
from tests.support.file_service import Server

QUOTA_BYTES = 100_000


@contextmanager
def running(quota_bytes: int = 0) -> Iterator[FlaskClient]:
    """Yield a client of a new file service.

    :param quota_bytes: 0 for no limit.
    """
    handlers, level = logging.root.handlers[:], logging.root.level
    with pytest.MonkeyPatch.context() as monkeypatch:
        configure_applications(monkeypatch, "client")
        monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
        monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", str(quota_bytes))
        client = create_app().test_client()
    # Other modules in this process read the same environment.
    yield client
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def file_service() -> Iterator[FlaskClient]:
    with running() as client:
        yield client


@pytest.fixture
def server_with_quota() -> Iterator[Server]:
    """Yield an empty server that stores at most ``QUOTA_BYTES``."""
    with running(QUOTA_BYTES) as client:
        yield Server(client)


@pytest.fixture
def server(file_service: FlaskClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Server:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Server(file_service)
