"""Output of commands (data on stdout, messages on stderr) and their exit codes."""

import json
import os
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import IntEnum
from functools import partial
from http.client import INTERNAL_SERVER_ERROR, METHOD_NOT_ALLOWED, MISDIRECTED_REQUEST
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from typer.models import OptionInfo

from pixmill.client.answers import Answer, File, Task
from pixmill.client.problems import (
    DamagedTransferError,
    InvalidError,
    NotFoundError,
    PixmillError,
    ProblemError,
    SignInError,
    UnavailableError,
    UnexpectedAnswerError,
    UnreachableError,
    is_lasting,
)
from pixmill.client.sync import Pixmill
from pixmill.client.targets import TargetExistsError, file_instead_of_folder
from pixmill.client.tasks import RunFailedError
from pixmill.commands.profiles_file import ProfileError, Server, server
from pixmill.commands.translated import translated
from pixmill.commands.words import language, plural, text

err = Console(stderr=True, highlight=False, soft_wrap=True)

Url = Annotated[str | None, typer.Option("--url", help="The server; overrides PIXMILL_URL and profiles.")]
ProfileName = Annotated[str | None, typer.Option("--profile", help="A profile; overrides PIXMILL_PROFILE.")]


@dataclass(frozen=True)
class Fields:
    """The fields of JSON objects that a command prints.

    :param names: empty for all fields.
    :param usual: the fields that the objects of the command may have.
    :param by_option: the fields that they may have instead if this option is given; of several, the first counts.
    """

    names: Sequence[str] = ()
    usual: Sequence[str] = ()
    by_option: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def parsed(cls, text: str, usual: Sequence[str], by_option: Mapping[str, Sequence[str]]) -> "Fields":
        """Return the fields named in a text such as ``id,name``."""
        return cls([name for part in text.split(",") if (name := part.strip())], usual, by_option)

    def known(self, options: Mapping[str, object]) -> Sequence[str]:
        """Return the fields that the objects may have if the command has these options."""
        return next((names for option, names in self.by_option.items() if options.get(option)), self.usual)

    def of(self, document: Mapping[str, object]) -> Mapping[str, object]:
        """Return these fields of an object, in this order; those that the server did not send are null."""
        return {name: document.get(name) for name in self.names} if self.names else document


Objects = type[Answer] | Sequence[str]
"""The objects that a command prints: answers of the server, or objects with these fields."""


def names_of(objects: Objects, without: Container[str] = ()) -> Sequence[str]:
    """Return the names of the fields that objects may have.

    :param without: fields that other objects of this kind have.
    """
    names = [entry.name for entry in fields(objects)] if isinstance(objects, type) else objects
    return [name for name in names if name != "document" and name not in without]


FILE_FIELDS = names_of(File, without=("deleted_at", "restore_until"))
"""The fields of a file that is not in the trash."""


def json_option(usual: Objects, **by_option: Objects) -> OptionInfo:
    """Return the option ``--json`` of a command; the parser checks its fields before the command runs.

    :param usual: what the command prints.
    :param by_option: what it prints instead if this option is given; of several, the first counts.
    """
    known = {option: names_of(objects) for option, objects in by_option.items()}
    option: OptionInfo = typer.Option(
        "--json",
        metavar="[=FIELDS]",
        parser=partial(Fields.parsed, usual=names_of(usual), by_option=known),
        help="Print one JSON object a line, as in the API; --json=id,name prints only these fields.",
    )
    return option


Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only ids.")]


class Exit(IntEnum):
    """The exit codes; ``pixmill --help`` and docs/cli.md list them."""

    OK = 0
    SOME_FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    SIGN_IN = 4
    UNREACHABLE = 5
    TASKS_FAILED = 6
    INTERRUPTED = 130


