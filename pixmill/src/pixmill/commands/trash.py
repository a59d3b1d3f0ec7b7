"""Commands for deleting and restoring files: rm, restore, trash."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from pixmill.client.answers import File
from pixmill.client.sync import Pixmill
from pixmill.commands.console import (
    FILE_FIELDS,
    Exit,
    Fields,
    ProfileName,
    Quiet,
    Url,
    agreed,
    connected,
    emit,
    emit_json,
    emit_rows,
    examples,
    fail,
    ids_of,
    json_option,
    say,
    shown,
)
from pixmill.commands.words import plural, text

app = typer.Typer()

COLUMNS = ("id", "path", "size", "deleted_at", "restore_until")
Ids = Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of files; - reads them from stdin.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command(epilog=examples("pixmill rm 12 13 --yes", "pixmill ls -q draft | pixmill rm - --dry-run"))
def rm(
    ids: Ids,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", help="Delete permanently, without the trash.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    as_json: Annotated[Fields | None, json_option(("id", "restore_until"), dry_run=FILE_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Move files to the trash, from which they can be restored for a while."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        existing = pixmill.files.existing(wanted)
        missing = sorted(set(wanted) - {file.id for file in existing})
        if dry_run:
            emit_rows(existing, ("id", "filename", "size"), as_json=as_json)
        elif existing and agreed(_question(existing, force=force), yes=yes):
            # Not the ids in the answer: after a lost answer, the repeated request finds nothing left to delete.
            deleted = [file.id for file in existing]
            until = pixmill.files.delete(*deleted).restore_until
            if force:
                # Without a trash, deleted files are already gone.
                pixmill.files.empty_trash(*deleted)
                until = None
            elif until is None:
                until = _until_restorable(pixmill, deleted)
            _report(deleted, until, as_json=as_json)
    if missing:
        raise fail(text("there is no file {ids}", ids=", ".join(map(str, missing))), Exit.NOT_FOUND)


@app.command(epilog=examples("pixmill restore 12 13", "pixmill trash -q | pixmill restore -"))
def restore(
    ids: Ids,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be restored.")] = False,
    as_json: Annotated[Fields | None, json_option(("id",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Take files out of the trash."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        if dry_run:
            restored: Sequence[int] = [file.id for file in pixmill.files.trash() if file.id in wanted]
        else:
            restored = _restored(pixmill, wanted)
        for file_id in restored:
            emit_json({"id": file_id}, as_json) if as_json else emit(str(file_id))
    missing = sorted(set(wanted) - set(restored))
    if missing:
        raise fail(text("not in the trash: {ids}", ids=", ".join(map(str, missing))), Exit.NOT_FOUND)


@app.command(epilog=examples("pixmill trash", "pixmill trash --empty --yes"))
def trash(
    empty: Annotated[bool, typer.Option("--empty", help="Delete everything in the trash permanently.")] = False,
    yes: Yes = False,
    as_json: Annotated[Fields | None, json_option(File, empty=("removed",))] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the trash, or empty it."""
    if empty and quiet:
        raise fail(text("--quiet is for the list, not for --empty"), Exit.USAGE)
    with connected(url, profile, Exit.SOME_FAILED if empty else Exit.OK) as pixmill:
        if not empty:
            emit_rows(pixmill.files.trash(), COLUMNS, as_json=as_json, quiet=quiet)
        elif agreed(text("Remove everything in the trash for good?"), yes=yes):
            removed = pixmill.files.empty_trash(everything=True)
            emit_json({"removed": removed}, as_json) if as_json else emit(str(removed))


def _until_restorable(pixmill: Pixmill, ids: Sequence[int]) -> datetime | None:
    """Return until when trashed files can be restored; ``None`` if none of them is in the trash.

    A command calls it if the response that contains this time was lost.
    """
    deleted = set(ids)
    return next((file.restore_until for file in pixmill.files.trash() if file.id in deleted), None)


def _restored(pixmill: Pixmill, ids: Sequence[int]) -> Sequence[int]:
    """Restore files; return the ids of the restored files."""
    before = {file.id for file in pixmill.files.existing(ids)}
    restored = pixmill.files.restore(*ids)
    # After a lost answer, the repeated request finds nothing left to restore.
    others = sorted(set(ids) - before - set(restored))
    return [*restored, *(file.id for file in pixmill.files.existing(others))]


def _question(files: Sequence[File], *, force: bool) -> str:
    names = ", ".join(file.filename for file in files[:5]) + (" …" if len(files) > 5 else "")
    if force:
        return plural(
            "Delete {count} file for good ({names})?",
            "Delete {count} files for good ({names})?",
            len(files),
            names=names,
        )
    return plural("Delete {count} file ({names})?", "Delete {count} files ({names})?", len(files), names=names)


def _report(deleted: Sequence[int], until: datetime | None, *, as_json: Fields | None) -> None:
    for file_id in deleted:
        if as_json:
            emit_json({"id": file_id, "restore_until": None if until is None else until.isoformat()}, as_json)
        else:
            emit(str(file_id))
    if until is None:
        say(text("Deleted for good."))
        return
    ids = " ".join(map(str, deleted[:20])) + (" …" if len(deleted) > 20 else "")
    say(text("In the trash until {time}. Take back: pixmill restore {ids}", time=shown(until), ids=ids))
