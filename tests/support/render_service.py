"""Signed URLs and the render service of a stack."""

import re
from pathlib import Path

from image_processor.render.dialects.native import path_of
from image_processor.render.signing import NativeSigner

from tests.support.client import TASKS, http
from tests.support.environment import RENDER_KEY
from tests.support.processes import children_of, processes_of
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)$", re.MULTILINE)


def signed(source: object, key: str = RENDER_KEY, **options: object) -> str:
    """Return the path of a signed URL in Pixmill's own format."""
    path = path_of(str(source), {name: str(value) for name, value in options.items()})
    return f"/img/{NativeSigner([key.encode()]).sign(path)}/{path.decode()}"


def metric(stack: Stack, name: str, labels: str = "") -> float:
    """Return the sum of a metric's samples whose labels contain ``labels``."""
    text = http.get(f"{getattr(stack, 'inner_url', stack.url)}{TASKS}/renders/metrics").raise_for_status().text
    return sum(
        float(found["value"])
        for found in _SAMPLE.finditer(text)
        if found["name"] == name and labels in (found["labels"] or "")
    )


def render_processes(stack: Stack) -> list[int]:
    """Return the ids of the render processes."""
    return wait_until(lambda: _children_of_forkserver(stack.folder), "the render processes run")


def _children_of_forkserver(folder: Path) -> list[int]:
    servers = [number for number, command in processes_of(folder).items() if "multiprocessing.forkserver" in command]
    return [child for server in servers for child in children_of(server)]


def await_running(stack: Stack, count: int) -> None:
    """Wait until ``count`` renders are running."""
    wait_until(lambda: metric(stack, "pixmill_render_running") == count, f"{count} renders have begun")
