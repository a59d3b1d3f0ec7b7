"""``python -m service_kit.access``: create, list, revoke and rotate keys, including the first one.

As over HTTP, each change has an entry in the audit trail. Its owner is the machine's own user; its address names the
account and the host.
"""

import argparse
import os
import pwd
import socket
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit import logs
from service_kit.access.audit import MAX_OBJECT, AuditTrail, Change
from service_kit.access.config import AccessSettings
from service_kit.access.keys import KeyRequest, KeyService, NewKey
from service_kit.access.models import Key
from service_kit.access.principals import LOCAL_OWNER, ROLES, Scope
from service_kit.access.statuses import STATUSES
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.request_ids import request_id
from service_kit.settings import load_or_exit

DAY = 86_400
PAGE = 1000
"""Number of keys that a query reads."""


def main(arguments: Sequence[str]) -> int:
    """Run a command and return the exit code."""
    options = _parser().parse_args(arguments)
    settings = load_or_exit(AccessSettings)
    logs.configure(settings.log.level)
    database = Database(settings.database.url, pool_size=1)
    keys = KeyService(database)
    if options.command == "list":
        _list(keys)
        return 0
    try:
        changed = _recorded(keys, AuditTrail(database, settings.audit.keep_seconds), options)
    except DomainError as error:
        print(f"pixmill: {error}", file=sys.stderr)
        return 1
    if isinstance(changed, Key):
        print(_line(changed))
    else:
        _show_secret(changed)
    return 0


def _list(keys: KeyService) -> None:
    last = ""
    while page := keys.page(last, PAGE):
        print(*map(_line, page), sep="\n")
        last = page[-1].id


def _recorded(keys: KeyService, trail: AuditTrail, options: argparse.Namespace) -> Key | NewKey:
    """Make a change and record it, whether it succeeds or is refused."""
    key_id, status = getattr(options, "key_id", None), 500
    try:
        changed = _changed(keys, options)
        if isinstance(changed, Key):
            status = 200
        else:
            key_id, status = key_id or changed.key.id, 201
        return changed
    except DomainError as error:
        status = STATUSES[error.kind]
        raise
    finally:
        change = Change(
            time=time.time(),
            owner=LOCAL_OWNER,
            key_id=None,
            address=_operator()[:64],
            action=f"pixmill keys {options.command}",
            object=f"/api/keys/{key_id}"[:MAX_OBJECT] if key_id else "/api/keys",
            status=status,
            request_id=request_id(""),
        )
        trail.add(change)
        trail.close()


def _changed(keys: KeyService, options: argparse.Namespace) -> Key | NewKey:
    match options.command:
        case "create":
            scopes = (ROLES[options.role] if options.role else frozenset()) | {Scope(name) for name in options.scope}
            seconds = None if options.expires_in_days is None else options.expires_in_days * DAY
            return keys.create(KeyRequest(options.owner, frozenset(scopes), options.note, seconds))
        case "revoke":
            return keys.revoke(options.key_id)
        case _:
            return keys.rotate(options.key_id, options.overlap_days * DAY)


def _operator() -> str:
    """Return the account that runs the command, and its host; variables such as ``USER`` could say anything."""
    try:
        account = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        # In a container, an account may have no name.
        account = str(os.getuid())
    return f"{account}@{socket.gethostname()}"


def _show_secret(made: NewKey) -> None:
    print(_line(made.key), file=sys.stderr)
    print("This is the only time that its secret is shown:", file=sys.stderr)
    print(made.secret)


def _line(key: Key) -> str:
    state = f"revoked {_day(key.revoked_at)}" if key.revoked_at else f"expires {_day(key.expires_at)}"
    used = f"used {_day(key.last_used_at)}"
    return "  ".join([key.id, key.owner, ",".join(key.scopes), f"made {_day(key.created_at)}", used, state, key.note])


def _day(time: float | None) -> str:
    return "never" if time is None else datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pixmill keys", description="Keys of clients.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create", help="Make a key and print its secret.")
    create.add_argument("--owner", default="admin", help="whom its files and tasks belong to (default: admin)")
    create.add_argument("--role", choices=sorted(ROLES), help="a set of scopes")
    create.add_argument("--scope", action="append", default=[], choices=list(Scope), help="one more scope; repeatable")
    create.add_argument("--note", default="", help="what the key is for")
    create.add_argument("--expires-in-days", type=float, help="when it ends (default: never)")
    commands.add_parser("list", help="List keys.")
    revoke = commands.add_parser("revoke", help="End a key within five seconds.")
    revoke.add_argument("key_id")
    rotate = commands.add_parser(
        "rotate", help="Make a key like another one, with as long a life; the other one then ends."
    )
    rotate.add_argument("key_id")
    rotate.add_argument("--overlap-days", type=float, default=1, help="how long the old key lasts (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
