"""The command ``pixmill run``: processes files, and can wait for the results and save them."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import Task
from pixmill.client.files import MANY
from pixmill.client.problems import InvalidError
from pixmill.client.settings import seconds
from pixmill.client.sync import Pixmill, Run
from pixmill.commands import units
from pixmill.commands.completing import complete_what
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Url,
    connected,
    described,
    emit,
    emit_json,
    examples,
    exit_code,
    explained,
    fail,
    json_option,
    say,
)
from pixmill.commands.fetching import STDOUT, check_stdout, check_target
from pixmill.commands.paths import Selection
from pixmill.commands.pipeline_file import is_pipeline_file, params_in
from pixmill.commands.progress import transfers
from pixmill.commands.steps_text import parsed, set_in
from pixmill.commands.waiting import explain, save
from pixmill.commands.waiting import wait as wait_for
from pixmill.commands.words import text
from pixmill.steps import request_of

app = typer.Typer()

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""The syntax of a preset's name."""
TASK_FIELDS = ("id", "source_id", "batch_id")
"""The fields of each new task that is printed with ``--json``."""
REQUEST_FIELDS = ("algorithm", "params", "preset", "file_ids", "priority", "cache", "expires_in")
"""The fields of the request that ``--dry-run`` prints; a preset is in it instead of an algorithm with params."""
UNKNOWN_ALGORITHM = "unknown-algorithm"


