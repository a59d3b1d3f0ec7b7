"""The command ``pixmill sync``: uploads the new files of a folder, processes them and downloads the results."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import uuid4

import typer

from pixmill.client.answers import File, Task
from pixmill.client.locks import locked
from pixmill.client.places import state_folder, write_private
from pixmill.client.problems import (
    TOO_MANY_TASKS,
    NotFoundError,
    PixmillError,
    UnavailableError,
    is_lasting,
)
from pixmill.client.settings import safe_name
from pixmill.client.sync import Pixmill
from pixmill.client.targets import file_instead_of_folder
from pixmill.commands.completing import complete_what
from pixmill.commands.console import (
    Exit,
    Failures,
    Fields,
    ProfileName,
    Url,
    concerns_every_request,
    concerns_the_file,
    connected,
    described,
    emit,
    emit_json,
    examples,
    explained,
    fail,
    json_option,
    may_pass,
    no_result,
    say,
)
from pixmill.commands.paths import Selection, Stamp, say_linked, settled, stamp_of
from pixmill.commands.progress import Source, transfers
from pixmill.commands.rounds import Pauses
from pixmill.commands.run import created, request
from pixmill.commands.words import text

app = typer.Typer()

KEPT = ("stamps", "waiting", "planned", "running")
OBJECT_FIELDS = ("path", "id", "result_id", "result")
"""The fields of each object that is printed with ``--json``."""
MANY = 10_000
"""The maximum number of files in a run."""
TASK_NOT_FOUND = "task-not-found"
"""The problem for a task that somebody has deleted, while its run may still exist."""
EVERY_SECONDS = 2
"""How often a folder is searched by default."""
GROUP = 50
"""Number of files after which the state is saved."""


@dataclass
class Memory:
    """The persistent state of a hot folder, so that a restarted program continues where it stopped.

    :param stamps: the uploaded files, by path within the folder.
    :param waiting: ids of files that no run includes yet, by path.
    :param planned: the next run's idempotency key and files, saved before the request so that a retry creates no second
    run.
    :param running: for each run with unsaved results, oldest first, the ids of its sources by their paths. Files that
    the server stores under the same name may share an id.
    :param refused: the files that the server refuses as they are, by path; not saved, so that another program, perhaps
    after a change of the server's limits, sends them again.
    :param printed: the failures of uploads so far; not saved.
    :param printed_of_results: the failures to save results so far; not saved.
    """

    path: Path
    stamps: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    planned: dict[str, object] = field(default_factory=dict)
    running: dict[str, dict[str, int]] = field(default_factory=dict)
    refused: dict[str, Stamp] = field(default_factory=dict)
    printed: Failures = field(default_factory=Failures)
    printed_of_results: Failures = field(default_factory=Failures)

    @staticmethod
    def place(*parts: str) -> Path:
        """Return the file of the state."""
        name = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]
        return state_folder() / "sync" / f"{name}.json"

    @classmethod
    def of(cls, *parts: str) -> "Memory":
        """Return the state for a server, a folder, the request for its runs and its folder on the server."""
        path = cls.place(*parts)
        try:
            document: object = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return cls(path)
        if not isinstance(document, dict):
            return cls(path)
        known = {name: document[name] for name in KEPT if isinstance(document.get(name), dict)}
        memory = cls(path, **known)
        memory.running = {run: _by_path(sources) for run, sources in memory.running.items()}
        return memory

    def outdate(self, run: str, path: str) -> None:
        """Forget a file in earlier runs, whose results would replace that of its newer version."""
        for earlier, sources in self.running.items():
            if earlier == run:
                return
            sources.pop(path, None)

    def keep(self) -> None:
        """Save the state."""
        document = {name: getattr(self, name) for name in KEPT}
        write_private(self.path, json.dumps(document))


def _by_path(sources: Mapping[str, int | str]) -> dict[str, int]:
    """Return the ids of sources by their paths; an earlier build saved the paths by their ids."""
    return dict((value, int(key)) if isinstance(value, str) else (key, value) for key, value in sources.items())


@dataclass(frozen=True)
class HotFolder:
    """The configuration of a hot folder.

    :param what: the request for its runs; empty to upload files only.
    :param out: the folder for results.
    """

    root: Path
    selection: Selection
    what: Mapping[str, object]
    out: Path | None
    folder: str | None
    as_json: Fields | None


@app.command(
    epilog=examples("pixmill sync inbox --run web --out ready", "pixmill sync inbox --once --folder inbox --dry-run")
)
def sync(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder to watch.")],
    run: Annotated[
        str | None,
        typer.Option(
            "--run",
            metavar="WHAT",
            help="For each file: a preset, steps, or a .json or .yml file with steps.",
            autocompletion=complete_what,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Save results here, in the same folders.")] = None,
    target: Annotated[str | None, typer.Option("--folder", help="The folder on the server.")] = None,
    glob: Annotated[list[str] | None, typer.Option(help="Only names like this; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Skip names like this; repeatable.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Run one round and exit.")] = False,
    every: Annotated[
        float | None, typer.Option(min=0.1, metavar="SECONDS", help="How often to look (default: 2).")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be uploaded.")] = False,
    as_json: Annotated[Fields | None, json_option(OBJECT_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload what is new or changed in a folder, process it, and fetch the results; repeat until Ctrl-C."""
    if out is not None and run is None:
        raise fail(text("--out needs --run"), Exit.USAGE)
    if out is not None and (file := file_instead_of_folder(out)) is not None:
        raise fail(text("'{path}' is a file; give a folder", path=file), Exit.USAGE)
    if once and every is not None:
        raise fail(text("--every is for several rounds, not for --once"), Exit.USAGE)
    if out is not None and folder.resolve().is_relative_to(out.resolve()):
        # All files below --out are taken for results, so nothing would be uploaded.
        raise fail(text("--out must not be {folder} or a folder above it", folder=folder), Exit.USAGE)
    with connected(url, profile) as pixmill:
        what = {} if run is None else request(pixmill, run, ())
        hot_folder = HotFolder(
            folder.resolve(),
            Selection(recursive=True, only=glob or (), without=exclude or ()),
            what,
            out,
            target,
            as_json,
        )
        parts = (pixmill.url, str(hot_folder.root), json.dumps(what, sort_keys=True), target or "")
        if dry_run:
            memory = Memory.of(*parts)
            first = _scanned(hot_folder, memory)
            say_linked(first.linked)
            for name in _changed(memory, first.stamps):
                emit(name)
            failures = first.unreadable
        else:
            with (
                explained(lambda: text("interrupted; the same command goes on where this one stopped")),
                locked(Memory.place(*parts).with_suffix(".lock"), text("the same command is already running")),
            ):
                # Read what another program noted only after it has ended.
                memory = Memory.of(*parts)
                failures = _rounds(pixmill, hot_folder, memory, every or EVERY_SECONDS, once=once)
    if failures:
        raise typer.Exit(Exit.SOME_FAILED)


