"""File servers without a web server in front, one per module: starting an application takes most of a test's time."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from file_storage.app import create_app
from flask.testing import FlaskClient

from tests.support.databases import empty_sqlite
from tests.support.environment import INNER_SECRETS

PROJECT = Path(__file__).parents[3]

Start = Callable[[str], FlaskClient]
"""Starts a file server whose trash keeps files for this many seconds."""


@pytest.fixture(scope="module")
def start(restored_logging: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(PROJECT)
        monkeypatch.setenv("PIXMILL_LINK_SECRET", "test-secret of 32 bytes and more.")
        for name, secret in INNER_SECRETS.items():
            monkeypatch.setenv(name, secret)
        monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
        monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")

        def started(seconds: str) -> FlaskClient:
            folder = tmp_path_factory.mktemp("files")
            monkeypatch.setenv("ACCESS_DATABASE__URL", f"sqlite:///{folder}/access.db")
            monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", f"sqlite:///{folder}/files.db")
            monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(folder))
            monkeypatch.setenv("FILE_STORAGE_TRASH__SECONDS", seconds)
            empty_sqlite(folder / "files.db", "file_storage")
            empty_sqlite(folder / "access.db", "service_kit.access")
            return create_app().test_client()

        yield started
