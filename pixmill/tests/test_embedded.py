"""The environment that the embedded stack starts its processes with."""

from pathlib import Path

import pytest
from pixmill.embedded import environment_of

PROJECT = Path(__file__).parents[2]
PLACES = {"PIXMILL_HOST": "127.0.0.1", "PIXMILL_PORT": "9000"}


def test_settings_env_sets_what_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)

    environment = environment_of(tmp_path, PROJECT, PLACES)

    assert environment["MALLOC_ARENA_MAX"] == "2"
    assert environment["FILE_STORAGE_DATABASE__URL"] == f"sqlite:///{tmp_path}/file-storage.db"
    assert environment["WORKER_FILE_STORAGE__URL"] == "http://127.0.0.1:9000/api/file-server"


@pytest.mark.parametrize(
    "name", ["MALLOC_ARENA_MAX", "FILE_STORAGE_STORAGE__FOLDER", "WORKER_SCRATCH_FOLDER", "PIXMILL_LINK_SECRET"]
)
def test_a_variable_that_is_already_set_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "8")

    assert environment_of(tmp_path, PROJECT, PLACES)[name] == "8"


def test_the_launcher_alone_says_where_it_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_PORT", "1")

    assert environment_of(tmp_path, PROJECT, PLACES)["PIXMILL_PORT"] == "9000"