def _rounds(pixmill: Pixmill, hot_folder: HotFolder, memory: Memory, every: float, *, once: bool) -> int:
    """Run a single round, or rounds until Ctrl-C; return the number of failures."""
    before: Mapping[str, Stamp] | None = None
    away = Failures()
    pauses = Pauses(every)
    while True:
        try:
            found = _scanned(hot_folder, memory)
            if before is None:
                say_linked(found.linked)
            # A single round takes files as they are.
            whole = found.stamps if once else settled(before or {}, found.stamps)
            before = found.stamps
            failures = _round(pixmill, hot_folder, memory, whole, pauses, wait=once)
        except (PixmillError, OSError) as error:
            if once or not may_pass(error):
                raise
            away.say(error)
        else:
            if once:
                return failures + found.unreadable
            away.forget()
        pauses.wait()


class _Found(NamedTuple):
    """What is in the folder.

    :param stamps: the files by their paths within the folder.
    :param linked: the folders that are skipped because they are symbolic links.
    :param unreadable: the number of files and folders that cannot be read.
    """

    stamps: Mapping[str, Stamp]
    linked: Sequence[Path]
    unreadable: int


def _scanned(hot_folder: HotFolder, memory: Memory) -> _Found:
    """Return the files of the folder, except the results written into it; print what cannot be read."""
    out = None if hot_folder.out is None else hot_folder.out.resolve()
    stamps: dict[str, Stamp] = {}
    linked: list[Path] = []
    unreadable: list[Path] = []

    def note_unreadable(path: Path, error: OSError) -> None:
        unreadable.append(path)
        memory.printed.say(error, path.relative_to(hot_folder.root).as_posix())

    search = replace(hot_folder.selection, on_linked=linked.append, on_unreadable=note_unreadable)
    for path in search.files([str(hot_folder.root)]):
        if out is not None and path.is_relative_to(out):
            continue
        stamp = stamp_of(path)
        if stamp is not None:
            stamps[path.relative_to(hot_folder.root).as_posix()] = stamp
    return _Found(stamps, linked, len(unreadable))


def _changed(memory: Memory, found: Mapping[str, Stamp]) -> list[str]:
    """Return the files that were neither uploaded nor refused as they are now."""
    return [
        name
        for name, stamp in found.items()
        if memory.stamps.get(name) != list(stamp) and memory.refused.get(name) != stamp
    ]


