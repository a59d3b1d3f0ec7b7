"""Answers: what is unknown is kept, what is missing is an error."""

import pytest

from pixmill import Task, UnexpectedAnswerError

ROW: dict[str, object] = {"id": 1, "source_id": 2, "status": "finished", "algorithm": "flip", "result_id": 3}


def test_what_a_newer_server_sends_is_kept() -> None:
    task = Task.of({**ROW, "run_id": 7})

    assert task.result_id == 3
    assert task.extra == {"run_id": 7}


@pytest.mark.parametrize("document", [{"id": 1}, [], "text", None])
def test_what_is_no_answer_is_an_error(document: object) -> None:
    with pytest.raises(UnexpectedAnswerError):
        Task.of(document)
