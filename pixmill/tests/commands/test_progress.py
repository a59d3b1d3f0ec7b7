"""The bars of transfers and tasks, and the table of running tasks."""

import io
import re
from pathlib import Path

import pytest
from pixmill.client.answers import File, Task, TaskEvent
from pixmill.client.problems import StorageFullError
from pixmill.client.uploads import Progress as Moved
from pixmill.client.uploads import UploadOutcome
from pixmill.commands import progress
from pixmill.commands.progress import MAX_ROWS, RunningTasks
from rich.console import Console, ConsoleDimensions
from rich.live import Live

FIRST, SECOND = Path("one/a.jpg"), Path("two/b.jpg")


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> RunningTasks:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    return RunningTasks()


def rows(tasks: RunningTasks, height: int = 50) -> list[str]:
    """Return the rows of the table as text, without repeated spaces, on a terminal of this height."""
    console = Console(file=io.StringIO(), width=60, height=height)
    with console.capture() as captured:
        console.print(tasks)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def test_the_table_has_the_tasks_that_have_not_ended_and_first_those_that_are_processed(tasks: RunningTasks) -> None:
    changes = [(1, "pending"), (2, "pending"), (3, "processing"), (4, "processing"), (2, "processing"), (3, "finished")]
    for number, status in changes:
        tasks.note(TaskEvent(task_id=number, status=status, batch_id=None if number == 4 else 7))

    assert rows(tasks) == ["id status run", "4 processing -", "2 processing 7", "1 pending 7"]


def test_a_long_table_ends_with_the_number_of_its_further_tasks(tasks: RunningTasks) -> None:
    for number in range(MAX_ROWS + 5):
        tasks.note(TaskEvent(task_id=number, status="pending"))

    shown = rows(tasks)

    assert (len(shown), shown[-1]) == (1 + MAX_ROWS + 1, "and 5 more")


@pytest.mark.parametrize(("height", "count"), [(3, 1), (12, 8), (24, 20), (100, 20)])
def test_the_table_fits_into_the_terminal(tasks: RunningTasks, height: int, count: int) -> None:
    for number in range(MAX_ROWS + 5):
        tasks.note(TaskEvent(task_id=number, status="pending"))

    shown = rows(tasks, height)

    assert (len(shown), shown[-1]) == (1 + count + 1, f"and {MAX_ROWS + 5 - count} more")


def test_the_number_of_rows_follows_the_height_of_the_terminal(tasks: RunningTasks) -> None:
    terminal = io.StringIO()
    console = Console(file=terminal, width=60, height=12, force_terminal=True)
    with Live(tasks, console=console, auto_refresh=False, transient=True) as live:
        for number in range(MAX_ROWS):
            tasks.note(TaskEvent(task_id=number, status="pending"))
        live.refresh()
        console.size = ConsoleDimensions(60, 8)
        live.refresh()
    drawn = re.findall(r"and (\d+) more", terminal.getvalue())

    # The last time at the end.
    assert drawn == ["12", "16", "16"]


def listed(*states: tuple[int, str]) -> list[Task]:
    return [Task(id=number, source_id=1, status=status, algorithm="flip", batch_id=7) for number, status in states]


def test_what_the_server_lists_is_in_the_table_until_an_event_says_otherwise(tasks: RunningTasks) -> None:
    tasks.note(TaskEvent(task_id=1, status="processing"))

    tasks.fill(listed((2, "processing"), (3, "pending"), (4, "pending")))
    tasks.note(TaskEvent(task_id=2, status="finished"))
    tasks.note(TaskEvent(task_id=4, status="processing", batch_id=7))

    assert rows(tasks) == ["id status run", "4 processing 7", "3 pending 7"]


def test_a_task_that_was_only_counted_is_counted_once(tasks: RunningTasks) -> None:
    tasks.fill(listed((1, "pending")), count=4)

    counts = [rows(tasks)[-1]]
    for number, status in ((2, "processing"), (2, "finished"), (3, "cancelled"), (5, "pending")):
        tasks.note(TaskEvent(task_id=number, status=status))
        counts.append(rows(tasks)[-1])

    assert counts == ["and 3 more", "and 2 more", "and 2 more", "and 1 more", "and 1 more"]


