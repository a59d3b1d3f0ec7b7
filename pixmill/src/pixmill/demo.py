"""The demo: upload photographs, resize and flip them, save the results."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from pixmill.client.answers import File, Task
from pixmill.client.sync import Pixmill
from pixmill.commands.console import Exit, emit, err, fail, say
from pixmill.commands.progress import counted
from pixmill.commands.words import text
from pixmill.params import Flip, Resize
from pixmill.steps import Step

SUFFIXES = {".jpg", ".jpeg", ".png"}
TIMEOUT_SECONDS = 120
STEPS: Sequence[Step] = (Resize(width=320), Flip())


@dataclass(frozen=True)
class Outcome:
    """The final status of a task, and its result."""

    source: File
    algorithm: str
    status: str
    result: File | None = None


def run_demo(pixmill: Pixmill, photos: Path, output: Path) -> Exit:
    """Run the demo; print the paths of the results, and return the exit code."""
    paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise fail(text("there are no photographs in {folder}", folder=photos), Exit.NOT_FOUND)
    output.mkdir(parents=True, exist_ok=True)
    outcomes = _process(pixmill, paths, output)
    err.print(_table(outcomes), markup=False)
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    say(
        text(
            "{finished} of {count} tasks finished; the results are in {folder}/",
            finished=finished,
            count=len(outcomes),
            folder=output,
        )
    )
    return Exit.OK if finished == len(outcomes) else Exit.TASKS_FAILED


def _process(pixmill: Pixmill, paths: Sequence[Path], output: Path) -> list[Outcome]:
    sources = []
    with counted(text("Uploading"), len(paths)) as reach:
        for number, path in enumerate(paths, 1):
            sources.append(pixmill.files.upload(path, comment="demo"))
            reach(number)
    outcomes = []
    runs = [(step, pixmill.run(sources, step)) for step in STEPS]
    with counted(text("Processing"), len(runs)) as reach:
        for number, (step, run) in enumerate(runs, 1):
            with suppress(TimeoutError):
                run.ended(TIMEOUT_SECONDS)
            for source, task in zip(sources, run.tasks(), strict=True):
                path = output / f"{source.name}-{step.name}{source.extension}"
                outcomes.append(_outcome(pixmill, source, task, path))
            reach(number)
    return outcomes


def _outcome(pixmill: Pixmill, source: File, task: Task, path: Path) -> Outcome:
    if task.result_id is None:
        status = f"{task.status}: {task.reason}" if task.has_ended else text("not ended in time")
        return Outcome(source, task.algorithm, status)
    result = pixmill.files.get(task.result_id)
    # The folder is for the results of the demo: another one replaces them.
    emit(str(pixmill.files.download(result, path, overwrite=True)))
    return Outcome(source, task.algorithm, task.status, result)


def _table(outcomes: Sequence[Outcome]) -> Table:
    # Fit into 80 columns: the name of the saved file can be derived from the first two columns.
    table = Table(text("photograph"), text("algorithm"), text("in"), text("out"))
    for outcome in outcomes:
        out = _described(outcome.result) if outcome.result else outcome.status
        table.add_row(outcome.source.filename, outcome.algorithm, _described(outcome.source), out)
    return table


def _described(file: File) -> str:
    return text("{width}×{height}, {size} kB", width=file.width, height=file.height, size=f"{file.size / 1000:.0f}")
