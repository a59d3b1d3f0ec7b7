"""Exit codes of commands; docs/cli.md has the table."""

import re
from pathlib import Path

import pytest
from pixmill.client.answers import Task
from pixmill.client.problems import (
    ChangedFileError,
    ConflictError,
    DamagedTransferError,
    InvalidError,
    NotFoundError,
    ProblemError,
    SignInError,
    StorageFullError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    problem_of,
)
from pixmill.client.tasks import RunFailedError
from pixmill.commands.console import Exit, exit_code

PAGES = [Path(__file__).parents[3] / page for page in ("docs/cli.md", "docs/ru/cli.md")]
FAILED_TASK = Task(id=7, source_id=1, status="error", algorithm="flip", error="The file is not an image.")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFoundError(404), Exit.NOT_FOUND),
        (FileNotFoundError("there is no file"), Exit.NOT_FOUND),
        (SignInError(401), Exit.SIGN_IN),
        (UnreachableError("refused"), Exit.UNREACHABLE),
        (UnavailableError(503), Exit.UNREACHABLE),
        (UnavailableError(429, "urn:pixmill:problem:too-many-pending-tasks", retry_after=1), Exit.UNREACHABLE),
        (UnavailableError(429, "urn:pixmill:problem:too-many-pending-tasks"), Exit.SOME_FAILED),
        (UnavailableError(429, "urn:pixmill:problem:too-many-uploads"), Exit.SOME_FAILED),
        (RunFailedError([FAILED_TASK]), Exit.TASKS_FAILED),
        (ValueError("no time"), Exit.USAGE),
        (InvalidError(422), Exit.USAGE),
        (InvalidError(413), Exit.SOME_FAILED),
        (ConflictError(409), Exit.SOME_FAILED),
        (StorageFullError(507), Exit.SOME_FAILED),
        (ProblemError(500), Exit.SOME_FAILED),
        (DamagedTransferError("damaged"), Exit.SOME_FAILED),
        (ChangedFileError("changed"), Exit.SOME_FAILED),
        (UnexpectedAnswerError("no Pixmill"), Exit.SOME_FAILED),
        (PermissionError("not yours"), Exit.SOME_FAILED),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value.name,
)
def test_an_error_has_its_exit_code(error: Exception, code: Exit) -> None:
    assert exit_code(error) is code


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, Exit.USAGE),
        (401, Exit.SIGN_IN),
        (403, Exit.SIGN_IN),
        (404, Exit.NOT_FOUND),
        (409, Exit.SOME_FAILED),
        (410, Exit.NOT_FOUND),
        (413, Exit.SOME_FAILED),
        (422, Exit.USAGE),
        (429, Exit.UNREACHABLE),
        (500, Exit.SOME_FAILED),
        (502, Exit.UNREACHABLE),
        (503, Exit.UNREACHABLE),
        (507, Exit.SOME_FAILED),
    ],
)
def test_a_status_of_the_server_has_its_exit_code(status: int, code: Exit) -> None:
    assert exit_code(problem_of(status, b"")) is code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.parent.name)
def test_the_page_lists_the_exit_codes(page: Path) -> None:
    listed = re.findall(r"^\| (\d+) \| ", page.read_text("utf-8"), re.MULTILINE)

    assert [int(code) for code in listed] == [code.value for code in Exit]
