"""The demo: upload photographs, resize and flip them, save the results."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pixmill.client.answers import File, Task
from pixmill.client.drivers import without_login
from pixmill.client.exchange import Retries
from pixmill.client.problems import PixmillError
from pixmill.client.sync import Pixmill
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


def run_demo(url: str, key: str | None, photos: Path, output: Path) -> int:
    """Run the demo on the server at ``url``; return 0 if every task has finished successfully, else 1."""
    console = Console()
    paths = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    if not paths:
        console.print(f"[red]There are no photographs in {photos}.")
        return 1
    output.mkdir(parents=True, exist_ok=True)
    try:
        with Pixmill(url, key=key, timeout_seconds=30, retries=Retries(attempts=2)) as pixmill:
            outcomes = _process(pixmill, paths, output, console)
    except PixmillError as error:
        console.print(f"[red]No Pixmill answers at {without_login(url)} ({error}); start one with: make run")
        return 1
    console.print(_table(outcomes))
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    console.print(f"{finished} of {len(outcomes)} tasks finished; the results are in {output}/")
    return 0 if finished == len(outcomes) else 1


def _process(pixmill: Pixmill, paths: Sequence[Path], output: Path, console: Console) -> list[Outcome]:
    with Progress(console=console) as progress:
        uploading = progress.add_task("Uploading", total=len(paths))
        sources = []
        for path in paths:
            sources.append(pixmill.files.upload(path, comment="demo"))
            progress.advance(uploading)
        runs = [(step, pixmill.run(sources, step)) for step in STEPS]
        processing = progress.add_task("Processing", total=len(runs))
        outcomes = []
        for step, run in runs:
            with suppress(TimeoutError):
                run.ended(TIMEOUT_SECONDS)
            for source, task in zip(sources, run.tasks(), strict=True):
                outcomes.append(
                    _outcome(pixmill, source, task, output / f"{source.name}-{step.name}{source.extension}")
                )
            progress.advance(processing)
    return outcomes


def _outcome(pixmill: Pixmill, source: File, task: Task, path: Path) -> Outcome:
    if task.result_id is None:
        status = f"{task.status}: {task.error}" if task.has_ended else "timed out"
        return Outcome(source, task.algorithm, status)
    result = pixmill.files.get(task.result_id)
    pixmill.files.download(result, path)
    return Outcome(source, task.algorithm, task.status, result)


def _table(outcomes: Sequence[Outcome]) -> Table:
    # Fit into 80 columns: the name of the saved file can be derived from the first two columns.
    table = Table("photograph", "algorithm", "in", "out")
    for outcome in outcomes:
        out = _described(outcome.result) if outcome.result else outcome.status
        table.add_row(outcome.source.filename, outcome.algorithm, _described(outcome.source), out)
    return table


def _described(file: File) -> str:
    return f"{file.width}×{file.height}, {file.size / 1000:.0f} kB"
