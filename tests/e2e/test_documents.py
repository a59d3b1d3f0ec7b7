"""The pages are correct: each shell block runs as printed, links have targets, both languages show the same."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pixmill.commands.console import EXIT_CODES

from tests.support.client import FILES, TASKS, Served, http, is_ready
from tests.support.commands import forking_program
from tests.support.documents import (
    PRINTED_URL,
    Block,
    all_blocks,
    answer_of,
    assert_runs,
    blocks,
    forget_everything,
    is_translation,
    matches,
    number_events_again,
    pages,
    programs,
    steps,
)
from tests.support.environment import ENVIRONMENT, PROJECT
from tests.support.folders import temporary_folder
from tests.support.processes import Process, free_port
from tests.support.waiting import wait_until


def without_comments(block: Block) -> str:
    """Return the commands without the comments after ` #`, which are translated."""
    return re.sub(r" +# .*", "", block.text)


EMBEDDED = [
    block
    for block in all_blocks()
    if block.is_run and not (block.needs_compose or block.starts_embedded or is_translation(block))
]


WAYS_TO_START = [
    command
    for block in all_blocks()
    if block.starts_embedded and block.page == "docs/operations/install.md"
    for command in without_comments(block).splitlines()
]


class Clone:
    """A clone of the project with installed requirements, in which a server has been started.

    :param start: the printed command. Its port and its folder are replaced by those of the test.
    """

    def __init__(self, folder: Path, start: str) -> None:
        for path in PROJECT.iterdir():
            if path.name not in (".venv", ".git", "data", ".demo-photos", "demo-output"):
                (folder / path.name).symlink_to(path)
        installed = folder / ".venv"
        installed.mkdir()
        (installed / "bin").symlink_to(Path(sys.executable).parent)
        for stamp in ("python", "run", "test"):
            (installed / stamp).touch()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.data = folder / "data"
        self.environment = ENVIRONMENT | {"PORT": str(port), "PIXMILL_URL": self.url}
        command = start.replace("PORT=9000", f"PORT={port}").replace("DATA=/srv/pixmill", f"DATA={self.data}")
        self.process = Process(
            "make run", ["env", f"--chdir={folder}", "bash", "-c", command], self.environment, folder / "log"
        )
        self.process.wait_until(lambda: is_ready(self.url))


@pytest.fixture(scope="module")
def clone() -> Iterator[Clone]:
    """Yield a clone with the server of README, the photographs of the demo and an administrator's key in KEY."""
    [start] = [block for block in blocks(PROJECT / "README.md") if block.starts_embedded]
    started = Clone(temporary_folder("documents"), start.text)
    photographs = started.folder / ".demo-photos"
    photographs.mkdir()
    shutil.copy(PROJECT / "docs/images/rocket.jpg", photographs)
    made = http.post(f"{started.url}/api/keys", json={"owner": "admin", "role": "admin"}).raise_for_status()
    started.environment["KEY"] = made.json()["secret"]
    yield started
    started.process.stop()


@pytest.fixture(scope="module")
def images(clone: Clone, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the photograph, in which README and the API pages expect their reader to be."""
    folder = tmp_path_factory.mktemp("images")
    shutil.copytree(PROJECT / "docs/images", folder / "docs/images")
    shutil.copy(PROJECT / "docs/images/rocket.jpg", folder)
    (folder / ".venv").symlink_to(clone.folder / ".venv")
    (folder / "data").symlink_to(clone.data)
    for name in ("config", "web"):
        (folder / name).symlink_to(PROJECT / name)
    return folder


@pytest.fixture(scope="module")
def readers(clone: Clone) -> Iterator[Mapping[str, str]]:
    """The environment of the commands; tests/e2e/test_command_line.py tests the start of ``pixmill``."""
    with forking_program() as folder:
        yield clone.environment | {"PATH": f"{folder}:{clone.environment['PATH']}"}


def await_tasks(clone: Clone) -> None:
    def none_runs() -> bool:
        with Served(clone.url) as client:
            tasks = client.http.get(f"{TASKS}/").json()
            return all(task["status"] not in ("pending", "processing") for task in tasks)

    wait_until(none_runs, "no task waits")


SLOW_PAGES = {"docs/operations/install.md"}
"""Pages whose commands other tests run too, as test_demo.py runs the demo."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.thorough if page in SLOW_PAGES else ())
        for page in sorted({block.page for block in EMBEDDED})
    ],
)
def test_the_commands_of_a_page_run_as_printed(
    clone: Clone, readers: Mapping[str, str], images: Path, page: str
) -> None:
    forget_everything(clone.data)
    if page == "docs/api/events.md":
        number_events_again(clone.data)
    for block in EMBEDDED:
        if block.page != page:
            continue
        if block.language == "sh":
            assert_runs(block, clone.folder if block.needs_clone else images, readers, clone.url)
            continue
        for command, shown in steps(block):
            # A reader takes longer to enter the next command than a task takes to run.
            await_tasks(clone)
            answer = answer_of(command, images, readers, clone.url)
            assert matches(shown, answer), f"{block}\n$ {command}shown: {shown}\nanswered: {answer}"