EXIT_CODES: Mapping[Exit, str] = {
    Exit.OK: text("done"),
    Exit.SOME_FAILED: text("something failed; stderr says what"),
    Exit.USAGE: text("wrong usage, or the server found a field wrong"),
    Exit.NOT_FOUND: text("no such file, task or path"),
    Exit.SIGN_IN: text("a key is missing, not valid, or lacks a scope"),
    Exit.UNREACHABLE: text("the server did not answer, also when asked again"),
    Exit.TASKS_FAILED: text("tasks ended without a result"),
    Exit.INTERRUPTED: text("interrupted (Ctrl-C); tasks go on"),
}

HEADINGS: Mapping[str, str] = {
    "algorithm": text("algorithm"),
    "batch_id": text("run"),
    "created_at": text("created"),
    "deleted_at": text("deleted"),
    "ended_tasks": text("ended"),
    "expires_at": text("expires"),
    "file_count": text("files"),
    "file_id": text("file"),
    "filename": text("name"),
    "has_password": text("password"),
    "height": text("height"),
    "id": text("id"),
    "last_used_at": text("last used"),
    "media_type": text("type"),
    "name": text("name"),
    "note": text("note"),
    "owner": text("owner"),
    "path": text("path"),
    "preset": text("preset"),
    "reason": text("reason"),
    "restore_until": text("restore until"),
    "result": text("result"),
    "result_id": text("result"),
    "revoked_at": text("revoked"),
    "scopes": text("scopes"),
    "size": text("size"),
    "source_id": text("source"),
    "status": text("status"),
    "summary": text("summary"),
    "tasks": text("tasks"),
    "width": text("width"),
}
"""Headers of table columns."""


def examples(*commands: str) -> str:
    """Return the examples for the end of a help text."""
    # Rich would parse unescaped square brackets as markup.
    return "\n\n".join([text("Examples:"), *(f"  {command.replace('[', chr(92) + '[')}" for command in commands)])


@contextmanager
def connected(url: str | None, profile: str | None, unread: Exit = Exit.SOME_FAILED) -> Iterator[Pixmill]:
    """Yield a client for the chosen server; turn its errors into a message and an exit code.

    :param unread: as in :func:`reported`.
    """
    with reported(unread):
        chosen = chosen_server(url, profile)
        with Pixmill(chosen.url, key=chosen.key, language=language()) as pixmill:
            yield pixmill


def chosen_server(url: str | None, profile: str | None) -> Server:
    """Return the server to use; exit if the profile is unusable."""
    try:
        return server(url, profile)
    except ProfileError as error:
        raise fail(str(error), Exit.USAGE) from error


@contextmanager
def reported(unread: Exit = Exit.SOME_FAILED) -> Iterator[None]:
    """Turn client errors into a message on stderr and an exit code.

    :param unread: the exit code if the reader of stdout closes it: ``Exit.OK`` for a command that only reads, because
    a command that changes something leaves the rest undone.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise fail(text("interrupted"), Exit.INTERRUPTED) from None
    except BrokenPipeError:
        # The reader of stdout has closed the pipe; prevent a second error when Python flushes stdout at exit.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (open until the end)
        if unread is Exit.OK:
            raise typer.Exit(Exit.OK) from None
        raise fail(text("nobody reads stdout any longer; the command has stopped before its end"), unread) from None
    except (PixmillError, OSError, ValueError) as error:
        raise fail(described(error), exit_code(error)) from error


@contextmanager
def explained(interruption: Callable[[], str]) -> Iterator[None]:
    """Say at Ctrl-C what is done, and what the same command would do again.

    :param interruption: called at Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise fail(interruption(), Exit.INTERRUPTED) from None


def concerns_every_request(error: Exception) -> bool:
    """Return whether the next request would fail with the same error: the server is away, or the key is wrong."""
    return isinstance(error, SignInError | UnreachableError | UnavailableError)


