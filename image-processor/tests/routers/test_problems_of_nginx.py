"""nginx's own problems have the same members as those of the services."""

import json
from pathlib import Path

import pytest
from service_kit.problems import Problem

PROBLEMS = sorted((Path(__file__).parents[3] / "web" / "problems").rglob("*.json"))


@pytest.mark.parametrize("path", PROBLEMS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_problem_of_nginx_has_the_members_of_every_problem(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))

    made = Problem(document["code"], document["status"], document["detail"], context=document["context"]).document()
    assert {**made, "title": document["title"]} == document
