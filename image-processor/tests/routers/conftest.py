"""The application with an empty database, without a server, a broker or a file server."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from flask.testing import FlaskClient
from image_processor.app import create_app
from service_kit.database import Database

from tests.support.databases import empty_sqlite
from tests.support.environment import INNER_SECRETS

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def access_database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return empty_sqlite(tmp_path_factory.mktemp("access") / "access.db", "service_kit.access")


@pytest.fixture
def client(
    database: Database, access_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FlaskClient]:
    monkeypatch.chdir(PROJECT)
    for name, secret in INNER_SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("PIXMILL_CALLBACK_SECRET", "a-secret-of-webhooks-in-these-tests-only")
    monkeypatch.setenv("ACCESS_DATABASE__URL", access_database)
    monkeypatch.setenv("IMAGE_PROCESSOR_DATABASE__URL", f"sqlite:///{tmp_path}/tasks.db")
    monkeypatch.setenv("IMAGE_PROCESSOR_BROKER__URL", "memory://")
    handlers, level = logging.root.handlers[:], logging.root.level
    yield create_app().test_client()
    logging.captureWarnings(capture=False)
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    structlog.reset_defaults()
