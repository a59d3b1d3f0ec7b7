"""The table of running tasks."""

import io
import re

import pytest
from pixmill.client.answers import TaskEvent
from pixmill.commands.progress import MAX_ROWS, RunningTasks
from rich.console import Console, ConsoleDimensions
from rich.live import Live


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
