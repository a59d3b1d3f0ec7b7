"""Commands for keys: through the API if a server is given, else directly on the data folder of ``serve``."""

import os
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from pixmill.client.answers import Key
from pixmill.client.settings import KEY_VARIABLE, URL_VARIABLE
from pixmill.commands import profiles_file
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Quiet,
    Url,
    connected,
    emit,
    emit_json,
    emit_rows,
    examples,
    fail,
    json_option,
    names_of,
    say,
)
from pixmill.commands.maintenance import Project, run_tool
from pixmill.commands.profiles_file import PROFILE_VARIABLE, ProfileError
from pixmill.commands.words import text

app = typer.Typer(
    help="Make, list, revoke and rotate keys. With --url, --profile, PIXMILL_URL, PIXMILL_KEY, PIXMILL_PROFILE or a"
    " profile in use through the server's API, which needs the scope admin; with --data, or without a server, on the"
    " data of `pixmill serve` of this machine.",
    short_help="Make, list, revoke and rotate keys.",
    no_args_is_help=True,
    epilog=examples("pixmill keys create --role admin", "pixmill keys revoke 5c831db126d4"),
)

COLUMNS = ("id", "owner", "scopes", "created_at", "last_used_at", "expires_at", "revoked_at", "note")
LISTED_FIELDS = names_of(Key, without=("secret",))
"""The fields of a key that is not new."""
LocalData = Annotated[
    Path | None,
    typer.Option(help="Folder for files, databases and the queue of this machine's server. (default: data)"),
]
KeyId = Annotated[str, typer.Argument(metavar="KEY_ID", help="As in `pixmill keys list`.")]


@app.command(
    epilog=examples(
        "pixmill keys create --role admin", "pixmill keys create --owner shop --role writer --note 'web shop'"
    )
)
def create(
    owner: Annotated[
        str, typer.Option(help="The owner of the files and tasks that are created with the key.")
    ] = "admin",
    role: Annotated[Literal["reader", "writer", "admin"] | None, typer.Option(help="reader, writer or admin.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="An additional scope; repeatable.")] = None,
    note: Annotated[str, typer.Option(help="What the key is for.")] = "",
    expires_in_days: Annotated[float | None, typer.Option(min=0, help="When it ends (default: never).")] = None,
    as_json: Annotated[Fields | None, json_option(Key)] = None,
    data: LocalData = None,
    project: Project = Path(),
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Make a key and print its secret, this once."""
    if _is_local(url, profile, data):
        options = ["--owner", owner, "--note", note]
        options += [] if role is None else ["--role", role]
        options += [part for name in scope or () for part in ("--scope", name)]
        options += [] if expires_in_days is None else ["--expires-in-days", str(expires_in_days)]
        _locally(data, project, ["create", *options], as_json=as_json is not None)
    with connected(url, profile) as pixmill:
        expires = None if expires_in_days is None else timedelta(days=expires_in_days)
        _show(pixmill.keys.create(owner, role=role, scopes=scope or (), note=note, expires=expires), as_json=as_json)


@app.command(
    "list", epilog=examples("pixmill keys list", "pixmill keys list --json --url https://pictures.example.org")
)
def list_keys(
    as_json: Annotated[Fields | None, json_option(LISTED_FIELDS)] = None,
    quiet: Quiet = False,
    data: LocalData = None,
    project: Project = Path(),
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List keys, without their secrets."""
    if _is_local(url, profile, data):
        _locally(data, project, ["list"], as_json=as_json is not None or quiet)
    with connected(url, profile, Exit.OK) as pixmill:
        emit_rows(pixmill.keys.list(), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill keys revoke 5c831db126d4", "pixmill keys revoke 5c831db126d4 --data data"))
def revoke(
    key_id: KeyId,
    as_json: Annotated[Fields | None, json_option(LISTED_FIELDS)] = None,
    data: LocalData = None,
    project: Project = Path(),
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """End a key within five seconds."""
    if _is_local(url, profile, data):
        _locally(data, project, ["revoke", key_id], as_json=as_json is not None)
    with connected(url, profile) as pixmill:
        emit_rows([pixmill.keys.revoke(key_id)], COLUMNS, as_json=as_json)


@app.command(epilog=examples("pixmill keys rotate 5c831db126d4", "pixmill keys rotate 5c831db126d4 --overlap-days 7"))
def rotate(
    key_id: KeyId,
    overlap_days: Annotated[float, typer.Option(min=0, help="How long the old key lasts.")] = 1,
    as_json: Annotated[Fields | None, json_option(Key)] = None,
    data: LocalData = None,
    project: Project = Path(),
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Make a key like another one, with as long a life; the other one then ends."""
    if _is_local(url, profile, data):
        _locally(data, project, ["rotate", key_id, "--overlap-days", str(overlap_days)], as_json=as_json is not None)
    with connected(url, profile) as pixmill:
        _show(pixmill.keys.rotate(key_id, overlap=timedelta(days=overlap_days)), as_json=as_json)


def _is_local(url: str | None, profile: str | None, data: Path | None) -> bool:
    """Return whether a command is about the data folder of this machine: it is named, or no server is chosen."""
    if url or profile:
        if data is not None:
            raise fail(text("--data goes neither with --url nor with --profile"), Exit.USAGE)
        return False
    if data is not None:
        return True
    if any(os.environ.get(name) for name in (URL_VARIABLE, KEY_VARIABLE, PROFILE_VARIABLE)):
        return False
    try:
        return profiles_file.load().current is None
    except ProfileError as error:
        raise fail(str(error), Exit.USAGE) from error


def _locally(data: Path | None, project: Path, options: Sequence[str], *, as_json: bool) -> None:
    """Run the tool that manages keys in a local data folder, and exit with its exit code."""
    if as_json:
        # The tool prints lines for people.
        raise fail(text("--json and --quiet need a server: add --url or --profile"), Exit.USAGE)
    run_tool("service_kit.access", data or Path("data"), project, options)


def _show(key: Key, *, as_json: Fields | None) -> None:
    if as_json:
        emit_json(key.document, as_json)
        return
    say(text("Key {id} of {owner}: {scopes}", id=key.id, owner=key.owner, scopes=", ".join(key.scopes)))
    say(text("This is the only time that its secret is shown:"))
    emit(key.secret or "")