def test_tasks_that_were_only_counted_are_listed_when_rows_are_free(tasks: RunningTasks) -> None:
    tasks.fill(listed(*((number, "pending") for number in range(MAX_ROWS))), count=MAX_ROWS + 1)
    was_short = tasks.is_short
    tasks.note(TaskEvent(task_id=0, status="finished"))
    is_short = tasks.is_short
    tasks.fill(listed((1, "pending")))

    assert (was_short, is_short, tasks.is_short) == (False, True, False)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Return what the bars draw on a wide terminal."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    drawn = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=drawn, width=120, force_terminal=True, color_system=None))
    return drawn


def drawn_last(terminal: io.StringIO, verb: str) -> str:
    """Return the latest state of a bar, after which it is removed."""
    return terminal.getvalue().rpartition(verb)[2]


def test_the_bar_of_transfers_has_the_bytes_the_rate_and_the_time_left(terminal: io.StringIO) -> None:
    with progress.transfers("Uploading", {FIRST: 1_000_000, SECOND: 1_000_000}) as moved:
        moved(Moved("a.jpg", 500_000, 1_000_000, FIRST))
        moved(Moved("a.jpg", 1_000_000, 1_000_000, FIRST))
        moved(Moved("b.jpg", 500_000, 1_000_000, SECOND))

    last = drawn_last(terminal, "Uploading")
    assert "1.5/2.0 MB" in last
    assert re.search(r"\d+\.\d [kMG]B/s|\? ", last)
    assert re.search(r"\d:\d\d:\d\d", last)


STORED = File(id=1, name="a", extension=".jpg", comment="", size=1_500_000, sha256="", media_type="")
REFUSED = StorageFullError(507)


@pytest.mark.parametrize(
    ("outcome", "sent", "drawn"),
    [
        (UploadOutcome(FIRST, STORED, existed=True), 0, "0.0/500.0 kB"),
        (UploadOutcome(FIRST, error=REFUSED), 0, "0.0/500.0 kB"),
        (UploadOutcome(FIRST, error=REFUSED), 700_000, "0.7/1.2 MB"),
        (UploadOutcome(FIRST, error=REFUSED), 1_500_000, "1.5/2.0 MB"),
        (UploadOutcome(FIRST, STORED), 1_500_000, "1.5/2.0 MB"),
    ],
    ids=["existed", "failed", "failed midway", "failed at its end", "stored"],
)
def test_bytes_that_are_not_sent_leave_the_total(
    terminal: io.StringIO, outcome: UploadOutcome, sent: int, drawn: str
) -> None:
    with progress.transfers("Uploading", {FIRST: 1_500_000, SECOND: 500_000}) as moved:
        if sent:
            moved(Moved("a.jpg", sent, 1_500_000, FIRST))
        passed = list(moved.passing([outcome]))

    assert passed == [outcome]
    assert drawn in drawn_last(terminal, "Uploading")


def test_files_of_equal_names_advance_the_bar_independently(terminal: io.StringIO) -> None:
    with progress.transfers("Downloading", {1: 1_000_000, 2: 1_000_000}) as moved:
        moved(Moved("a.jpg", 500_000, 1_000_000, 1))
        moved(Moved("a.jpg", 200_000, 1_000_000, 2))
        moved(Moved("a.jpg", 1_000_000, 1_000_000, 1))

    assert "1.2/2.0 MB" in drawn_last(terminal, "Downloading")


def test_a_file_that_has_grown_enlarges_the_total(terminal: io.StringIO) -> None:
    with progress.transfers("Uploading", {FIRST: 1_000_000, SECOND: 500_000}) as moved:
        moved(Moved("a.jpg", 500_000, 2_000_000, FIRST))

    assert "0.5/2.5 MB" in drawn_last(terminal, "Uploading")


def test_the_bar_of_a_transfer_of_unknown_size_learns_it_from_the_transfer(terminal: io.StringIO) -> None:
    with progress.transfers("Downloading", {}) as moved:
        moved(Moved("files.zip", 1_500_000, 2_000_000))

    assert "1.5/2.0 MB" in drawn_last(terminal, "Downloading")


def test_the_bar_of_tasks_has_their_number_the_rate_and_the_time_left(terminal: io.StringIO) -> None:
    with progress.counted("Processing", 10) as reach:
        for done in range(1, 6):
            reach(done)

    last = drawn_last(terminal, "Processing")
    assert "5/10" in last
    assert re.search(r"[\d.e+]+/s", last)
    assert re.search(r"\d:\d\d:\d\d", last)