def concerns_the_file(error: Exception | None) -> bool:
    """Return whether the server refuses a file as it is: sent again, it is refused again.

    Other failures pass: somebody makes room, a program closes its file, or a proxy finds the server again.
    """
    return isinstance(error, InvalidError) and error.status not in (METHOD_NOT_ALLOWED, MISDIRECTED_REQUEST)


def may_pass(error: Exception) -> bool:
    """Return whether the same request may succeed in a later round, without a change by the user.

    The server or a proxy in front of it has a fault, bytes were damaged, or a local disk is full.
    """
    if isinstance(error, ProblemError):
        return error.status >= INTERNAL_SERVER_ERROR or isinstance(error, UnavailableError)
    passing = (UnreachableError, UnexpectedAnswerError, DamagedTransferError, OSError)
    return isinstance(error, passing) and not isinstance(error, BrokenPipeError)


def exit_code(error: Exception) -> Exit:
    """Return the exit code for an error."""
    if isinstance(error, NotFoundError | FileNotFoundError):
        return Exit.NOT_FOUND
    if isinstance(error, SignInError):
        return Exit.SIGN_IN
    if isinstance(error, ProblemError) and is_lasting(error):
        return Exit.SOME_FAILED
    if isinstance(error, UnreachableError | UnavailableError):
        return Exit.UNREACHABLE
    if isinstance(error, RunFailedError):
        return Exit.TASKS_FAILED
    if isinstance(error, ValueError) or (isinstance(error, ProblemError) and error.status in (400, 422)):
        return Exit.USAGE
    return Exit.SOME_FAILED


def described(error: Exception) -> str:
    """Return a message that says what failed and how to fix it."""
    if isinstance(error, UnreachableError):
        return text(
            "{server} does not answer ({error}); start a server with: pixmill serve, or name one with --url",
            server=error.server or text("the server"),
            error=translated(str(error)),
        )
    if isinstance(error, SignInError):
        return text("{error} Give a key in PIXMILL_KEY or with: pixmill profile add", error=error)
    if isinstance(error, ProblemError):
        known = "" if error.request_id is None else text(" (request {id})", id=error.request_id)
        return f"{translated(str(error))}{known}"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return text("there is no file '{path}'", path=error.filename)
    if isinstance(error, TargetExistsError):
        return text("'{path}' exists; add --force to replace it", path=error.filename)
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename is not None:
        path = file_instead_of_folder(Path(error.filename)) or error.filename
        return text("'{path}' is a file; give a folder", path=path)
    if isinstance(error, RunFailedError):
        first, *others = sorted({no_result(task) for task in error.failed})
        known = plural(
            "{count} task has no result: {reason}",
            "{count} tasks have no result: {reason}",
            len(error.failed),
            reason=first,
        )
        more = plural(" (and {count} other reason)", " (and {count} other reasons)", len(others)) if others else ""
        return known + more
    return translated(str(error))


def no_result(task: Task) -> str:
    """Return the reason why an ended task has no result."""
    if task.result_id is not None:
        return text("somebody has deleted its result")
    return task.reason or text(task.status)


def fail(message: str, code: Exit) -> typer.Exit:
    """Print an error message; return the exception that ends the command."""
    say(f"pixmill: {message}")
    return typer.Exit(code)


def say(message: str) -> None:
    """Print a message to stderr."""
    err.print(message, markup=False)


@dataclass
class Failures:
    """Prints each failure once, because it may recur in each round.

    :param latest: by what failed, such as a file: its latest error, without what differs each time.
    """

    latest: dict[str, tuple[type[Exception], str]] = field(default_factory=dict)

    def say(self, error: Exception, about: str = "") -> None:
        """Print an error unless it is the same as the latest one."""
        failure = (type(error), _repeated_text(error))
        if self.latest.get(about) != failure:
            self.latest[about] = failure
            say(f"{about}: {described(error)}" if about else described(error))

    def forget(self, about: str = "") -> None:
        """Let the next failure be printed even if it is the same."""
        self.latest.pop(about, None)


