"""Commands for tasks: ls, show, cancel, restart, forget; and watch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from enum import StrEnum
from functools import partial
from itertools import chain, islice
from typing import Annotated, Literal

import typer

from pixmill.client.answers import Task, TaskEvent
from pixmill.client.paging import PAGE
from pixmill.client.problems import ConflictError
from pixmill.client.sync import Pixmill
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Quiet,
    Url,
    connected,
    emit,
    emit_json,
    emit_rows,
    err,
    examples,
    fail,
    ids_of,
    is_for_people,
    json_option,
    say,
    shown,
)
from pixmill.commands.progress import RUNNING, RunningTasks, running_tasks
from pixmill.commands.words import text

app = typer.Typer(
    help="List, follow and change tasks.",
    no_args_is_help=True,
    epilog=examples("pixmill tasks ls --status error", "pixmill tasks restart --all error"),
)
watching = typer.Typer()

COLUMNS = ("id", "status", "algorithm", "source_id", "result_id", "reason")
EVENT_FIELDS = ("id", "status", "result_id", "error")
"""The fields of each object that ``watch --json`` prints."""


class Status(StrEnum):
    """The states of a task."""

    PENDING = "pending"
    PROCESSING = "processing"
    FINISHED = "finished"
    ERROR = "error"
    CANCELLED = "cancelled"


Ids = Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of tasks; - reads them from stdin.")]


@app.command(epilog=examples("pixmill tasks ls --status error", "pixmill tasks ls --source 12 --json"))
def ls(
    status: Annotated[
        list[Status] | None, typer.Option(help="pending, processing, finished, error, cancelled; repeatable.")
    ] = None,
    algorithm: Annotated[str | None, typer.Option(help="Only of this algorithm.")] = None,
    source: Annotated[int | None, typer.Option(help="Only of this file.")] = None,
    run: Annotated[int | None, typer.Option("--run", help="Only of this run.")] = None,
    newest: Annotated[bool, typer.Option("--newest", help="The newest first.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    as_json: Annotated[Fields | None, json_option(Task)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List tasks, the oldest first."""
    with connected(url, profile, Exit.OK) as pixmill:
        found = pixmill.tasks.list(
            status=status, algorithm=algorithm, source_id=source, batch_id=run, sort="-id" if newest else "id"
        )
        emit_rows(islice(found, limit), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill tasks show 7", "pixmill tasks show 7 8 --json"))
def show(
    ids: Ids, as_json: Annotated[Fields | None, json_option(Task)] = None, url: Url = None, profile: ProfileName = None
) -> None:
    """Show tasks."""
    wanted = ids_of(ids)
    with connected(url, profile, Exit.OK) as pixmill:
        emit_rows((pixmill.tasks.get(task_id) for task_id in wanted), COLUMNS, as_json=as_json)


@app.command(
    epilog=examples("pixmill tasks cancel 7 8", "pixmill tasks ls -q --status pending | pixmill tasks cancel -")
)
def cancel(
    ids: Ids, as_json: Annotated[Fields | None, json_option(Task)] = None, url: Url = None, profile: ProfileName = None
) -> None:
    """Cancel tasks that have not ended."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        _change(pixmill, wanted, "cancel", as_json=as_json)


@app.command(epilog=examples("pixmill tasks restart 7", "pixmill tasks restart --all error"))
def restart(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[IDS…]", help="Ids of tasks; - reads stdin.")] = None,
    all_: Annotated[
        Literal["error", "cancelled"] | None, typer.Option("--all", help="All in this state: error or cancelled.")
    ] = None,
    as_json: Annotated[Fields | None, json_option(Task, all_=("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Run failed or cancelled tasks again."""
    if (not ids) == (all_ is None):
        raise fail(text("give ids, or --all error"), Exit.USAGE)
    wanted = ids_of(ids or ())
    with connected(url, profile) as pixmill:
        if all_ is None:
            _change(pixmill, wanted, "restart", as_json=as_json)
            return
        for task_id in pixmill.tasks.restart_all(all_):
            emit_json({"id": task_id}, as_json) if as_json else emit(str(task_id))


@app.command(
    epilog=examples("pixmill tasks forget 7", "pixmill tasks ls -q --status finished | pixmill tasks forget -")
)
def forget(
    ids: Ids,
    as_json: Annotated[Fields | None, json_option(("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Delete tasks that have ended; their files stay."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for task_id in wanted:
            pixmill.tasks.delete(task_id)
            emit_json({"id": task_id}, as_json) if as_json else emit(str(task_id))


@watching.command(epilog=examples("pixmill watch --run 3", "pixmill watch --status error --json=id,error"))
def watch(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[IDS…]", help="Tasks; without any, all.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only changes to this state.")] = None,
    run: Annotated[int | None, typer.Option("--run", help="The tasks of this run.")] = None,
    as_json: Annotated[Fields | None, json_option(EVENT_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Follow changes of tasks as they happen: of some until they have ended, of all until Ctrl-C."""
    if ids and run is not None:
        raise fail(text("give ids of tasks, or --run"), Exit.USAGE)
    wanted = ids_of(ids or ())
    if ids and not wanted:
        # No ids came from stdin. The command must not follow all tasks instead.
        return
    failed = False
    is_live = is_for_people() and err.is_interactive and as_json is None
    with connected(url, profile, Exit.OK) as pixmill:
        try:
            with running_tasks() if is_live else nullcontext() as table:
                fill = None if table is None else partial(_fill, table, pixmill, wanted, run)
                for event in _events(pixmill, wanted, run, on_open=fill):
                    failed = failed or event.status in ("error", "cancelled")
                    if table is not None:
                        table.note(event)
                        if table.is_short:
                            _fill(table, pixmill, wanted, run)
                    # The table shows the other changes.
                    if event.status == status or (status is None and (event.has_ended or not is_live)):
                        _print_event(event, as_json=as_json)
        except KeyboardInterrupt:
            say(text("The tasks go on."))
            raise typer.Exit(Exit.INTERRUPTED) from None
    if failed:
        raise typer.Exit(Exit.TASKS_FAILED)


def _events(
    pixmill: Pixmill, ids: Sequence[int], run: int | None, *, on_open: Callable[[], None] | None
) -> Iterator[TaskEvent]:
    if run is not None:
        return pixmill.batches.run(run).events(on_open=on_open)
    return pixmill.resume(ids).events(on_open=on_open) if ids else pixmill.events(on_open=on_open)


def _fill(table: RunningTasks, pixmill: Pixmill, ids: Sequence[int], run: int | None) -> None:
    """Fill the table with the tasks that run now; read at most one page of them, and the number of all."""
    if ids:
        table.fill(task for task in pixmill.resume(ids).tasks() if not task.has_ended)
        return
    lists = (pixmill.tasks.list(status=status, batch_id=run) for status in RUNNING)
    found = list(islice(chain.from_iterable(lists), PAGE))
    if len(found) < PAGE:
        table.fill(found)
        return
    counts = pixmill.tasks.stats().tasks if run is None else pixmill.batches.get(run).counts
    table.fill(found, sum(counts.get(status, 0) for status in RUNNING))


def _print_event(event: TaskEvent, *, as_json: Fields | None) -> None:
    if as_json:
        values = (event.task_id, event.status, event.result_id, event.error)
        emit_json(dict(zip(EVENT_FIELDS, values, strict=True)), as_json)
    else:
        fields = (event.task_id, event.status, event.result_id, *(() if event.reason is None else (event.reason,)))
        emit("\t".join(map(shown, fields)))


def _change(pixmill: Pixmill, ids: list[int], verb: str, *, as_json: Fields | None) -> None:
    changed: list[Task] = []
    refused = False
    for task_id in ids:
        try:
            changed.append(pixmill.tasks.cancel(task_id) if verb == "cancel" else pixmill.tasks.restart(task_id))
        except ConflictError as error:
            say(f"{task_id}: {error}")
            refused = True
    emit_rows(changed, COLUMNS, as_json=as_json)
    if refused:
        raise typer.Exit(Exit.SOME_FAILED)
