"""Downloads several files at a time into paths that commands choose."""

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar

from pixmill.client.answers import File
from pixmill.client.saving import formatted
from pixmill.client.sync import Pixmill
from pixmill.client.targets import file_instead_of_folder
from pixmill.commands.console import Exit, Fields, concerns_every_request, fail
from pixmill.commands.progress import Transfers, transfers
from pixmill.commands.words import text

T = TypeVar("T")
R = TypeVar("R")

PARALLEL = 4
"""How many files are downloaded at a time, unless an option says otherwise."""
STDOUT = Path("-")
_SAMPLE = File(id=1, name="a", extension=".txt", comment="", size=0, sha256="", media_type="text/plain")


def check_target(template: str | None, folder: Path | None) -> None:
    """Check what a command can know before it begins: the names in a folder, and the folder.

    :raises ValueError: the template has an unknown field, or the folder or one of its parents is a file.
    """
    if template is not None:
        formatted(template, _SAMPLE)
    if folder is not None and (path := file_instead_of_folder(folder)) is not None:
        raise ValueError(text("'{path}' is a file; give a folder", path=path))


def check_stdout(files: int, name: str | None, *, force: bool, as_json: Fields | None) -> None:
    """Refuse what stdout cannot take, before anything is processed: several results, names, or JSON with the bytes.

    :param files: the number of results.
    """
    if name is not None or force:
        raise fail(text("stdout goes neither with --name nor with --force"), Exit.USAGE)
    check_bytes_only(as_json)
    check_one(files)


def check_bytes_only(as_json: Fields | None) -> None:
    """Refuse JSON on the stdout that takes the bytes of a file."""
    if as_json:
        raise fail(text("--json needs a file: stdout takes the bytes"), Exit.USAGE)


def check_one(files: int) -> None:
    """Refuse another number of files than one for stdout."""
    if files != 1:
        raise fail(text("stdout takes one file"), Exit.USAGE)


def to_stdout(pixmill: Pixmill, file: File) -> None:
    """Write the bytes of a file to stdout."""
    with transfers(text("Downloading"), {file.id: file.size}) as moved:
        pixmill.files.download_to(file, sys.stdout.buffer, on_progress=moved)
    sys.stdout.buffer.flush()


def fetched(
    pixmill: Pixmill, targets: Sequence[tuple[File, Path]], moved: Transfers, parallel: int, *, overwrite: bool
) -> Iterator[tuple[File, Future[Path]]]:
    """Download files; yield each with its path or its error, in their order.

    :param targets: the files, each with its path.
    :param overwrite: whether a file replaces another one at its path, instead of getting a number.
    """

    def download(target: tuple[File, Path]) -> Path:
        file, path = target
        return pixmill.files.download(file, path.parent, name=path.name, overwrite=overwrite, on_progress=moved)

    for (file, _), saved in _in_parallel(targets, download, parallel):
        moved.end(file.id)
        yield file, saved


def _in_parallel(items: Sequence[T], work: Callable[[T], R], parallel: int) -> Iterator[tuple[T, Future[R]]]:
    """Yield each item with its result, in their order; work on at most ``parallel`` at a time.

    If the caller stops early, or all further items would fail as well, no further item begins. The program does not
    wait for those that run: a pool would, up to the timeout of a request, and an interrupted download can continue from
    what it has written.
    """
    results: list[Future[R]] = [Future() for _ in items]
    places = iter(range(len(items)))
    choosing = threading.Lock()
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            with choosing:
                place = next(places, None)
            if place is None:
                return
            try:
                results[place].set_result(work(items[place]))
            except Exception as error:  # noqa: BLE001 (the caller reads it from the result)
                if concerns_every_request(error):
                    stop.set()
                results[place].set_exception(error)

    for _ in range(min(parallel, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for item, result in zip(items, results, strict=True):
            # Wait here, so that a consumer sees finished work only.
            result.exception()
            yield item, result
    finally:
        stop.set()
