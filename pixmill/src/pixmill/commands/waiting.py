"""Waits for runs: shows progress from the server, handles Ctrl-C, and explains failures."""

import time
from collections.abc import Callable
from pathlib import Path

import typer

from pixmill.client.answers import Batch
from pixmill.client.saving import result_names, without_result
from pixmill.client.sync import Pixmill, Run
from pixmill.commands.console import Exit, Fields, emit, emit_json, explained, say
from pixmill.commands.fetching import PARALLEL, STDOUT, fetched, to_stdout
from pixmill.commands.progress import counted, transfers
from pixmill.commands.words import plural, text

POLL_SECONDS = 0.1
MAX_POLL_SECONDS = 1.0


def wait(run: Run, *, show: Callable[[Batch], None] | None = None) -> Batch:
    """Wait with a progress bar until all tasks of a batch have ended; Ctrl-C leaves the tasks running.

    :param show: called with the batch after each change.
    """
    pause = POLL_SECONDS
    try:
        with counted(text("Processing"), len(run.task_ids)) as reach:
            before: Batch | None = None
            while True:
                now = run.progress()
                reach(now.ended_tasks)
                if show is not None and (before is None or now.counts != before.counts):
                    show(now)
                if now.has_ended:
                    return now
                before = now
                time.sleep(pause)
                pause = min(2 * pause, MAX_POLL_SECONDS)
    except KeyboardInterrupt:
        say(text("The tasks go on. Follow them: pixmill runs watch {id}", id=run.batch_id))
        say(text("Or end them: pixmill runs cancel {id}", id=run.batch_id))
        raise typer.Exit(Exit.INTERRUPTED) from None


def save(pixmill: Pixmill, run: Run, folder: Path, name: str | None, *, force: bool, as_json: Fields | None) -> None:
    """Write the results of a finished run into a folder, and report the tasks without a result.

    :param folder: the folder; or stdout, for the only result.
    :param name: a template for names; by default the result's own name.
    :param force: replace files that exist; by default, a result gets a number.
    """
    with explained(lambda: text("interrupted. Save the results again: pixmill runs save {id}", id=run.batch_id)):
        tasks = run.ended()
        results = run.results(tasks)
        if folder == STDOUT:
            for file in results:
                to_stdout(pixmill, file)
        else:
            names = result_names(name or "{name}{ext}", tasks, results)
            folder.mkdir(parents=True, exist_ok=True)
            targets = [(file, folder / file_name) for file, file_name in names.items()]
            with transfers(text("Downloading"), {file.id: file.size for file in results}) as moved:
                for _, saved in fetched(pixmill, targets, moved, PARALLEL, overwrite=force):
                    path = saved.result()
                    emit_json({"path": str(path)}, as_json) if as_json else emit(str(path))
    failed = without_result(tasks, results)
    if not failed:
        return
    deleted = sum(task.result_id is not None for task in failed)
    if deleted:
        say(plural("{count} result was deleted", "{count} results were deleted", deleted))
    if deleted == len(failed):
        raise typer.Exit(Exit.SOME_FAILED)
    explain(run.progress())


def explain(batch: Batch) -> None:
    """Explain why tasks have no result, each cause once, and end the command."""
    for cause in batch.errors:
        say(
            plural(
                "{count} task has no result (such as task {id}): {reason}",
                "{count} tasks have no result (such as task {id}): {reason}",
                cause.tasks,
                id=cause.task_id,
                reason=cause.reason if cause.tasks == 1 else cause.cause,
            )
        )
    cancelled = batch.counts.get("cancelled", 0)
    if cancelled:
        say(plural("{count} task was cancelled", "{count} tasks were cancelled", cancelled))
    if batch.errors:
        say(text("Try them again: pixmill runs restart {id}", id=batch.id))
    raise typer.Exit(Exit.TASKS_FAILED)


def has_failures(batch: Batch) -> bool:
    """Return whether any tasks have ended without a result."""
    return bool(batch.counts.get("error", 0) or batch.counts.get("cancelled", 0))
