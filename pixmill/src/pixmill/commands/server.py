"""Commands for the server itself: status, api, doctor."""

import json
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import Stats
from pixmill.client.drivers import without_login
from pixmill.client.exchange import Call, Query, Reply
from pixmill.client.paging import following
from pixmill.client.problems import PixmillError
from pixmill.client.sync import Pixmill
from pixmill.client.upload_state import unfinished_uploads
from pixmill.commands import profiles_file
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Url,
    chosen_server,
    connected,
    described,
    emit,
    emit_json,
    examples,
    exit_code,
    fail,
    json_option,
    reported,
)
from pixmill.commands.steps_text import assigned, set_in
from pixmill.commands.words import language, plural, text
from pixmill.version import VERSION

app = typer.Typer()

CLOCK_SECONDS = 120
"""Maximum clock difference in seconds before signed requests and links fail."""


@app.command(epilog=examples("pixmill status", "pixmill status --json"))
def status(
    as_json: Annotated[Fields | None, json_option(("url", "ready", "services", "session", "stats"))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Show whether the server is ready, who is signed in, and how much it stores."""
    with connected(url, profile, Exit.OK) as pixmill:
        services = pixmill.readiness()
        session = pixmill.session()
        stats = pixmill.stats() if session.signed_in else None
        ready = all(item.status == "ok" for item in services.values())
        if as_json:
            states = {name: item.document for name, item in services.items()}
            numbers = None if stats is None else {"files": stats.files.document, "tasks": stats.tasks.document}
            found = {"url": without_login(pixmill.url), "ready": ready, "services": states, "session": session.document}
            emit_json({**found, "stats": numbers}, as_json)
        else:
            emit(f"server\t{without_login(pixmill.url)}")
            for name, item in services.items():
                parts = ", ".join(f"{part} {state}" for part, state in item.dependencies.items())
                emit(f"{name}\t{item.status}\t{parts}")
            emit(f"access\t{session.mode}\t{session.owner or text('not signed in')}")
            if stats is not None:
                _print_stats(stats)
    if not ready:
        raise typer.Exit(Exit.UNREACHABLE)


@app.command(
    epilog=examples(
        "pixmill api GET /api/file-server/ -f name=rocket --paginate",
        "pixmill api POST /api/image-processing/7/restart",
    )
)
def api(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="GET, POST, PUT, PATCH, DELETE.")],
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as /api/file-server/12.")],
    field: Annotated[
        list[str] | None,
        typer.Option(
            "--field",
            "-f",
            metavar="NAME=VALUE",
            help="A field of the query (GET, HEAD, DELETE, or with --input) or of the JSON body; repeatable.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--input", help="A file with the body; - is stdin. With JSON, add -H 'Content-Type: application/json'."
        ),
    ] = None,
    header: Annotated[list[str] | None, typer.Option("--header", "-H", help="'Name: value'; repeatable.")] = None,
    paginate: Annotated[bool, typer.Option("--paginate", help="Fetch all pages of a list.")] = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Send a request of your own, with your key, and print the answer."""
    verb = method.upper()
    with connected(url, profile, Exit.OK if verb in ("GET", "HEAD") else Exit.SOME_FAILED) as pixmill:
        call = _call(verb, path, field or (), source, header or ())
        following_call: Call | None = call
        while following_call is not None:
            reply = pixmill.request(
                verb,
                following_call.path,
                query=following_call.query,
                headers=following_call.headers,
                body=following_call.body,
            )
            sys.stdout.buffer.write(reply.body)
            if _ends_without_newline(reply):
                sys.stdout.buffer.write(b"\n")
            sys.stdout.buffer.flush()
            following_call = following(following_call, reply) if paginate else None


@app.command(epilog=examples("pixmill doctor", "pixmill doctor --profile work"))
def doctor(url: Url = None, profile: ProfileName = None) -> None:
    """Find what is wrong between this machine and the server."""
    emit(f"ok\tpixmill {VERSION}, Python {sys.version.split()[0]}")
    with reported():
        _diagnose(url, profile)


def _diagnose(url: str | None, profile: str | None) -> None:
    _check_profiles()
    chosen = chosen_server(url, profile)
    known = {"url": without_login(chosen.url), "origin": chosen.origin}
    if chosen.key:
        _emit_fine(text("server {url} (from {origin}), with a key", **known))
    else:
        _emit_fine(text("server {url} (from {origin}), without a key", **known))
    waiting = unfinished_uploads()
    can = plural("{count} upload can be continued", "{count} uploads can be continued", waiting)
    _emit_fine(can if waiting else text("no upload is unfinished"))
    with Pixmill(chosen.url, key=chosen.key, language=language()) as pixmill:
        for check in (_check_services, _check_session, _check_clock):
            _checked(check, pixmill)


def _print_stats(stats: Stats) -> None:
    files, tasks = stats.files, stats.tasks
    emit(f"version\t{files.version}")
    emit(f"files\t{files.files}\t{files.bytes}")
    emit(f"room\t{'-' if files.room_bytes is None else files.room_bytes}")
    for name, limit in files.quota.items():
        if limit is not None:
            emit(f"quota {name}\t{limit}")
    for state, count in tasks.tasks.items():
        emit(f"tasks {state}\t{count}")
    if tasks.oldest_pending_seconds is not None:
        emit(f"oldest pending\t{tasks.oldest_pending_seconds:.0f}")


def _check_profiles() -> None:
    path = profiles_file.path()
    if not path.exists():
        _emit_fine(text("no profiles"))
    elif stat.S_IMODE(path.stat().st_mode) & 0o077:
        emit(f"bad\t{text('others can read your keys: chmod 600 {file}', file=path)}")
        raise typer.Exit(Exit.SOME_FAILED)
    else:
        _emit_fine(text("profiles in {file}", file=path))


def _emit_fine(found: str) -> None:
    emit(f"ok\t{found}")


def _checked(check: Callable[[Pixmill], str], pixmill: Pixmill) -> None:
    try:
        _emit_fine(check(pixmill))
    except (PixmillError, ValueError) as error:
        emit(f"bad\t{described(error)}")
        raise typer.Exit(exit_code(error)) from error


def _check_services(pixmill: Pixmill) -> str:
    states = pixmill.readiness()
    wrong = [
        text("{part} of {name} is {state}", part=part, name=name, state=state)
        for name, item in states.items()
        for part, state in item.dependencies.items()
        if state != "ok"
    ]
    if wrong:
        raise PixmillError("; ".join(wrong))
    return text("the services and all that they need answer")


def _check_session(pixmill: Pixmill) -> str:
    session = pixmill.session()
    if not session.signed_in:
        raise fail(text("the server wants a key: set PIXMILL_KEY, or use: pixmill profile add"), Exit.SIGN_IN)
    scopes = " ".join(session.scopes)
    return text("signed in as {owner} ({mode}), may: {scopes}", owner=session.owner, mode=session.mode, scopes=scopes)


def _check_clock(pixmill: Pixmill) -> str:
    sent = pixmill.request("GET", "/api/session").headers.get("date")
    if sent is None:
        return text("the server sends no time")
    off = abs((datetime.now(UTC) - parsedate_to_datetime(sent)).total_seconds())
    if off > CLOCK_SECONDS:
        raise PixmillError(text("the clocks of this machine and the server differ by {seconds} s", seconds=round(off)))
    return text("the clocks agree")


def _call(
    method: str, path: str, fields: "list[str] | tuple[()]", source: str | None, headers: "list[str] | tuple[()]"
) -> Call:
    """Return the request described by the options."""
    call = Call(method, path if path.startswith("/") else f"/{path}", headers=dict(map(_header, headers)))
    if source is not None:
        body = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return replace(call, query=_query(fields), body=body)
    if method in ("GET", "HEAD", "DELETE"):
        return replace(call, query=_query(fields))
    document: dict[str, object] = {}
    for item in fields:
        set_in(document, item)
    if not document:
        return call
    return replace(
        call, headers={"Content-Type": "application/json", **call.headers}, body=json.dumps(document).encode()
    )


def _ends_without_newline(reply: Reply) -> bool:
    """Return whether a newline belongs after a body: JSON is one of several lines, and a terminal shows lines of text.

    The bytes of a file are printed as they are, also if the file is JSON.
    """
    if not reply.body or reply.body.endswith(b"\n") or "content-disposition" in reply.headers:
        return False
    kind = reply.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    return is_json or (kind.startswith("text/") and sys.stdout.isatty())


def _query(fields: "list[str] | tuple[()]") -> Query:
    return [assigned(item) for item in fields]


def _header(given: str) -> tuple[str, str]:
    name, colon, value = given.partition(":")
    if not (colon and name.strip()):
        raise ValueError(text("'{given}' is not a header: write 'Name: value'", given=given))
    return name.strip(), value.strip()