def _round(
    pixmill: Pixmill, hot_folder: HotFolder, memory: Memory, found: Mapping[str, Stamp], pauses: Pauses, *, wait: bool
) -> int:
    """Run one round; return the number of failures."""
    failures = _upload(pixmill, hot_folder, memory, found, pauses)
    while hot_folder.what:
        try:
            failures += _begin(pixmill, hot_folder, memory)
        except UnavailableError as error:
            if error.kind != TOO_MANY_TASKS:
                raise
            # The runs so far take up the owner's limit: fetch their results, and begin the next run once they ended.
            runs = len(memory.running)
            failures += _fetch(pixmill, hot_folder, memory, wait=wait)
            if not wait or len(memory.running) == runs:
                raise
        else:
            return failures + _fetch(pixmill, hot_folder, memory, wait=wait)
    return failures


def _upload(pixmill: Pixmill, hot_folder: HotFolder, memory: Memory, found: Mapping[str, Stamp], pauses: Pauses) -> int:
    names = _changed(memory, found)
    failures = 0
    with transfers(text("Uploading"), {hot_folder.root / name: found[name][0] for name in names}) as moved:
        for first in range(0, len(names), GROUP):
            paths = {hot_folder.root / name: name for name in names[first : first + GROUP]}
            # The file may have been uploaded by an earlier process that was killed.
            outcomes = pixmill.files.upload_many(
                paths, root=hot_folder.root, folder=hot_folder.folder, skip_existing=True, on_progress=moved
            )
            try:
                for outcome in moved.passing(outcomes):
                    name = paths[outcome.source]
                    pauses.note(outcome.error)
                    if outcome.error is not None:
                        if concerns_every_request(outcome.error):
                            raise outcome.error
                        memory.printed.say(outcome.error, name)
                    if concerns_the_file(outcome.error):
                        memory.refused[name] = found[name]
                        memory.printed.forget(name)
                    if outcome.file is None:
                        failures += 1
                        continue
                    memory.stamps[name] = list(found[name])
                    memory.printed.forget(name)
                    if hot_folder.what:
                        memory.waiting[name] = outcome.file.id
                    if hot_folder.as_json:
                        _emit_object(hot_folder.as_json, name, outcome.file.id)
                    elif hot_folder.out is None:
                        emit(f"{outcome.file.id}\t{name}")
            finally:
                memory.keep()
    return failures


def _begin(pixmill: Pixmill, hot_folder: HotFolder, memory: Memory) -> int:
    """Create runs for the waiting files; first repeat a planned one. Return the number of files that are gone."""
    failures = 0
    most = MANY
    while memory.planned or memory.waiting:
        if not memory.planned:
            names = list(memory.waiting)[:most]
            memory.planned = {"key": str(uuid4()), "files": {name: memory.waiting[name] for name in names}}
            memory.keep()
        files = memory.planned.get("files")
        ids: dict[str, int] = dict(files) if isinstance(files, dict) else {}
        # The server refuses an id that a request contains twice.
        numbers = list(dict.fromkeys(ids.values()))
        try:
            made = created(pixmill, numbers, hot_folder.what, key=str(memory.planned["key"]))
        except NotFoundError:
            # If a file was deleted in the meantime, continue with the others.
            gone = set(numbers) - {file.id for file in pixmill.files.existing(numbers)}
            if not gone:
                # Something else is missing, such as the preset: the same request would fail again.
                raise
            for name in [name for name, number in memory.waiting.items() if number in gone]:
                failures += 1
                say(f"{name}: {text('somebody has deleted it on the server')}")
                del memory.waiting[name]
        except UnavailableError as error:
            if not is_lasting(error) or len(ids) == 1:
                raise
            # The run has more files than the owner may have tasks, so the same request would never succeed.
            most = len(ids) // 2
        else:
            # A file that has changed since the run was planned waits with another id.
            memory.waiting = {name: number for name, number in memory.waiting.items() if ids.get(name) != number}
            memory.running[str(made.batch_id)] = ids
        memory.planned = {}
        memory.keep()
    return failures


def _fetch(pixmill: Pixmill, hot_folder: HotFolder, memory: Memory, *, wait: bool) -> int:
    """Save the results of the runs that have ended; return the number of files without a result."""
    failures = 0
    paths: ResultPaths | None = None
    for batch_id, sources in list(memory.running.items()):
        try:
            ended = _ended(pixmill, int(batch_id), wait=wait)
        except NotFoundError:
            say(text("Run {id} is gone; somebody has deleted it.", id=batch_id))
            failures += len(sources)
            sources.clear()
        else:
            if ended is None:
                continue
            paths = paths or ResultPaths.of(memory.stamps)
            failures += _saved(pixmill, hot_folder, memory, batch_id, *ended, paths)
        memory.running = {run: left for run, left in memory.running.items() if left}
        memory.keep()
    return failures


