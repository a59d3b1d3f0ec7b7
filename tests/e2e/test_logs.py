"""The log lines of whole processes: all are JSON, and those of a start name short passwords and the mode ``open``."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.folders import temporary_folder
from tests.support.processes import Process
from tests.support.stacks import FullStack

PYTHON = [str(SCRIPTS / "python"), "-m"]
CELERY = [str(SCRIPTS / "celery"), "--quiet", "--workdir", str(PROJECT), "--app", "image_processor.worker"]
STARTS = {
    "access": [*PYTHON, "service_kit.access.migrations"],
    "file-storage": [*PYTHON, "file_storage.migrations"],
    "image-processor": [*PYTHON, "image_processor.migrations"],
    "webhooks": [*PYTHON, "image_processor.webhooks"],
    "worker": [*CELERY, "worker", "--without-gossip", "--without-mingle"],
}
"""By the folder of its settings, the command that each start of a process with a database runs."""


def test_invalid_requests_to_the_event_stream_are_logged_as_json(full: FullStack) -> None:
    with socket.create_connection(("127.0.0.1", int(full.environment["EVENTS_PORT"]))) as client:
        client.sendall(b"nonsense\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 400")

    lines = full.image_processor.logged("Invalid HTTP request")
    assert {json.loads(line)["logger"] for line in lines} == {"uvicorn.error"}


@pytest.mark.parametrize("name", STARTS)
def test_a_start_names_the_setting_with_a_short_password(name: str) -> None:
    folder = temporary_folder("short-password")
    prefix = name.replace("-", "_").upper()
    remote = {
        f"{prefix}_DATABASE__URL": "postgresql+psycopg://somebody:short@database.invalid/pixmill",
        f"{prefix}_CONFIG": str(PROJECT / f"config/{name}/conf.yml"),
        "IMAGE_PROCESSOR_BROKER__URL": "memory://",
        "WORKER_BROKER__URL": "memory://",
        "WORKER_SCRATCH_FOLDER": str(folder / "scratch"),
    }
    process = Process(name, STARTS[name], ENVIRONMENT | remote, folder / "start.log")

    try:
        [line] = process.logged("fewer than 32 bytes")
    finally:
        process.kill()

    event = json.loads(line)
    assert (event["level"], event["setting"], event["file"]) == (
        "warning",
        "database.url",
        f"config/{name}/conf.yml",
    )


def lines_of_a_start(mode: str, folder: Path) -> list[tuple[str, str]]:
    """Return the level and the text of each line about the mode, from the command that each start of a server runs."""
    here = {"ACCESS_AUTH__MODE": mode, "ACCESS_DATABASE__URL": f"sqlite:///{folder}/access.db"}
    command = [*PYTHON, "service_kit.migrate_all", "service_kit.access"]
    run = subprocess.run(
        command, env=ENVIRONMENT | here, cwd=PROJECT, check=True, capture_output=True, text=True, timeout=100
    )
    events = map(json.loads, run.stderr.splitlines())
    return [(event["level"], event["event"]) for event in events if "auth.mode" in event["event"]]


@pytest.mark.thorough
def test_each_start_in_the_mode_open_warns() -> None:
    folder = temporary_folder("open-mode")
    warning = ("warning", "auth.mode is open: anyone who reaches the port can read, change and delete everything")

    assert lines_of_a_start("open", folder) == [warning]
    assert lines_of_a_start("open", folder) == [warning]
    assert lines_of_a_start("keys", folder) == []
    assert lines_of_a_start("local", folder) == []
