"""Continuous integration tests docker-compose wherever a Docker engine answers, and says so where none does."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.environment import PROJECT


def ran(folder: Path, **scripts: str) -> "subprocess.CompletedProcess[str]":
    """Run continuous integration with these shell scripts as programs, and a ``make`` that only prints its target."""
    project, commands = folder / "project", folder / "commands"
    shutil.copytree(PROJECT / ".ci", project / ".ci")
    commands.mkdir()
    for name, script in {"make": 'echo "$@"', **scripts}.items():
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)
    environment = {"PATH": f"{commands}:/usr/bin:/bin"}
    return subprocess.run([project / ".ci/run"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("docker", "made", "said"),
    [
        ("exit 0", ["test", "web", "test-compose"], ""),
        ("exit 1", ["test", "web"], "pixmill: no Docker engine answers, so docker-compose.yml is not tested\n"),
    ],
    ids=["with an engine", "without an engine"],
)
def test_compose_is_tested_where_a_docker_engine_answers(
    tmp_path: Path, docker: str, made: list[str], said: str
) -> None:
    run = ran(tmp_path, docker=docker, git="exit 0")

    assert run.returncode == 0
    assert run.stdout.splitlines() == made
    assert run.stderr == said


def test_a_page_that_differs_from_its_sources_fails(tmp_path: Path) -> None:
    run = ran(tmp_path, docker="exit 0", git='[ "$*" != "diff --exit-code --stat web/dist" ]')

    assert run.returncode == 1
    assert run.stdout.splitlines() == ["test", "web"]


def test_each_push_and_pull_request_runs_it() -> None:
    # YAML 1.1 reads the key `on` as true.
    workflow = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())

    assert {"push", "pull_request"} <= workflow[True].keys()
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": ".ci/run"}
