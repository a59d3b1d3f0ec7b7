"""Commands for stored files: put, get, ls, show, rm, rename, share."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import File
from pixmill.client.files import FileFilter
from pixmill.client.problems import PixmillError
from pixmill.client.saving import formatted
from pixmill.client.settings import safe_name
from pixmill.client.sync import Pixmill
from pixmill.client.uploads import Upload
from pixmill.commands import units
from pixmill.commands.console import (
    Exit,
    Json,
    ProfileName,
    Quiet,
    Url,
    connected,
    described,
    emit,
    emit_json,
    emit_rows,
    examples,
    exit_code,
    fail,
    ids_of,
    reported,
    say,
)
from pixmill.commands.paths import Selection
from pixmill.commands.progress import transfers

app = typer.Typer()

COLUMNS = ("id", "filename", "size", "media_type", "width", "height", "created_at")
Ids = Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of files; - reads them from stdin.")]


@app.command(epilog=examples("pixmill put photo.jpg", "pixmill put -r holidays --glob '*.jpg' --skip-existing"))
def put(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS…", help="Files, folders, patterns; - is stdin.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Go into folders.")] = False,
    glob: Annotated[list[str] | None, typer.Option(help="In folders, only names like this; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No names like this; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="The name, of a single file or of stdin.")] = None,
    comment: Annotated[str, typer.Option(help="The comment of each.")] = "",
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Requests at a time.")] = 4,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Not what the server has already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload files; a large one that was interrupted goes on where it stopped."""
    with reported():
        if paths == ["-"]:
            with connected(url, profile) as pixmill:
                _print_file(_put_stdin(pixmill, name, comment), as_json=as_json, quiet=quiet)
            return
        found = list(Selection(recursive, glob or (), exclude or ()).files(paths))
        if name is not None and len(found) != 1:
            raise fail("--name is for one file", Exit.USAGE)
        if dry_run:
            for path in found:
                emit(str(path))
            return
        total = sum(path.stat().st_size for path in found)
    with connected(url, profile) as pixmill, transfers("Uploading", total) as moved:
        if name is not None:
            _print_file(
                pixmill.files.upload(found[0], name=name, comment=comment, on_progress=moved),
                as_json=as_json,
                quiet=quiet,
            )
            return
        ends = pixmill.files.upload_many(
            found, parallel=parallel, comment=comment, skip_existing=skip_existing, on_progress=moved
        )
        failures = _report(ends, as_json=as_json, quiet=quiet)
    if failures:
        raise typer.Exit(Exit.SOME_FAILED if len(failures) > 1 or len(found) > 1 else failures[0])