def _repeated_text(error: Exception) -> str:
    """Return the text that an error has again if the same failure recurs."""
    if isinstance(error, ProblemError):
        # The detail has changing numbers, such as the used bytes of a quota.
        return error.code
    # The message about a damaged transfer has the id of the file that each attempt makes.
    return "" if isinstance(error, DamagedTransferError) else str(error)


def is_for_people() -> bool:
    """Return whether both outputs are terminals, so that a table is more readable than plain lines."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def emit(text: str) -> None:
    """Print a line of data."""
    # The name of a local file may have bytes that are not UTF-8.
    print(text.encode("utf-8", "replace").decode("utf-8"), flush=True)


def emit_lines(values: Iterable[object]) -> None:
    """Print a line for each value."""
    for value in values:
        emit(str(value))


def emit_json(document: Mapping[str, object], wanted: Fields) -> None:
    """Print fields of a JSON object as a line."""
    emit(json.dumps(wanted.of(document), ensure_ascii=False))


def emit_rows(
    rows: Iterable[Answer], columns: Sequence[str], *, as_json: Fields | None, quiet: bool = False, key: str = "id"
) -> int:
    """Print rows as JSON lines, ids, a table on a terminal, or tab-separated lines, and return their number.

    :param columns: the fields to show in tables and lines.
    """
    count = 0
    table = (
        Table(*(HEADINGS[column] for column in columns), box=None, pad_edge=False)
        if is_for_people() and not (as_json or quiet)
        else None
    )
    for row in rows:
        count += 1
        if as_json:
            emit_json(row.document, as_json)
        elif quiet:
            emit(shown(getattr(row, key)))
        elif table is None:
            emit("\t".join(shown(getattr(row, column)) for column in columns))
        else:
            table.add_row(*(shown(getattr(row, column)) for column in columns))
    if table is not None and count:
        err.print(table, markup=False)
    return count


def emit_fields(answer: Answer, without: Container[str] = ()) -> None:
    """Print a line for each field that the server sent."""
    for name, value in answer.document.items():
        if name not in without:
            emit(f"{name}\t{shown(getattr(answer, name, value))}")


def shown(value: object) -> str:
    """Return a value as shown in lines and tables."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return text("true") if value else text("false")
    if isinstance(value, datetime):
        return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    if isinstance(value, Mapping):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return ",".join(map(shown, value))
    # Escape control characters: a name must not break a line or send commands to the terminal.
    return "".join(char if char.isprintable() else " " for char in str(value))


def agreed(question: str, *, yes: bool) -> bool:
    """Return whether the user confirms an action that cannot be undone.

    :param yes: the user has already confirmed.
    """
    if yes:
        return True
    if not sys.stdin.isatty():
        raise fail(text("nobody can be asked here: add --yes"), Exit.USAGE)
    with _interruptible():
        return typer.confirm(question, err=True)


def secret_of(question: str) -> str:
    """Return a secret that the user types, or the first line of stdin; arguments would be visible to other users."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    with _interruptible():
        answer: str = typer.prompt(question, default="", hide_input=True, show_default=False, err=True)
        return answer


@contextmanager
def _interruptible() -> Iterator[None]:
    """Exit with the code for Ctrl-C if the user presses it at a prompt: typer raises an exception of its own."""
    try:
        yield
    except typer.Abort:
        err.print()
        raise fail(text("interrupted"), Exit.INTERRUPTED) from None


def ids_of(arguments: Sequence[str]) -> list[int]:
    """Return the ids given to a command; ``-`` stands for the ids on stdin."""
    words = [word for argument in arguments for word in (sys.stdin.read().split() if argument == "-" else [argument])]
    wrong = [word for word in words if not (word.isascii() and word.isdecimal())]
    if wrong:
        raise fail(text("'{word}' is not an id", word=wrong[0]), Exit.USAGE)
    return [int(word) for word in words]
