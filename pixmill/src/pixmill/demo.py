"""The demo: upload photographs, resize and flip them, save the results."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pyvips
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pixmill.client import Client, PixmillError, Task

SUFFIXES = {".jpg", ".jpeg", ".png"}
TIMEOUT_SECONDS = 120
STEPS: Sequence[tuple[str, dict[str, object] | None]] = (("resize", {"width": 320}), ("flip", None))


@dataclass(frozen=True)
class Outcome:
    """The last status of a task and where its result is saved."""

    source: Path
    algorithm: str
    status: str
    saved: Path | None


def run_demo(url: str, photos: Path, output: Path) -> int:
    """Run the demo on the server at ``url``; return 0 if every task has finished, else 1."""
    console = Console()
    sources = sorted(path for path in photos.iterdir() if path.suffix.lower() in SUFFIXES)
    if not sources:
        console.print(f"[red]There are no photographs in {photos}.")
        return 1
    output.mkdir(parents=True, exist_ok=True)
    try:
        with Client(url, timeout_seconds=30) as pixmill:
            outcomes = _process(pixmill, sources, output, console)
    except (httpx2.HTTPError, PixmillError) as error:
        console.print(f"[red]No Pixmill answers at {url} ({error}); start one with: make run")
        return 1
    console.print(_table(outcomes))
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    console.print(f"{finished} of {len(outcomes)} tasks finished; the results are in {output}/")
    return 0 if finished == len(outcomes) else 1


def _process(pixmill: Client, sources: Sequence[Path], output: Path, console: Console) -> list[Outcome]:
    with Progress(console=console) as progress:
        uploading = progress.add_task("Uploading", total=len(sources))
        ids = []
        for source in sources:
            ids.append(pixmill.upload(source, comment="demo").id)
            progress.advance(uploading)
        tasks = {
            task_id: (source, algorithm)
            for algorithm, params in STEPS
            for task_id, source in zip(pixmill.create_tasks(ids, algorithm, params), sources, strict=True)
        }
        processing = progress.add_task("Processing", total=len(tasks))
        ended: dict[int, Task] = {}
        with suppress(TimeoutError):
            for task in pixmill.wait(list(tasks), TIMEOUT_SECONDS):
                ended[task.id] = task
                progress.advance(processing)
    return [
        _outcome(pixmill, source, algorithm, ended.get(task_id), output)
        for task_id, (source, algorithm) in sorted(tasks.items())
    ]


def _outcome(pixmill: Client, source: Path, algorithm: str, task: Task | None, output: Path) -> Outcome:
    if task is None:
        return Outcome(source, algorithm, "timed out", None)
    if task.result_id is None:
        return Outcome(source, algorithm, f"{task.status}: {task.error}", None)
    saved = output / f"{source.stem}-{algorithm}{source.suffix}"
    pixmill.download(task.result_id, saved)
    return Outcome(source, algorithm, task.status, saved)


def _table(outcomes: Sequence[Outcome]) -> Table:
    # Fit into 80 columns: the name of the saved file follows from the first two columns.
    table = Table("photograph", "algorithm", "in", "out")
    for outcome in outcomes:
        out = _described(outcome.saved) if outcome.saved else outcome.status
        table.add_row(outcome.source.name, outcome.algorithm, _described(outcome.source), out)
    return table


def _described(path: Path) -> str:
    image = pyvips.Image.new_from_file(str(path))
    return f"{image.width}×{image.height}, {path.stat().st_size / 1000:.0f} kB"
