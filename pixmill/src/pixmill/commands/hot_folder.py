"""The command ``pixmill sync``: uploads the new files of a folder, processes them and downloads the results."""

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from pixmill.client.answers import File, Task
from pixmill.client.places import state_folder, write_private
from pixmill.client.problems import NotFoundError, PixmillError, UnavailableError, UnreachableError
from pixmill.client.settings import safe_name
from pixmill.client.sync import Pixmill
from pixmill.commands.completing import complete_what
from pixmill.commands.console import (
    Exit,
    Json,
    ProfileName,
    Url,
    concerns_every_request,
    connected,
    described,
    emit,
    emit_json,
    examples,
    explained,
    fail,
    say,
)
from pixmill.commands.paths import Selection
from pixmill.commands.progress import transfers
from pixmill.commands.run import created, request
from pixmill.commands.words import text

app = typer.Typer()

KEPT = ("stamps", "waiting", "planned", "running")
GROUP = 50
"""Number of files after which the state is saved."""
Stamp = tuple[int, int]
"""The size and modification time of a file."""


@dataclass
class Memory:
    """The persistent state of a hot folder, so that a restarted program continues where it stopped.

    :param stamps: the uploaded files, by path within the folder.
    :param waiting: ids of files that no run includes yet, by path.
    :param planned: the next run's idempotency key and files, saved before the request so that a retry creates no second
    run.
    :param said: messages already printed; not saved.
    :param running: for each run with unsaved results, the paths of its sources by their ids.
    """

    path: Path
    stamps: dict[str, list[int]] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    planned: dict[str, object] = field(default_factory=dict)
    running: dict[str, dict[str, str]] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, *parts: str) -> "Memory":
        """Return the state for a folder, a server and a job."""
        name = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()[:40]
        path = state_folder() / "sync" / f"{name}.json"
        try:
            document: object = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError):
            return cls(path)
        if not isinstance(document, dict):
            return cls(path)
        known = {name: document[name] for name in KEPT if isinstance(document.get(name), dict)}
        return cls(path, **known)

    def complain(self, message: str) -> None:
        """Print a failure only once, because it may recur in each round."""
        if message not in self.said:
            self.said.add(message)
            say(message)

    def keep(self) -> None:
        """Save the state."""
        document = {name: getattr(self, name) for name in KEPT}
        write_private(self.path, json.dumps(document))


@dataclass(frozen=True)
class Job:
    """The configuration of a hot folder.

    :param what: the request for its runs; empty to upload files only.
    :param out: the folder for results.
    """

    root: Path
    selection: Selection
    what: Mapping[str, object]
    out: Path | None
    folder: str | None
    as_json: bool


