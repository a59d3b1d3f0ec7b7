"""Continuous integration tests docker-compose wherever a Docker engine answers, and says so where none does."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.environment import PROJECT


@pytest.mark.parametrize(
    ("docker", "made", "said"),
    [
        ("exit 0", ["test", "test-compose"], ""),
        ("exit 1", ["test"], "pixmill: no Docker engine answers, so docker-compose.yml is not tested\n"),
    ],
    ids=["with an engine", "without an engine"],
)
def test_compose_is_tested_where_a_docker_engine_answers(
    tmp_path: Path, docker: str, made: list[str], said: str
) -> None:
    project, commands = tmp_path / "project", tmp_path / "commands"
    shutil.copytree(PROJECT / ".ci", project / ".ci")
    commands.mkdir()
    for name, script in (("make", 'echo "$@"'), ("docker", docker)):
        (commands / name).write_text(f"#!/bin/sh\n{script}\n")
        (commands / name).chmod(0o755)

    run = subprocess.run(
        [project / ".ci/run"],
        env={"PATH": f"{commands}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.splitlines() == made
    assert run.stderr == said


def test_each_push_and_pull_request_runs_it() -> None:
    # YAML 1.1 reads the key `on` as true.
    workflow = yaml.safe_load((PROJECT / ".github/workflows/test.yml").read_text())

    assert {"push", "pull_request"} <= workflow[True].keys()
    assert workflow["jobs"]["test"]["steps"][-1] == {"run": ".ci/run"}