@app.command(epilog=examples("pixmill get 12 -o photo.jpg", "pixmill ls -q --type 'image/*' | pixmill get - -o images"))
def get(
    ids: Ids,
    output: Annotated[str, typer.Option("--output", "-o", help="A folder, a file, or - for stdout.")] = ".",
    name: Annotated[str, typer.Option(help="Names in the folder, with {name}, {ext} and {id}.")] = "{name}{ext}",
    zip: Annotated[bool, typer.Option("--zip", help="One ZIP archive of all; --output names it.")] = False,  # noqa: A002 (the option's name)
    as_json: Json = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Download files; what an interrupted download left is not fetched again, and digests are checked."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        if zip:
            target = Path(output) / "files.zip" if Path(output).is_dir() else Path(output)
            emit(str(pixmill.files.zip(wanted, target)))
            return
        files = [pixmill.files.get(file_id) for file_id in wanted]
        if output == "-":
            if len(files) != 1:
                raise fail("stdout takes one file", Exit.USAGE)
            pixmill.files.download_to(files[0], sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        with transfers("Downloading", sum(file.size for file in files)) as moved:
            failed = False
            for file, path in _targets(files, Path(output), name):
                try:
                    pixmill.files.download(file, path, on_progress=moved)
                except (PixmillError, OSError) as error:
                    if len(files) == 1:
                        raise
                    say(f"{file.id} {file.filename}: {described(error)}")
                    failed = True
                    continue
                if as_json:
                    emit_json({"id": file.id, "path": str(path)})
                else:
                    emit(str(path))
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)


@app.command(
    epilog=examples("pixmill ls --type 'image/*' --sort -size --limit 10", "pixmill ls rocket --since 7d --json")
)
def ls(
    query: Annotated[str | None, typer.Argument(help="A part of the name.")] = None,
    type: Annotated[str | None, typer.Option("--type", help="Media type, such as image/*.")] = None,  # noqa: A002 (the option's name)
    extension: Annotated[str | None, typer.Option("--ext", help="Extension, such as .jpg.")] = None,
    since: Annotated[str | None, typer.Option(help="Not older than this: 2h, 7d.")] = None,
    least: Annotated[str | None, typer.Option("--min", help="At least this size: 1MB.")] = None,
    most: Annotated[str | None, typer.Option("--max", help="At most this size.")] = None,
    sort: Annotated[str, typer.Option(help="id, name, size, created_at; - before it: largest first.")] = "id",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List files."""
    with connected(url, profile) as pixmill:
        wanted = FileFilter(
            name=query,
            extension=extension,
            media_type=type,
            created_after=None if since is None else datetime.now(UTC) - units.duration(since),
            size_min=None if least is None else units.size(least),
            size_max=None if most is None else units.size(most),
            sort=sort,
        )
        pages = pixmill.files.pages(wanted, min(limit or 1000, 1000))
        emit_rows(islice((file for page in pages for file in page), limit), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill show 12", "pixmill show 12 --json"))
def show(ids: Ids, as_json: Json = False, url: Url = None, profile: ProfileName = None) -> None:
    """Show all that is known about files."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for file_id in wanted:
            document = pixmill.files.get(file_id).document
            if as_json:
                emit_json(document)
                continue
            for field, value in document.items():
                emit(f"{field}\t{'-' if value is None else value}")


@app.command(epilog=examples("pixmill rm 12 13 --yes", "pixmill ls -q draft | pixmill rm - --dry-run"))
def rm(
    ids: Ids,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be deleted.")] = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Delete files for good."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        existing = pixmill.files.existing(wanted)
        missing = sorted(set(wanted) - {file.id for file in existing})
        if dry_run:
            emit_rows(existing, ("id", "filename", "size"), as_json=False)
        elif existing and _agreed(existing, yes=yes):
            for file in existing:
                pixmill.files.delete(file.id)
                emit(str(file.id))
    if missing:
        raise fail(f"there is no file {', '.join(map(str, missing))}", Exit.NOT_FOUND)


@app.command(epilog=examples("pixmill rename 12 'Apollo 11'", "pixmill rename 12 liftoff --comment 'by hand'"))
def rename(
    id: Annotated[int, typer.Argument(help="The file.")],  # noqa: A002 (the argument's name)
    name: Annotated[str, typer.Argument(help="Its new name; the extension stays.")],
    comment: Annotated[str | None, typer.Option(help="A new comment too.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Give a file another name."""
    with connected(url, profile) as pixmill:
        _print_file(pixmill.files.update(id, name=name, comment=comment), as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill share 12", "pixmill share 12 13 --for 2d"))
def share(
    ids: Ids,
    lasting: Annotated[str, typer.Option("--for", help="How long: 2h, 2d; at most 7d.")] = "1d",
    as_json: Json = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Make links that download files without a key."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for file_id in wanted:
            link = pixmill.files.link(file_id, expires=units.duration(lasting))
            if as_json:
                emit_json({"id": file_id, **link.document})
            else:
                emit(link.url)


def _put_stdin(pixmill: Pixmill, name: str | None, comment: str) -> File:
    if name is None:
        raise fail("give stdin a name: --name photo.jpg", Exit.USAGE)
    # The length must be known before the first byte is sent.
    with tempfile.NamedTemporaryFile(prefix="pixmill-") as spooled:
        shutil.copyfileobj(sys.stdin.buffer, spooled)
        spooled.flush()
        return pixmill.files.upload(spooled.name, name=name, comment=comment)


def _report(ends: Iterator[Upload], *, as_json: bool, quiet: bool) -> list[Exit]:
    """Print each end; return the exit codes of the failures."""
    failures = []
    for end in ends:
        if end.file is not None:
            _print_file(end.file, as_json=as_json, quiet=quiet)
        elif end.error is not None:
            say(f"{end.source}: {described(end.error)}")
            failures.append(exit_code(end.error))
    return failures


def _print_file(file: File, *, as_json: bool, quiet: bool) -> None:
    if as_json:
        emit_json(file.document)
    else:
        emit(str(file.id) if quiet else f"{file.id}\t{file.filename}")


def _targets(files: Sequence[File], output: Path, template: str) -> Iterator[tuple[File, Path]]:
    """Generate where each file goes; equal names get the file's id."""
    if len(files) == 1 and not output.is_dir() and not str(output).endswith("/"):
        yield files[0], output
        return
    output.mkdir(parents=True, exist_ok=True)
    taken: set[str] = set()
    for file in files:
        name = safe_name(formatted(template, file))
        if name.casefold() in taken:
            name = f"{file.id}-{name}"
        taken.add(name.casefold())
        yield file, output / name


def _agreed(files: Sequence[File], *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise fail("nobody can be asked here: add --yes", Exit.USAGE)
    names = ", ".join(file.filename for file in files[:5]) + (" …" if len(files) > 5 else "")
    return typer.confirm(f"Delete {len(files)} files ({names})?", err=True)
