"""The state of a hot folder, and the paths of its results."""

from pathlib import Path

import pytest
from pixmill.commands.hot_folder import Memory, place

from pixmill import File


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def result(name: str, extension: str) -> File:
    return File(id=9, name=name, extension=extension, comment="", size=1, sha256="", media_type="")


def test_another_program_goes_on_with_the_memory() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps["a.jpg"] = [3, 7]
    memory.planned = {"key": "k", "files": {"a.jpg": 1}}
    memory.keep()

    again = Memory.of("http://here", "/inbox")

    assert (again.stamps, again.planned) == ({"a.jpg": [3, 7]}, {"key": "k", "files": {"a.jpg": 1}})


def test_another_server_has_another_memory() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps["a.jpg"] = [3, 7]
    memory.keep()

    assert Memory.of("http://there", "/inbox").stamps == {}


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"stamps": 5}'])
def test_a_damaged_memory_is_an_empty_one(damaged: str) -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.path.parent.mkdir(parents=True)
    memory.path.write_text(damaged)

    assert Memory.of("http://here", "/inbox").stamps == {}


def test_what_failed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    memory = Memory.of("http://here", "/inbox")

    for _ in range(2):
        memory.complain("a.jpg: no room")

    assert capsys.readouterr().err.count("no room") == 1


def test_a_result_lies_where_its_source_does() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps |= {"deep/a.jpg": [1, 1], "deep/b.jpg": [1, 1], "a.jpg": [1, 1]}

    assert place(memory, "deep/a.jpg", result("a", ".webp")) == Path("deep/a.webp")


def test_results_of_files_that_differ_in_their_extension_do_not_replace_each_other() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps |= {"a.jpg": [1, 1], "a.png": [1, 1]}

    places = [place(memory, source, result("a", ".webp")) for source in ("a.jpg", "a.png")]

    assert places == [Path("a.jpg.webp"), Path("a.png.webp")]
