"""Commands for runs, called batches on the server: ls, show, watch, save, cancel, restart, forget."""

from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import Batch, Forgotten
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Quiet,
    Url,
    connected,
    emit,
    emit_fields,
    emit_json,
    emit_rows,
    examples,
    json_option,
    names_of,
    say,
)
from pixmill.commands.fetching import STDOUT, check_stdout, check_target
from pixmill.commands.waiting import explain, has_failures, save, wait
from pixmill.commands.words import plural

app = typer.Typer(
    help="List, follow and change runs: what `pixmill run` began.",
    no_args_is_help=True,
    epilog=examples("pixmill runs ls", "pixmill runs save 3 -o small"),
)

COLUMNS = ("id", "status", "ended_tasks", "tasks", "algorithm", "preset", "created_at")
PROGRESS_FIELDS = ("id", "status", "counts", "seconds_left")
"""The fields of each object that ``runs watch --json`` prints."""
LISTED_FIELDS = names_of(Batch, without=("started_at", "ended_at", "rate", "seconds_left", "errors"))
"""The fields of a run in a list."""
Id = Annotated[int, typer.Argument(metavar="RUN", help="The id of the run.")]


@app.command(epilog=examples("pixmill runs ls", "pixmill runs ls --limit 5 --json"))
def ls(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    as_json: Annotated[Fields | None, json_option(LISTED_FIELDS)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List runs, the newest first."""
    with connected(url, profile, Exit.OK) as pixmill:
        emit_rows(islice(pixmill.batches.list(), limit), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill runs show 3", "pixmill runs show 3 --json"))
def show(
    run: Id, as_json: Annotated[Fields | None, json_option(Batch)] = None, url: Url = None, profile: ProfileName = None
) -> None:
    """Show how far a run is, how fast, and why tasks failed."""
    with connected(url, profile, Exit.OK) as pixmill:
        batch = pixmill.batches.get(run)
        if as_json:
            emit_json(batch.document, as_json)
            return
        emit_fields(batch, without=("params", "errors", "counts"))
        for status, count in batch.counts.items():
            emit(f"{status}\t{count}")
        for cause in batch.errors:
            emit(f"error\t{cause.tasks}\t{cause.task_id}\t{cause.reason}")


@app.command(epilog=examples("pixmill runs watch 3", "pixmill runs watch 3 --json"))
def watch(
    run: Id,
    as_json: Annotated[Fields | None, json_option(PROGRESS_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Follow a run until all its tasks have ended."""
    with connected(url, profile, Exit.OK) as pixmill:
        batch = wait(pixmill.batches.run(run), show=lambda batch: _print(batch, as_json=as_json))
        if has_failures(batch):
            explain(batch)


@app.command(
    "save", epilog=examples("pixmill runs save 3 -o small", "pixmill runs save 3 -o small --name '{name}-{id}{ext}'")
)
def save_results(
    run: Id,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder; - writes one result to stdout.")] = Path(),
    name: Annotated[str | None, typer.Option(help="Names of results, with {name}, {ext}, {id} and {task_id}.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    as_json: Annotated[Fields | None, json_option(("path",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Wait for a run, and save its results."""
    with connected(url, profile) as pixmill:
        check_target(name, output)
        made = pixmill.batches.run(run)
        if output == STDOUT:
            check_stdout(len(made.task_ids), name, force=force, as_json=as_json)
        wait(made)
        save(pixmill, made, output, name, force=force, as_json=as_json)


@app.command(epilog=examples("pixmill runs cancel 3", "pixmill runs cancel 3 --json"))
def cancel(
    run: Id,
    as_json: Annotated[Fields | None, json_option(("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Cancel the tasks of a run that have not ended; print their ids."""
    with connected(url, profile) as pixmill:
        for task_id in pixmill.batches.cancel(run):
            emit_json({"id": task_id}, as_json) if as_json else emit(str(task_id))


@app.command(epilog=examples("pixmill runs restart 3", "pixmill runs restart 3 && pixmill runs watch 3"))
def restart(
    run: Id,
    as_json: Annotated[Fields | None, json_option(("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Run the failed and cancelled tasks of a run again; print their ids."""
    with connected(url, profile) as pixmill:
        for task_id in pixmill.batches.restart(run):
            emit_json({"id": task_id}, as_json) if as_json else emit(str(task_id))


@app.command(epilog=examples("pixmill runs forget 3", "pixmill runs forget 3 --json"))
def forget(
    run: Id,
    as_json: Annotated[Fields | None, json_option((*names_of(Forgotten), "more"))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Delete the tasks of a run that have ended; files stay."""
    with connected(url, profile) as pixmill:
        forgotten = pixmill.batches.forget(run)
        emit_json(forgotten.document, as_json) if as_json else emit(str(forgotten.forgotten))
        if forgotten.left:
            say(
                plural(
                    "{count} task has not ended and stays.", "{count} tasks have not ended and stay.", forgotten.left
                )
            )


def _print(batch: Batch, *, as_json: Fields | None) -> None:
    if as_json:
        emit_json({name: getattr(batch, name) for name in PROGRESS_FIELDS}, as_json)
    else:
        emit(f"{batch.ended_tasks}/{batch.tasks}\t{batch.rate:g}/s\t{batch.status}")
