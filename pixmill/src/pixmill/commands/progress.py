"""Progress bars on stderr for transfers and tasks, shown only on a terminal."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from pixmill.client.uploads import Progress as Moved
from pixmill.commands.console import err


class Transfers:
    """The total of several transfers.

    :param show: called with the total number of bytes.
    """

    def __init__(self, show: Callable[[int], None]) -> None:
        self._show = show
        self._done: dict[str, int] = {}
        self._sum = 0
        self._lock = threading.Lock()

    def __call__(self, moved: Moved) -> None:
        with self._lock:
            self._sum += moved.done - self._done.get(moved.name, 0)
            self._done[moved.name] = moved.done
            if moved.done == moved.total:
                # Files may have equal names.
                del self._done[moved.name]
            self._show(self._sum)


@contextmanager
def transfers(verb: str, total: int | None) -> Iterator[Transfers]:
    """Show a progress bar with rate and remaining time.

    :param total: total bytes, if known.
    """
    columns = (TextColumn(verb), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(verb, total=total)
        yield Transfers(lambda done: bar.update(task, completed=done))


@contextmanager
def counted(verb: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a progress bar for a number of items; the yielded function takes the number of finished items."""
    columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(verb, total=total)
        yield lambda done: bar.update(task, completed=done)
