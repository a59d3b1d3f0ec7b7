"""Commands for links that need no key: share, links ls, links revoke."""

from datetime import timedelta
from typing import Annotated

import typer

from pixmill.client.answers import Link
from pixmill.commands import units
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
    ids_of,
    json_option,
    names_of,
    say,
    secret_of,
)
from pixmill.commands.words import text

app = typer.Typer()
links = typer.Typer(
    help="List and revoke the links that `pixmill share` made.",
    no_args_is_help=True,
    epilog=examples("pixmill links ls", "pixmill links revoke 3"),
)

COLUMNS = ("id", "file_id", "file_count", "has_password", "expires_at", "note")
FILE_LINK_FIELDS = ("id", "url", "expires_at")
"""What the server says about a new download link."""
SET_LINK_FIELDS = ("id", "token", "url", "api_url", "expires_at", "file_count")
"""What the server says about a new link for several files."""
LISTED_FIELDS = names_of(Link, without=("url", "api_url"))
"""What the server says about a link later."""


@app.command(epilog=examples("pixmill share 12 13 --for 30d --note 'The launch'", "pixmill share 12 --password"))
def share(
    ids: Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of files; - reads them from stdin.")],
    lasting: Annotated[str | None, typer.Option("--for", help="How long: 2h, 30d; at most 90d (default: 7d).")] = None,
    note: Annotated[str, typer.Option(help="What people read who open the link.")] = "",
    password: Annotated[bool, typer.Option("--password", help="Ask for a password, or read it from stdin.")] = False,
    direct: Annotated[
        bool, typer.Option("--direct", help="A download link for each file instead, valid for at most 7d.")
    ] = False,
    as_json: Annotated[Fields | None, json_option(SET_LINK_FIELDS, direct=(*FILE_LINK_FIELDS, "file_id"))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Make one link to a page with these files, which needs no key."""
    if password and (direct or "-" in ids):
        raise fail(text("--password goes neither with --direct nor with ids from stdin"), Exit.USAGE)
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        expires = None if lasting is None else units.duration(lasting)
        if direct:
            for file_id in wanted:
                link = pixmill.files.link(file_id, expires=timedelta(days=1) if expires is None else expires, note=note)
                emit_json({**link.document, "file_id": file_id}, as_json) if as_json else emit(link.url)
            return
        secret = secret_of(text("Password of the link")) if password else None
        if password and not secret:
            raise fail(text("the password is empty"), Exit.USAGE)
        link = pixmill.links.create(
            wanted, expires=timedelta(days=7) if expires is None else expires, note=note, password=secret
        )
        if as_json:
            emit_json(link.document, as_json)
        else:
            emit(link.url)
            say(text("End it with: pixmill links revoke {id}", id=link.id))


@links.command(epilog=examples("pixmill links ls", "pixmill links ls --json"))
def ls(
    as_json: Annotated[Fields | None, json_option(LISTED_FIELDS)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the links that are valid; their addresses are shown only once."""
    with connected(url, profile, Exit.OK) as pixmill:
        emit_rows(pixmill.links.list(), COLUMNS, as_json=as_json, quiet=quiet)


@links.command(epilog=examples("pixmill links revoke 3", "pixmill links ls -q | pixmill links revoke -"))
def revoke(
    ids: Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of links; - reads them from stdin.")],
    as_json: Annotated[Fields | None, json_option(("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """End links at once."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for link_id in wanted:
            pixmill.links.revoke(link_id)
            emit_json({"id": link_id}, as_json) if as_json else emit(str(link_id))