def _ended(pixmill: Pixmill, batch_id: int, *, wait: bool) -> tuple[Sequence[Task], Mapping[int, File]] | None:
    """Return the tasks and the results of a run, or ``None`` if it has not ended and ``wait`` is not set.

    :raises NotFoundError: the run does not exist.
    """
    while True:
        run = pixmill.batches.run(batch_id)
        if not wait and not run.progress().has_ended:
            return None
        try:
            tasks = run.ended()
        except NotFoundError as error:
            if error.kind != TASK_NOT_FOUND:
                raise
            # Somebody has deleted a task meanwhile; the others still have results.
            continue
        return tasks, {file.id: file for file in run.results(tasks)}


def _saved(
    pixmill: Pixmill,
    hot_folder: HotFolder,
    memory: Memory,
    batch_id: str,
    tasks: Sequence[Task],
    results: Mapping[int, File],
    paths: "ResultPaths",
) -> int:
    """Write the results of a run into the folder; return the number of files without a saved result.

    The files that are done are removed from the run; the others are tried again in the next round.
    """
    sources = memory.running[batch_id]
    failures = 0
    by_source = {task.source_id: task for task in tasks}
    sizes: dict[Source, int] = {} if hot_folder.out is None else {file.id: file.size for file in results.values()}
    with transfers(text("Downloading"), sizes) as moved:
        try:
            for count, (source, number) in enumerate(list(sources.items()), 1):
                task = by_source.get(number)
                result = None if task is None else results.get(task.result_id or 0)
                if task is None:
                    failures += 1
                    say(f"{source}: {text('somebody has deleted its task')}")
                elif result is None:
                    failures += 1
                    say(f"{source}: {no_result(task)}")
                elif hot_folder.out is None:
                    _print_result(hot_folder, source, number, result)
                else:
                    path = hot_folder.out / paths.of_result(source, result)
                    try:
                        # The result of a file that has changed replaces that of its earlier version.
                        saved = pixmill.files.download(result, path, overwrite=True, on_progress=moved)
                    except NotFoundError as error:
                        failures += 1
                        moved.end(result.id)
                        say(f"{source}: {described(error)}")
                    except (PixmillError, OSError) as error:
                        if concerns_every_request(error):
                            raise
                        failures += 1
                        moved.end(result.id)
                        memory.printed_of_results.say(error, source)
                        continue
                    else:
                        memory.outdate(batch_id, source)
                        memory.printed_of_results.forget(source)
                        _print_result(hot_folder, source, number, result, saved)
                del sources[source]
                if count % GROUP == 0:
                    memory.keep()
        finally:
            memory.keep()
    return failures


def _print_result(hot_folder: HotFolder, source: str, number: int, result: File, saved: Path | None = None) -> None:
    if hot_folder.as_json:
        _emit_object(hot_folder.as_json, source, number, result, saved)
    else:
        emit(f"{result.id}\t{source}" if saved is None else str(saved))


def _emit_object(
    wanted: Fields, source: str, number: int, result: File | None = None, saved: Path | None = None
) -> None:
    """Print what is known about a file of the folder; all objects have ``OBJECT_FIELDS``."""
    values = (source, number, None if result is None else result.id, None if saved is None else str(saved))
    emit_json(dict(zip(OBJECT_FIELDS, values, strict=True)), wanted)


@dataclass(frozen=True)
class ResultPaths:
    """Chooses the paths of results.

    :param users: how many sources have each path, with or without their extension; counted once, because comparing
    each result with all sources takes quadratic time.
    :param folders: the folders of the sources.
    """

    users: Mapping[Path, int]
    folders: Set[Path]

    @classmethod
    def of(cls, sources: Iterable[str]) -> "ResultPaths":
        paths = [Path(source) for source in sources]
        users = Counter(form for path in paths for form in {path, path.with_suffix("")})
        return cls(users, frozenset(folder for path in paths for folder in path.parents))

    def of_result(self, source: str, result: File) -> Path:
        """Return the path of a result: ``a.webp`` for ``a.jpg``, or ``a.jpg.webp`` if ``a.webp`` could be in use.

        A folder could have the short path, and so could the result of another source: that of ``a.png``, or, for a
        source ``a.jpg.webp``, that of ``a.jpg``. The path is then ``a.jpg.webp.webp``.
        """
        path = Path(source)
        short, full = (path.parent / safe_name(name + result.extension) for name in (path.stem, path.name))
        is_free = self.users.get(path.with_suffix(""), 0) <= 1 and short not in self.folders
        return short if is_free else full
