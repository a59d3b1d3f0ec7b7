"""The names of results."""

import pytest
from pixmill.client.saving import result_names

from pixmill import File


def file(number: int, name: str, extension: str = ".png") -> File:
    return File(id=number, name=name, extension=extension, comment="", size=1, sha256="00", media_type="image/png")


def test_equal_names_get_a_number_also_if_only_their_case_differs() -> None:
    names = result_names("{name}{extension}", [], [file(1, "a"), file(2, "A"), file(3, "a")])

    assert list(names.values()) == ["a.png", "A (2).png", "a (3).png"]


def test_a_name_cannot_leave_the_folder() -> None:
    names = result_names("{name}{extension}", [], [file(1, "../../etc/x"), file(2, "..", ""), file(3, "a\\b")])

    assert list(names.values()) == ["x.png", "_", "b.png"]


def test_an_unknown_field_of_a_template_is_an_error() -> None:
    with pytest.raises(ValueError, match="task_id"):
        result_names("{size}", [], [file(1, "a")])