@app.command(
    epilog=examples("pixmill sync inbox --run web --out ready", "pixmill sync inbox --once --folder inbox --dry-run")
)
def sync(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder to watch.")],
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="WHAT", help="A preset or steps for each file.", autocompletion=complete_what),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Save results here, in the same folders.")] = None,
    target: Annotated[str | None, typer.Option("--folder", help="The folder on the server.")] = None,
    glob: Annotated[list[str] | None, typer.Option(help="Only names like this; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No names like this; repeatable.")] = None,
    once: Annotated[bool, typer.Option("--once", help="Do what there is to do, and end.")] = False,
    every: Annotated[float, typer.Option(min=0.1, metavar="SECONDS", help="How often to look.")] = 2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be uploaded.")] = False,
    as_json: Json = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload what is new or changed in a folder, process it, fetch the results; again and again until Ctrl-C."""
    if out is not None and run is None:
        raise fail(text("--out needs --run"), Exit.USAGE)
    if out is not None and folder.resolve().is_relative_to(out.resolve()):
        # All files below --out are taken for results, so nothing would be uploaded.
        raise fail(text("--out must not be {folder} or a folder above it", folder=folder), Exit.USAGE)
    with connected(url, profile) as pixmill:
        what = {} if run is None else request(pixmill, run, ())
        job = Job(
            folder.resolve(),
            Selection(recursive=True, only=glob or (), without=exclude or ()),
            what,
            out,
            target,
            as_json,
        )
        memory = Memory.of(pixmill.url, str(job.root), json.dumps(what, sort_keys=True), target or "")
        if dry_run:
            for name in _changed(memory, _scanned(job)):
                emit(name)
            return
        with explained(lambda: text("interrupted; the same command goes on where this one stopped")):
            failures = _rounds(pixmill, job, memory, every, once=once)
    if failures:
        raise typer.Exit(Exit.SOME_FAILED)


def _rounds(pixmill: Pixmill, job: Job, memory: Memory, every: float, *, once: bool) -> int:
    """Run a single round, or rounds until Ctrl-C; return the number of failures."""
    before: Mapping[str, Stamp] | None = None
    while True:
        now = _scanned(job)
        # A file whose size changes is still being written; a single round takes files as they are.
        whole = now if once else {name: stamp for name, stamp in now.items() if (before or {}).get(name) == stamp}
        before = now
        try:
            failures = _round(pixmill, job, memory, whole, wait=once)
        except (UnreachableError, UnavailableError) as error:
            if once:
                raise
            say(described(error))
        else:
            if once:
                return failures
        time.sleep(every)


def _scanned(job: Job) -> dict[str, Stamp]:
    """Return the files of the folder, except the results written into it."""
    out = None if job.out is None else job.out.resolve()
    found = {}
    for path in job.selection.files([str(job.root)]):
        if out is not None and path.is_relative_to(out):
            continue
        try:
            data = path.stat()
        except FileNotFoundError:
            continue
        found[path.relative_to(job.root).as_posix()] = (data.st_size, data.st_mtime_ns)
    return found


def _changed(memory: Memory, found: Mapping[str, Stamp]) -> list[str]:
    return [name for name, stamp in found.items() if memory.stamps.get(name) != list(stamp)]


def _round(pixmill: Pixmill, job: Job, memory: Memory, found: Mapping[str, Stamp], *, wait: bool) -> int:
    """Run one round; return the number of failures."""
    failures = _upload(pixmill, job, memory, found)
    if job.what:
        _begin(pixmill, job, memory)
        failures += _fetch(pixmill, job, memory, wait=wait)
    return failures


def _upload(pixmill: Pixmill, job: Job, memory: Memory, found: Mapping[str, Stamp]) -> int:
    names = _changed(memory, found)
    failures = 0
    with transfers(text("Uploading"), sum(found[name][0] for name in names)) as moved:
        for first in range(0, len(names), GROUP):
            paths = {job.root / name: name for name in names[first : first + GROUP]}
            # The file may have been uploaded by an earlier process that was killed.
            ends = pixmill.files.upload_many(
                paths, root=job.root, folder=job.folder, skip_existing=True, on_progress=moved
            )
            for end in ends:
                name = paths[end.source]
                if end.error is not None and concerns_every_request(end.error):
                    memory.keep()
                    raise end.error
                if end.file is None:
                    failures += 1
                    memory.complain(f"{name}: {'' if end.error is None else described(end.error)}")
                    continue
                memory.stamps[name] = list(found[name])
                if job.what:
                    memory.waiting[name] = end.file.id
                if job.as_json:
                    emit_json({"path": name, "id": end.file.id})
                elif job.out is None:
                    emit(f"{end.file.id}\t{name}")
            memory.keep()
    return failures


def _begin(pixmill: Pixmill, job: Job, memory: Memory) -> None:
    """Create a run for the waiting files; first repeat a planned one."""
    while memory.planned or memory.waiting:
        if not memory.planned:
            names = list(memory.waiting)[:10_000]
            memory.planned = {"key": str(uuid4()), "files": {name: memory.waiting[name] for name in names}}
            memory.keep()
        files = memory.planned.get("files")
        ids: dict[str, int] = dict(files) if isinstance(files, dict) else {}
        try:
            made = created(pixmill, list(ids.values()), job.what, key=str(memory.planned["key"]))
        except NotFoundError:
            # If a file was deleted in the meantime, continue with the others.
            gone = set(ids.values()) - {file.id for file in pixmill.files.existing(list(ids.values()))}
            if not gone:
                # Something else is missing, such as the preset: the same request would fail again.
                raise
            made = None
            memory.waiting = {name: number for name, number in memory.waiting.items() if number not in gone}
        else:
            memory.waiting = {name: number for name, number in memory.waiting.items() if name not in ids}
        memory.planned = {}
        if made is not None:
            memory.running[str(made.batch_id)] = {str(number): name for name, number in ids.items()}
        memory.keep()


def _fetch(pixmill: Pixmill, job: Job, memory: Memory, *, wait: bool) -> int:
    """Save the results of the runs that have ended; return the number of tasks without a result."""
    failures = 0
    places: Places | None = None
    for batch_id, names in list(memory.running.items()):
        try:
            run = pixmill.batches.run(int(batch_id))
            if not wait and not run.progress().has_ended:
                continue
            tasks = run.ended()
            results = {file.id: file for file in run.results(tasks)}
        except NotFoundError:
            say(text("Run {id} is gone; somebody has deleted it.", id=batch_id))
            names.clear()
        else:
            places = places or Places.of(memory.stamps)
            failures += _saved(pixmill, job, memory, names, tasks, results, places)
        if not names:
            del memory.running[batch_id]
        memory.keep()
    return failures


def _saved(
    pixmill: Pixmill,
    job: Job,
    memory: Memory,
    names: dict[str, str],
    tasks: Sequence[Task],
    results: Mapping[int, File],
    places: "Places",
) -> int:
    """Write the results into the folder; return the number of tasks without a saved result.

    :param names: the paths of the sources by their ids; those that are done are removed, the others are tried again in
    the next round.
    """
    failures = 0
    unsaved = [(str(task.source_id), task) for task in tasks if str(task.source_id) in names]
    for forgotten in names.keys() - {source_id for source_id, _ in unsaved}:
        del names[forgotten]
    try:
        for count, (source_id, task) in enumerate(unsaved, 1):
            source = names[source_id]
            result = results.get(task.result_id or 0)
            if result is None:
                failures += 1
                say(f"{source}: {task.reason or text(task.status)}")
            elif job.out is None:
                emit_json({"path": source, "result_id": result.id}) if job.as_json else emit(f"{result.id}\t{source}")
            else:
                path = job.out / places.of_result(source, result)
                try:
                    pixmill.files.download(result, path)
                except NotFoundError as error:
                    failures += 1
                    say(f"{source}: {described(error)}")
                except (PixmillError, OSError) as error:
                    if concerns_every_request(error):
                        raise
                    failures += 1
                    memory.complain(f"{source}: {described(error)}")
                    continue
                else:
                    emit_json({"path": source, "result": str(path)}) if job.as_json else emit(str(path))
            del names[source_id]
            if count % GROUP == 0:
                memory.keep()
    finally:
        memory.keep()
    return failures


@dataclass(frozen=True)
class Places:
    """Chooses the paths of results.

    :param stems: how many sources have each path without its extension; counted once, because comparing each result
    with all sources takes quadratic time.
    """

    stems: Mapping[Path, int]

    @classmethod
    def of(cls, sources: Iterable[str]) -> "Places":
        return cls(Counter(Path(source).with_suffix("") for source in sources))

    def of_result(self, source: str, result: File) -> Path:
        """Return the path of the source, whose extension is kept if several sources differ only in theirs."""
        path = Path(source)
        shared = self.stems.get(path.with_suffix(""), 0) > 1
        return path.parent / safe_name((path.name if shared else path.stem) + result.extension)
