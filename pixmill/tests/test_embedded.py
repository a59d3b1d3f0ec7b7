"""The environment in which the embedded stack starts its processes."""

import stat
from pathlib import Path

import pytest
from pixmill.embedded import Embedded, StartError, environment_of, run_tool

from tests.support.environment import INNER_SECRETS

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


def test_the_first_start_generates_secrets_that_only_their_owner_reads(tmp_path: Path) -> None:
    folder = Path(environment_of(tmp_path, PROJECT, PLACES)["PIXMILL_SECRETS"])

    names = ("PIXMILL_CALLBACK_SECRET", "PIXMILL_LINK_SECRET", "PIXMILL_RENDER_SECRET", *INNER_SECRETS)
    assert sorted(path.name for path in folder.iterdir()) == sorted(names)
    assert len({path.read_text() for path in folder.iterdir()}) == len(names)
    assert all(len(path.read_bytes()) >= 32 for path in folder.iterdir())
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_secrets_of_an_earlier_version_stay_valid(tmp_path: Path) -> None:
    (tmp_path / "link.secret").write_text("a link secret of an earlier version")

    folder = Path(environment_of(tmp_path, PROJECT, PLACES)["PIXMILL_SECRETS"])

    assert (folder / "PIXMILL_LINK_SECRET").read_text() == "a link secret of an earlier version"
    assert not (tmp_path / "link.secret").exists()


def test_a_start_outside_of_a_clone_says_so_and_makes_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="not a clone of Pixmill"):
        Embedded("127.0.0.1", 0, tmp_path / "data", tmp_path).run()

    assert list(tmp_path.iterdir()) == []


def test_a_tool_outside_of_a_clone_says_so(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="not a clone of Pixmill"):
        run_tool("file_storage.fsck", tmp_path, tmp_path, [])
