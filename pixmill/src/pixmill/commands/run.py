"""``pixmill run``: do something to files, wait for it, save the results."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.problems import RunFailedError
from pixmill.client.sync import Pixmill, Run
from pixmill.commands.completing import complete_what
from pixmill.commands.console import (
    Exit,
    Json,
    ProfileName,
    Url,
    connected,
    described,
    emit,
    emit_json,
    examples,
    exit_code,
    fail,
    say,
)
from pixmill.commands.paths import Selection
from pixmill.commands.progress import counted, transfers
from pixmill.commands.steps_text import parsed, set_in
from pixmill.steps import request_of

app = typer.Typer()


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
            help="A preset, steps ('resize width=800 | flip'), or a .json file with the params of a pipeline.",
            autocompletion=complete_what,
        ),
    ],
    files: Annotated[
        list[str], typer.Argument(metavar="FILES…", help="Ids, or paths, which are uploaded; - reads ids from stdin.")
    ],
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until all tasks have ended.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Wait, and save results here.")] = None,
    name: Annotated[
        str, typer.Option(help="Names of results, with {name}, {ext}, {id} and {task_id}.")
    ] = "{name}{ext}",
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="output.format=webp; repeatable.")
    ] = None,
    priority: Annotated[int, typer.Option(min=0, max=9, help="Tasks of a higher one run first.")] = 0,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Do not use results of earlier tasks.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Go into folders.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the request.")] = False,
    as_json: Json = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Process files: print the ids of the tasks, or with --wait the results."""
    with connected(url, profile) as pixmill:
        request = _request(pixmill, what, set_ or ())
        ids, paths = _sources(files, recursive=recursive)
        if dry_run:
            emit_json({**request, "file_ids": [*ids, *map(str, paths)], "priority": priority, "cache": not no_cache})
            return
        ids += _uploaded(pixmill, paths)
        algorithm, params = request.get("algorithm"), request.get("params")
        made = pixmill.run(
            ids,
            algorithm if isinstance(algorithm, str) else None,
            params=params if isinstance(params, Mapping) else None,
            preset=str(request["preset"]) if "preset" in request else None,
            priority=priority,
            cache=not no_cache,
        )
        if not (wait or output):
            for source, task in zip(ids, made.task_ids, strict=True):
                emit_json({"id": task, "source_id": source}) if as_json else emit(str(task))
            return
        _await(made)
        _finish(made, output, name, as_json=as_json)


def _request(pixmill: Pixmill, what: str, settings: Sequence[str]) -> Mapping[str, object]:
    """Return what is done, as in a batch."""
    if what.endswith(".json"):
        document: object = json.loads(Path(what).read_text("utf-8"))
        if not isinstance(document, dict):
            raise ValueError(f"{what} is no JSON object with 'steps'")
        made: dict[str, object] = {"algorithm": "pipeline", "params": document}
    elif what.isidentifier() and what in {preset.name for preset in pixmill.presets()}:
        if settings:
            raise ValueError("a preset has its own params: --set is for steps")
        return {"preset": what}
    else:
        made = request_of(parsed(what), preset=None, params=None, ends={})
    params = made["params"]
    if isinstance(params, dict):
        for word in settings:
            set_in(params, word)
    return made


def _sources(files: Sequence[str], *, recursive: bool) -> tuple[list[int], list[Path]]:
    """Return ids and paths; a file whose name is a number is meant where it is written ``./12``."""
    words = [word for argument in files for word in (sys.stdin.read().split() if argument == "-" else [argument])]
    ids = [int(word) for word in words if word.isascii() and word.isdecimal()]
    paths = [word for word in words if not (word.isascii() and word.isdecimal())]
    return ids, list(Selection(recursive).files(paths))


def _uploaded(pixmill: Pixmill, paths: Sequence[Path]) -> list[int]:
    ids = []
    with transfers("Uploading", sum(path.stat().st_size for path in paths)) as moved:
        for end in pixmill.files.upload_many(paths, on_progress=moved):
            if end.error is not None:
                raise fail(f"{end.source}: {described(end.error)}", exit_code(end.error)) from end.error
            if end.file is not None:
                ids.append(end.file.id)
    return ids


def _await(made: Run) -> None:
    """Wait with a bar; an interrupt leaves the tasks running."""
    try:
        with counted("Processing", len(made.task_ids)) as advance:
            for event in made.events():
                if event.has_ended:
                    advance()
    except KeyboardInterrupt:
        ids = " ".join(map(str, made.task_ids[:20])) + (" …" if len(made.task_ids) > 20 else "")
        say(f"The tasks go on. Follow them: pixmill watch {ids}")
        say(f"Or end them: pixmill tasks cancel {ids}")
        raise typer.Exit(Exit.INTERRUPTED) from None


def _finish(made: Run, output: Path | None, name: str, *, as_json: bool) -> None:
    failed: RunFailedError | None = None
    if output is not None:
        try:
            paths = made.save(output, name=name)
        except RunFailedError as error:
            failed, paths = error, error.saved
        for path in paths:
            emit_json({"path": str(path)}) if as_json else emit(str(path))
    else:
        tasks = made.ended()
        for task in tasks:
            if as_json:
                emit_json(task.document)
            elif task.result_id is not None:
                emit(str(task.result_id))
        without = [task for task in tasks if task.result_id is None]
        failed = RunFailedError(without) if without else None
    if failed is not None:
        _explain(failed)
        raise typer.Exit(Exit.TASKS_FAILED)


def _explain(failed: RunFailedError) -> None:
    """Say why tasks failed, each reason once."""
    reasons: dict[str, list[int]] = {}
    for task in failed.failed:
        reasons.setdefault(task.error or task.status, []).append(task.id)
    for reason, ids in reasons.items():
        shown = ", ".join(map(str, ids[:10])) + (" …" if len(ids) > 10 else "")
        say(f"{len(ids)} without a result (tasks {shown}): {reason}")