@app.command(
    epilog=examples(
        "pixmill run 'resize width=800 fit=inside | watermark text=\"© me\"' *.jpg -o small",
        "pixmill ls -q --type 'image/*' | pixmill run web - --wait",
    )
)
def run(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help="A preset, steps ('resize width=800 | flip'), or a .json or .yml file with steps; with a slash"
            " (./web.json) never a preset.",
            autocompletion=complete_what,
        ),
    ],
    files: Annotated[
        list[str], typer.Argument(metavar="FILES…", help="Ids, or paths, which are uploaded; - reads ids from stdin.")
    ],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until all tasks have ended.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Wait, and save results in this folder; - writes one result to stdout."),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Names of results, with {name}, {ext}, {id} and {task_id}.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Set a param of the pipeline: output.format=webp; repeatable."
        ),
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="Tasks with a higher priority run first.")] = 0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not use results of earlier tasks.")] = False,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Go into folders; names that begin with a dot are skipped.")
    ] = False,
    expires: Annotated[str | None, typer.Option(help="Delete results after this time: 2h, 7d.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the request.")] = False,
    as_json: Annotated[
        Fields | None, json_option(TASK_FIELDS, dry_run=REQUEST_FIELDS, output=("path",), wait=Task)
    ] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Process files: print the ids of the tasks, or with --wait the results."""
    if output is None and (name is not None or force):
        raise fail(text("--name and --force need --output"), Exit.USAGE)
    with connected(url, profile) as pixmill:
        check_target(name, output)
        lasting = None if expires is None else units.duration(expires)
        asked = request(pixmill, what, set_ or ())
        ids, paths = _sources(files, recursive=recursive)
        count = len(ids) + len(paths)
        if count > MANY:
            raise ValueError(text("a run has at most {most} files, and these are {count}", most=MANY, count=count))
        if output == STDOUT:
            check_stdout(count, name, force=force, as_json=as_json)
        if dry_run:
            fields = {**asked, "file_ids": [*ids, *map(str, paths)], "priority": priority, "cache": not no_cache}
            if lasting is not None:
                fields["expires_in"] = seconds(lasting)
            emit_json(fields, as_json or Fields())
            return
        with explained(lambda: text("interrupted; no run was begun")):
            # The server refuses an id that a request contains twice, and files with equal names and bytes share one.
            given = set(ids)
            ids += [file_id for file_id in dict.fromkeys(_uploaded(pixmill, paths)) if file_id not in given]
        with explained(_interruption), _explained_name(what):
            made = created(pixmill, ids, asked, priority=priority, cache=not no_cache, expires=lasting)
        if not (wait or output):
            _print_tasks(made, ids, as_json=as_json)
            return
        wait_for(made)
        if output is not None:
            save(pixmill, made, output, name, force=force, as_json=as_json)
        else:
            _print_results(made, as_json=as_json)


def request(pixmill: Pixmill, what: str, settings: Sequence[str]) -> Mapping[str, object]:
    """Return the part of a batch request that describes the processing.

    A name without a slash is that of a preset, if there is one: files can also be named ``./pipeline.json``.
    """
    if NAME.fullmatch(what) and what in {preset.name for preset in pixmill.presets.list()}:
        if settings:
            raise ValueError(text("a preset has its own params: --set is for steps"))
        if is_pipeline_file(what) and Path(what).exists():
            say(text("{name} is a preset; the file of this name is ./{name}", name=what))
        return {"preset": what}
    if is_pipeline_file(what):
        made: dict[str, object] = {"algorithm": "pipeline", "params": params_in(Path(what))}
    else:
        made = request_of(parsed(what), preset=None, params=None, ends={})
    params = made["params"]
    if isinstance(params, dict):
        for word in settings:
            set_in(params, word)
    return made


def _sources(files: Sequence[str], *, recursive: bool) -> tuple[list[int], list[Path]]:
    """Return ids and paths; a number is an id, so a file with such a name is written ``./12``."""
    words = [word for argument in files for word in (sys.stdin.read().split() if argument == "-" else [argument])]
    ids = [int(word) for word in words if word.isascii() and word.isdecimal()]
    paths = [word for word in words if not (word.isascii() and word.isdecimal())]
    try:
        return ids, list(Selection(recursive).files(paths))
    except FileNotFoundError as error:
        if any("=" in word for word in paths):
            hint = text("{error}; write steps in quotes: 'resize width=800 | flip'", error=error)
            raise FileNotFoundError(hint) from error
        raise


def _uploaded(pixmill: Pixmill, paths: Sequence[Path]) -> list[int]:
    ids: list[int] = []
    if not paths:
        return ids
    with transfers(text("Uploading"), {path: path.stat().st_size for path in paths}) as moved:
        # A repeated command finds the files of the interrupted one.
        outcomes = pixmill.files.upload_many(paths, skip_existing=True, on_progress=moved)
        for end in moved.passing(outcomes):
            if end.error is not None:
                raise fail(f"{end.source}: {described(end.error)}", exit_code(end.error)) from end.error
            if end.file is not None:
                ids.append(end.file.id)
    return ids


def created(
    pixmill: Pixmill,
    ids: Sequence[int],
    what: Mapping[str, object],
    *,
    priority: int = 0,
    cache: bool = True,
    expires: timedelta | None = None,
    key: str | None = None,
) -> Run:
    """Create the run for a request."""
    algorithm, params = what.get("algorithm"), what.get("params")
    return pixmill.run(
        ids,
        algorithm if isinstance(algorithm, str) else None,
        params=params if isinstance(params, Mapping) else None,
        preset=str(what["preset"]) if "preset" in what else None,
        priority=priority,
        cache=cache,
        expires=expires,
        idempotency_key=key,
    )


@contextmanager
def _explained_name(what: str) -> Iterator[None]:
    """Explain where to look for a name that is neither a preset nor an algorithm."""
    try:
        yield
    except InvalidError as error:
        if error.kind != UNKNOWN_ALGORITHM or not NAME.fullmatch(what):
            raise
        hint = text("There is no preset '{name}' either; see: pixmill presets ls", name=what)
        raise fail(f"{described(error)}\n{hint}", exit_code(error)) from error


def _interruption() -> str:
    return text(
        "interrupted; the server may have begun a run, and the same command begins another. Look: pixmill runs"
        " ls; follow it: pixmill runs watch ID; end it: pixmill runs cancel ID"
    )


def _print_tasks(made: Run, sources: Sequence[int], *, as_json: Fields | None) -> None:
    """Print the task of each source, and how to follow the run."""
    for source, task in zip(sources, made.task_ids, strict=True):
        if as_json:
            emit_json(dict(zip(TASK_FIELDS, (task, source, made.batch_id), strict=True)), as_json)
        else:
            emit(str(task))
    say(text("Run {id}. Follow it: pixmill runs watch {id}", id=made.batch_id))


def _print_results(made: Run, *, as_json: Fields | None) -> None:
    tasks = made.tasks()
    for task in tasks:
        if as_json:
            emit_json(task.document, as_json)
        elif task.result_id is not None:
            emit(str(task.result_id))
    if any(task.result_id is None for task in tasks):
        explain(made.progress())
