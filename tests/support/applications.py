"""The settings with which a test creates the applications of all services in its own process."""

import pytest

from tests.support.databases import empty_sqlite
from tests.support.environment import ENVIRONMENT, PROJECT
from tests.support.folders import temporary_folder


def configure_applications(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Set what the applications read: empty databases in a new folder, no broker, no other server."""
    folder = temporary_folder(name)
    monkeypatch.chdir(PROJECT)
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    for service, file, package in (
        ("ACCESS", "access", "service_kit.access"),
        ("FILE_STORAGE", "files", "file_storage"),
        ("IMAGE_PROCESSOR", "tasks", "image_processor"),
    ):
        monkeypatch.setenv(f"{service}_DATABASE__URL", empty_sqlite(folder / f"{file}.db", package))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(folder))
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")
    monkeypatch.setenv("IMAGE_PROCESSOR_BROKER__URL", "memory://")
    monkeypatch.setenv("IMAGE_PROCESSOR_FILE_STORAGE__URL", "http://127.0.0.1:1")
    monkeypatch.setenv("RENDER_CACHE__FOLDER", str(folder / "renders"))
