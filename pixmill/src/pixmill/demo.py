"""The demo: upload photographs, resize and flip them, save the results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pyvips
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

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
        with httpx2.Client(base_url=url, timeout=30, trust_env=False) as http:
            outcomes = _process(http, sources, output, console)
    except httpx2.HTTPError as error:
        console.print(f"[red]No Pixmill answers at {url} ({error}); start one with: make run")
        return 1
    console.print(_table(outcomes))
    finished = sum(outcome.status == "finished" for outcome in outcomes)
    console.print(f"{finished} of {len(outcomes)} tasks finished; the results are in {output}/")
    return 0 if finished == len(outcomes) else 1


def _process(http: httpx2.Client, sources: Sequence[Path], output: Path, console: Console) -> list[Outcome]:
    with Progress(console=console) as progress:
        uploading = progress.add_task("Uploading", total=len(sources))
        ids = []
        for source in sources:
            ids.append(_upload(http, source))
            progress.advance(uploading)
        tasks = {
            task_id: source
            for algorithm, params in STEPS
            for task_id, source in zip(_create(http, ids, algorithm, params), sources, strict=True)
        }
        processing = progress.add_task("Processing", total=len(tasks))
        ended: dict[int, dict[str, object]] = {}
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while len(ended) < len(tasks) and time.monotonic() < deadline:
            for task_id in tasks.keys() - ended.keys():
                task = _json(http.get(f"/api/image-processing/{task_id}"))
                if task["status"] in ("finished", "error"):
                    ended[task_id] = task
                    progress.advance(processing)
            time.sleep(0.05)
    return [_outcome(http, source, ended.get(task_id), output) for task_id, source in sorted(tasks.items())]


def _upload(http: httpx2.Client, source: Path) -> int:
    with source.open("rb") as content:
        file = _json(http.post("/api/file-server/", files={"file": (source.name, content)}, data={"comment": "demo"}))
    return int(str(file["id"]))


def _create(http: httpx2.Client, ids: list[int], algorithm: str, params: dict[str, object] | None) -> list[int]:
    body = {"file_ids": ids, "algorithm": algorithm, "params": params}
    response = http.post("/api/image-processing/", json=body).raise_for_status()
    task_ids: list[int] = response.json()["task_ids"]
    return task_ids


def _outcome(http: httpx2.Client, source: Path, task: dict[str, object] | None, output: Path) -> Outcome:
    if task is None:
        return Outcome(source, "?", "timed out", None)
    algorithm, status = str(task["algorithm"]), str(task["status"])
    if status != "finished":
        return Outcome(source, algorithm, f"{status}: {task.get('error')}", None)
    saved = output / f"{source.stem}-{algorithm}{source.suffix}"
    saved.write_bytes(http.get(f"/api/file-server/{task['result_id']}/download").raise_for_status().content)
    return Outcome(source, algorithm, status, saved)


def _json(response: httpx2.Response) -> dict[str, object]:
    document: dict[str, object] = response.raise_for_status().json()
    return document


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
