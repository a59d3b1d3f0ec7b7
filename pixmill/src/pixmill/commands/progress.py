"""Progress bars and a table on stderr for transfers and tasks, shown only on a terminal."""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TypedDict

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Task as ProgressTask
from rich.table import Table
from rich.text import Text

from pixmill.client.answers import Task, TaskEvent
from pixmill.client.uploads import Progress as Moved
from pixmill.client.uploads import UploadOutcome
from pixmill.commands.console import HEADINGS, err, shown
from pixmill.commands.words import text

Source = Path | int | None
"""What tells the transfers of a bar apart, as in ``Progress``."""
MAX_ROWS = 20
"""Maximum number of tasks in the table of running tasks."""
RUNNING = ("processing", "pending")
"""The states of the tasks in this table, in its order."""
OTHER_LINES = 4
"""The lines of a terminal that the rows leave free: for the heading, the caption, the cursor and a printed line."""


class Transfers:
    """The sum of several transfers.

    :param sizes: the bytes of each transfer; one that is missing says them itself.
    :param show: called with the bytes transferred so far, and the bytes of all transfers, if known.
    """

    def __init__(self, sizes: Mapping[Source, int], show: Callable[[int, int | None], None]) -> None:
        self._sizes = dict(sizes)
        self._total = sum(self._sizes.values())
        self._done: dict[Source, int] = {}
        self._sum = 0
        self._show = show
        self._lock = threading.Lock()

    def __call__(self, moved: Moved) -> None:
        with self._lock:
            self._sum += moved.done - self._done.get(moved.source, 0)
            self._done[moved.source] = moved.done
            if moved.total is not None:
                self._resize(moved.source, moved.total)
            self._show(self._sum, self._total if self._sizes else None)

    def end(self, source: Source) -> None:
        """Take the bytes that a transfer has not moved from the total: the rate and the time left are without them.

        The transfer failed, or was not needed.
        """
        with self._lock:
            if source in self._sizes:
                self._resize(source, self._done.get(source, 0))
                self._show(self._sum, self._total)

    def passing(self, outcomes: Iterable[UploadOutcome]) -> Iterator[UploadOutcome]:
        """Yield outcomes; end the transfer of each."""
        for outcome in outcomes:
            self.end(outcome.source)
            yield outcome

    def _resize(self, source: Source, size: int) -> None:
        self._total += size - self._sizes.get(source, 0)
        self._sizes[source] = size


class _Rate(ProgressColumn):
    """The number of items per second."""

    def render(self, task: ProgressTask) -> Text:
        rate = task.finished_speed or task.speed
        return Text("-/s" if rate is None else f"{rate:.3g}/s")


class _OnStderr(TypedDict):
    """Options of a display that rich replaces below what is printed."""

    console: Console
    transient: bool
    redirect_stdout: bool


def _on_stderr() -> _OnStderr:
    # Rich prints what a program writes to stdout above the display, which is on stderr: right only on a terminal.
    return {"console": err, "transient": True, "redirect_stdout": sys.stdout.isatty()}


@contextmanager
def transfers(verb: str, sizes: Mapping[Source, int]) -> Iterator[Transfers]:
    """Show a progress bar with rate and remaining time.

    :param sizes: the bytes of each transfer; empty if there is one transfer, whose response says them.
    """
    columns = (TextColumn(verb), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, **_on_stderr(), disable=not err.is_terminal) as bar:
        task = bar.add_task(verb, total=sum(sizes.values()) if sizes else None)
        yield Transfers(sizes, lambda done, total: bar.update(task, completed=done, total=total))


@contextmanager
def counted(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar with rate and remaining time; the yielded function takes the number of finished items."""
    columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn(), _Rate(), TimeRemainingColumn())
    with Progress(*columns, **_on_stderr(), disable=not err.is_terminal) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda done: bar.update(task, completed=done)


class RunningTasks:
    """The tasks that are processed or wait, according to their latest changes; printed as a table."""

    def __init__(self) -> None:
        self._by_state: dict[str, dict[int, TaskEvent]] = {status: {} for status in RUNNING}
        self._unlisted = 0
        # A thread of the live display prints the table.
        self._lock = threading.Lock()

    @property
    def is_short(self) -> bool:
        """Whether tasks that were not listed could fill the table."""
        with self._lock:
            return self._unlisted > 0 and self._listed < MAX_ROWS

    def fill(self, tasks: Iterable[Task], count: int = 0) -> None:
        """Replace the tasks by those that the server lists now.

        :param count: the number of all tasks that run, if the list does not have all of them.
        """
        with self._lock:
            for listed in self._by_state.values():
                listed.clear()
            for task in tasks:
                self._place(TaskEvent(task_id=task.id, status=task.status, batch_id=task.batch_id))
            self._unlisted = max(0, count - self._listed)

    def note(self, event: TaskEvent) -> None:
        """Note a change of a task."""
        with self._lock:
            is_new = not self._place(event)
            if is_new and event.status != "pending":
                # It was pending before, so it was counted.
                self._unlisted = max(0, self._unlisted - 1)

    def __rich_console__(self, console: Console, _options: ConsoleOptions) -> RenderResult:
        """Yield a table of at most ``MAX_ROWS`` tasks that fits into the terminal, first those that are processed."""
        # Rich cuts what is higher than the terminal, and at the end prints it uncut.
        rows = max(1, min(MAX_ROWS, console.height - OTHER_LINES))
        with self._lock:
            events = list(islice(chain(*(tasks.values() for tasks in self._by_state.values())), rows))
            more = self._listed + self._unlisted - len(events)
        table = Table(
            HEADINGS["id"],
            HEADINGS["status"],
            HEADINGS["batch_id"],
            box=None,
            pad_edge=False,
            caption=text("and {count} more", count=more) if more else None,
            caption_justify="left",
        )
        for event in events:
            table.add_row(shown(event.task_id), event.status, shown(event.batch_id))
        yield table

    @property
    def _listed(self) -> int:
        return sum(map(len, self._by_state.values()))

    def _place(self, event: TaskEvent) -> bool:
        """Place a task according to its state; return whether it was there before."""
        was_there = [tasks.pop(event.task_id, None) is not None for tasks in self._by_state.values()]
        if event.status in self._by_state:
            self._by_state[event.status][event.task_id] = event
        return any(was_there)


@contextmanager
def running_tasks() -> Iterator[RunningTasks]:
    """Show a table of the tasks that run below all that is printed."""
    tasks = RunningTasks()
    with Live(tasks, **_on_stderr()):
        yield tasks