@pytest.mark.thorough
@pytest.mark.parametrize("command", WAYS_TO_START)
def test_each_way_to_start_serves_as_printed(command: str) -> None:
    started = Clone(temporary_folder("start"), command)
    try:
        answer = http.get(f"{started.url}{FILES}/")
    finally:
        started.process.stop()

    assert answer.status_code == (401 if "AUTH__MODE=keys" in command else 200)
    assert (started.data / "file-storage.db").exists()


@pytest.mark.parametrize("number", range(len(programs(PROJECT / "docs/client.md"))))
def test_the_programs_of_the_client_run_as_printed(clone: Clone, images: Path, number: int) -> None:
    text = programs(PROJECT / "docs/client.md")[number].replace(PRINTED_URL, clone.url)

    run = subprocess.run(
        [sys.executable, "-c", text],
        cwd=images,
        env=clone.environment | {"HOME": str(images)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert run.returncode == 0, run.stderr
    assert run.stdout


@pytest.mark.parametrize("page", ["cli.md", "client.md"])
def test_both_languages_have_the_same_programs_and_exit_codes(page: str) -> None:
    english, russian = PROJECT / "docs" / page, PROJECT / "docs/ru" / page

    assert programs(russian) == programs(english)
    codes = [re.findall(r"^\| (\d+) \|", path_of_page.read_text("utf-8"), re.M) for path_of_page in (english, russian)]
    expected = [str(code.value) for code in EXIT_CODES] if page == "cli.md" else []
    assert codes == [expected, expected]


def test_what_is_not_run_has_a_reason() -> None:
    for block in all_blocks():
        assert block.comment == "" or re.match(r"(not )?run: \w.{10,}", block.comment), block


def test_starts_are_printed_where_tests_look_for_them() -> None:
    assert [block.page for block in all_blocks() if block.starts_embedded and not is_translation(block)] == [
        "README.md",
        "docs/operations/install.md",
    ]


def translations() -> list[tuple[Path, Path]]:
    """Return each English page with its Russian translation."""
    docs, russian = PROJECT / "docs", PROJECT / "docs/ru"
    found = [(docs / page.relative_to(russian), page) for page in sorted(russian.rglob("*.md"))]
    return [(PROJECT / "README.md", PROJECT / "README.ru.md"), *found]


@pytest.mark.parametrize(("english", "russian"), translations(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_both_languages_print_the_same_commands(english: Path, russian: Path) -> None:
    printed = [without_comments(block) for block in blocks(english)]

    assert [without_comments(block) for block in blocks(russian)] == printed


@pytest.mark.parametrize(("english", "russian"), translations(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_both_languages_have_the_same_diagrams(english: Path, russian: Path) -> None:
    drawn = [
        re.findall(r"^```mermaid\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S) for page in (english, russian)
    ]

    assert drawn[0] == drawn[1]


@pytest.mark.parametrize(("english", "russian"), translations(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_both_languages_link_to_each_other(english: Path, russian: Path) -> None:
    assert russian in linked(english)
    assert english in linked(russian)


def linked(page: Path) -> list[Path]:
    """Return the files that a page links to."""
    text = re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    return [(page.parent / target).resolve() for target in targets if "://" not in target and "mailto:" not in target]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_lead_somewhere(page: Path) -> None:
    missing = {str(path.relative_to(PROJECT)) for path in linked(page) if not path.exists()}

    assert missing == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(PROJECT)))
def test_links_to_headings_find_them(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
        if "://" in target:
            continue
        text = (page.parent / target if target else page).read_text("utf-8")
        slugs = {
            re.sub(r"[^\w -]", "", line.lower()).strip().replace(" ", "-")
            for line in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert heading in slugs, f"{page}: {target}#{heading}"


def test_readme_is_short() -> None:
    assert len((PROJECT / "README.md").read_bytes()) <= 6 * 1024
