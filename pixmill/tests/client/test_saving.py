"""The names of results."""

import pytest
from pixmill.client.saving import result_names, without_result

from pixmill import File, RunFailedError, Task
from tests.support.effort import calls_of


def file(number: int, name: str, extension: str = ".png") -> File:
    return File(id=number, name=name, extension=extension, comment="", size=1, sha256="00", media_type="image/png")


def test_equal_names_get_a_number_also_if_only_their_case_differs() -> None:
    names = result_names("{name}{extension}", [], [file(1, "a"), file(2, "A"), file(3, "a")])

    assert list(names.values()) == ["a.png", "A (2).png", "a (3).png"]


def test_a_name_cannot_leave_the_folder() -> None:
    names = result_names("{name}{extension}", [], [file(1, "../../etc/x"), file(2, "..", ""), file(3, "a\\b")])

    assert list(names.values()) == ["x.png", "_", "b.png"]


@pytest.mark.parametrize("template", ["{size}", "{}", "{name.__class__}", "{name[0]}", "{id:{size}}"])
def test_an_unknown_field_of_a_template_is_an_error(template: str) -> None:
    with pytest.raises(ValueError, match="task_id"):
        result_names(template, [], [file(1, "a")])


def test_a_number_is_skipped_if_another_result_has_that_name() -> None:
    results = [file(number, name) for number, name in enumerate(["a (3)", "a", "A", "a", "a (2)", "a"])]

    names = result_names("{name}{extension}", [], results)

    assert list(names.values()) == ["a (3).png", "a.png", "A (2).png", "a (4).png", "a (2) (2).png", "a (5).png"]


def test_the_effort_for_equal_names_grows_no_faster_than_their_number() -> None:
    def effort(count: int) -> int:
        results = [file(number, "a") for number in range(count)]
        return calls_of(lambda: result_names("{name}{extension}", [], results))

    assert effort(200) < 3 * effort(100)


def test_a_task_whose_result_was_deleted_has_none_and_says_so() -> None:
    tasks = [
        Task(id=1, source_id=4, status="finished", algorithm="flip", result_id=7),
        Task(id=2, source_id=5, status="finished", algorithm="flip", result_id=8),
        Task(id=3, source_id=6, status="cancelled", algorithm="flip"),
    ]

    lost = without_result(tasks, [file(7, "a")])

    assert [task.id for task in lost] == [2, 3]
    assert str(RunFailedError(lost[:1])) == "1 task has no result: somebody has deleted its result"
