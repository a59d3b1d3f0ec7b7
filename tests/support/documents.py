"""Finds and runs the shell blocks of the project's pages, and compares the output with the page."""

import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.environment import PROJECT

PRINTED_URL = "http://127.0.0.1:8080"
PROXIED_URL = "https://photos.example"
"""The address that pages print for a server behind a proxy with TLS."""

# A block in an item of a list is indented.
_FENCE = re.compile(
    r"(?:^ *<!-- (?P<comment>[^\n]+?) -->\n)?^(?P<indent> *)```(?P<language>sh|console)\n(?P<text>.*?)^(?P=indent)```$",
    re.M | re.S,
)
_DATE = r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT"
_VARYING = re.compile(rf"({_DATE}| ?…)")
"""Parts of an answer that no page can predict, and the mark for omitted parts."""

KEPT = ("alembic_version", "storage_totals", "owner_totals", "file_counts", "sqlite_sequence")
"""Tables that are not emptied: the schema's version, and sums that triggers maintain; ``sqlite_sequence`` in part."""
DATABASES = ("file-storage", "image-processor")


@dataclass(frozen=True)
class Block:
    """A fenced block of shell commands."""

    page: str
    line: int
    language: str
    text: str
    comment: str
    """The HTML comment in the line before: `not run: …` with the reason, or `run: …` with the required state."""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_run(self) -> bool:
        return not self.comment.startswith("not run:")

    @property
    def needs_compose(self) -> bool:
        return "docker-compose" in self.text

    @property
    def starts_embedded(self) -> bool:
        return self.text.startswith("make run")

    @property
    def needs_clone(self) -> bool:
        return self.text.startswith("make ")


def pages() -> list[Path]:
    """Return every page of the project."""
    return [*sorted(PROJECT.glob("*.md")), *sorted((PROJECT / "docs").rglob("*.md"))]


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        name = str(page.relative_to(PROJECT))
        commands = re.sub(f"^{found['indent']}", "", found["text"], flags=re.M)
        yield Block(name, line, found["language"], commands, found["comment"] or "")


def programs(page: Path) -> list[str]:
    """Return the Python programs of a page."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.M | re.S)


def all_blocks() -> list[Block]:
    return [block for page in pages() for block in blocks(page)]


def is_translation(block: Block) -> bool:
    return block.page == "README.ru.md" or block.page.startswith("docs/ru/")


def steps(block: Block) -> Iterator[tuple[str, str]]:
    """Return the commands of a `console` block, each with the answer shown on the page."""
    command, answer = "", ""
    for line in block.text.splitlines(keepends=True):
        if line.startswith("$ "):
            if command:
                yield command, answer
            command, answer = line.removeprefix("$ "), ""
        elif not answer and _is_incomplete(command):
            command += line
        else:
            answer += line
    yield command, answer


def _is_incomplete(command: str) -> bool:
    if command.endswith("\\\n"):
        return True
    return subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode != 0


def assert_runs(
    block: Block, folder: Path, environment: Mapping[str, str], url: str = PRINTED_URL, seconds: float = 120
) -> None:
    """Run a `sh` block as a script; every command must succeed.

    :param url: replaces the printed ones, because each test has its own port.
    """
    script = block.text.replace(PRINTED_URL, url).replace(PROXIED_URL, url)
    run = _run(["bash", "-euo", "pipefail", "-c", script], folder, environment, seconds)
    assert run.returncode == 0, f"{block}\n{run.stdout}{run.stderr}"
    assert "urn:pixmill:problem" not in run.stdout, f"{block}\n{run.stdout}"


def answer_of(command: str, folder: Path, environment: Mapping[str, str], url: str = PRINTED_URL) -> str:
    """Run a command of a `console` block and return its output, with the printed address."""
    run = _run(["bash", "-c", command.replace(PRINTED_URL, url)], folder, environment)
    return run.stdout.replace(url, PRINTED_URL)


def _run(
    command: list[str], folder: Path, environment: Mapping[str, str], seconds: float = 120
) -> "subprocess.CompletedProcess[str]":
    # Make curl silent, so that its progress meter does not hide errors.
    (folder / ".curlrc").write_text("silent\nshow-error\nmax-time = 60\n")
    environment = {**environment, "HOME": str(folder)}
    return subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=seconds
    )


def matches(shown: str, answer: str) -> bool:
    """Return whether an answer matches the page, ignoring dates and parts that the page replaces with `…`."""
    parts = _VARYING.split(shown.strip())
    patterns = [re.escape(part) if place % 2 == 0 else _pattern(part) for place, part in enumerate(parts)]
    return re.fullmatch("".join(patterns), answer.replace("\r", "").strip(), re.DOTALL) is not None


def _pattern(varying: str) -> str:
    return ".*?" if varying.endswith("…") else _DATE


def forget_everything(data: Path) -> None:
    """Empty the embedded stack's databases, so that ids start at 1 again: each page starts without files."""
    for name in DATABASES:
        with sqlite3.connect(data / f"{name}.db", timeout=30) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                if table not in KEPT:
                    connection.execute(f'DELETE FROM "{table}"')
            # A server that still serves an earlier listener sends no event whose number is lower than the last one's.
            connection.execute("DELETE FROM sqlite_sequence WHERE name NOT LIKE '%_events'")
        connection.close()


def number_events_again(data: Path) -> None:
    """Let the ids of events start at 1 again, for a page that shows them."""
    for name in DATABASES:
        with sqlite3.connect(data / f"{name}.db", timeout=30) as connection:
            connection.execute("DELETE FROM sqlite_sequence WHERE name LIKE '%_events'")
        connection.close()
