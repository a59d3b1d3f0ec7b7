"""Commands for stored files: put, get, ls, show, info, rename, mv."""

import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import File, Metadata
from pixmill.client.files import FileFilter
from pixmill.client.problems import InvalidError, PixmillError
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
    emit_fields,
    emit_json,
    emit_rows,
    examples,
    exit_code,
    fail,
    ids_of,
    reported,
    say,
    shown,
)
from pixmill.commands.file_filter import Conditions, file_filter
from pixmill.commands.paths import Selection
from pixmill.commands.progress import transfers
from pixmill.commands.words import text

app = typer.Typer()

COLUMNS = ("id", "filename", "size", "media_type", "width", "height", "created_at")
NOT_RENDERABLE = "not-renderable"
"""The problem for a damaged image or a file that is not an image."""
Ids = Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of files; - reads them from stdin.")]


@app.command(epilog=examples("pixmill put photo.jpg", "pixmill put -r holidays --glob '*.jpg' --skip-existing"))
def put(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS…", help="Files, folders, patterns; - is stdin.")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Go into folders.")] = False,
    glob: Annotated[list[str] | None, typer.Option(help="In folders, only names like this; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="No names like this; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="The name, of a single file or of stdin.")] = None,
    comment: Annotated[str, typer.Option(help="The comment of each.")] = "",
    folder: Annotated[
        str | None, typer.Option(help="The folder on the server; with -r, those below go into it.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Delete them after this: 2h, 7d.")] = None,
    parallel: Annotated[int, typer.Option(min=1, max=16, help="Requests at a time.")] = 4,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", help="Not what the server has already.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload files, with their folders (-r); a large one that was interrupted goes on where it stopped."""
    with reported():
        lasting = None if expires is None else units.duration(expires)
        if paths == ["-"]:
            with connected(url, profile) as pixmill:
                file = _put_stdin(pixmill, name, comment, folder, lasting)
                _print_file(file, as_json=as_json, quiet=quiet)
            return
        found = list(Selection(recursive, glob or (), exclude or ()).placed(paths))
        if name is not None and len(found) != 1:
            raise fail(text("--name is for one file"), Exit.USAGE)
        if dry_run:
            for item in found:
                emit(str(item.path))
            return
        total = sum(item.path.stat().st_size for item in found)
    with connected(url, profile) as pixmill, transfers(text("Uploading"), total) as moved:
        if name is not None:
            _print_file(
                pixmill.files.upload(
                    found[0].path, name=name, comment=comment, folder=folder, expires=lasting, on_progress=moved
                ),
                as_json=as_json,
                quiet=quiet,
            )
            return
        failures = []
        # Each argument is a root; folders below it are kept.
        for root, group in groupby(found, key=lambda item: item.root):
            ends = pixmill.files.upload_many(
                [item.path for item in group],
                parallel=parallel,
                comment=comment,
                folder=folder,
                root=root,
                expires=lasting,
                skip_existing=skip_existing,
                on_progress=moved,
            )
            failures += _report(ends, as_json=as_json, quiet=quiet)
    if failures:
        raise typer.Exit(Exit.SOME_FAILED if len(failures) > 1 or len(found) > 1 else failures[0])


@app.command(epilog=examples("pixmill get 12 -o photo.jpg", "pixmill get --filter folder=holiday --zip -o holiday.zip"))
def get(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[IDS…]", help="Ids of files; - reads stdin.")] = None,
    matching: Conditions = None,
    output: Annotated[str, typer.Option("--output", "-o", help="A folder, a file, or - for stdout.")] = ".",
    name: Annotated[str, typer.Option(help="Names in the folder, with {name}, {ext} and {id}.")] = "{name}{ext}",
    zip: Annotated[bool, typer.Option("--zip", help="One ZIP archive of all; --output names it.")] = False,  # noqa: A002 (the option's name)
    as_json: Json = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Download files; what an interrupted download left is not fetched again, and digests are checked."""
    if bool(ids) == bool(matching):
        raise fail(text("give either ids or --filter"), Exit.USAGE)
    with reported():
        wanted = file_filter(matching) if matching else ids_of(ids or ())
    with connected(url, profile) as pixmill:
        if zip:
            target = Path(output) / "files.zip" if Path(output).is_dir() else Path(output)
            emit(str(pixmill.files.zip(wanted, target)))
            return
        files = _chosen(pixmill, wanted)
        if output == "-":
            if len(files) != 1:
                raise fail(text("stdout takes one file"), Exit.USAGE)
            pixmill.files.download_to(files[0], sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        with transfers(text("Downloading"), sum(file.size for file in files)) as moved:
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
    query: Annotated[str | None, typer.Argument(help="A part of the name or of the comment.")] = None,
    type: Annotated[list[str] | None, typer.Option("--type", help="Media type, such as image/*; repeatable.")] = None,  # noqa: A002 (the option's name)
    extension: Annotated[list[str] | None, typer.Option("--ext", help="Extension, such as .jpg; repeatable.")] = None,
    folder: Annotated[str | None, typer.Option(help="This folder and all below it.")] = None,
    origin: Annotated[str | None, typer.Option(help="upload, or result for what tasks made.")] = None,
    source: Annotated[int | None, typer.Option(help="What was made from this file.")] = None,
    since: Annotated[str | None, typer.Option(help="Not older than this: 2h, 7d.")] = None,
    taken: Annotated[str | None, typer.Option("--taken-since", help="Photos not older than this: 30d.")] = None,
    least: Annotated[str | None, typer.Option("--min", help="At least this size: 1MB.")] = None,
    most: Annotated[str | None, typer.Option("--max", help="At most this size.")] = None,
    sort: Annotated[str, typer.Option(help="id, name, size, created_at, taken_at; - before it: largest first.")] = "id",
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Print only how many there are.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List files."""
    with connected(url, profile) as pixmill:
        wanted = FileFilter(
            q=query,
            extension=extension,
            media_type=type,
            folder=folder,
            origin=origin,
            source_id=source,
            created_after=None if since is None else units.ago(since),
            taken_after=None if taken is None else units.ago(taken),
            size_min=None if least is None else units.size(least),
            size_max=None if most is None else units.size(most),
            sort=sort,
        )
        if count:
            total = pixmill.files.index(wanted).total
            emit_json({"total": total}) if as_json else emit(str(total))
            return
        pages = pixmill.files.pages(wanted, min(limit or 1000, 1000))
        emit_rows(islice((file for page in pages for file in page), limit), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill show 12", "pixmill show 12 --json"))
def show(ids: Ids, as_json: Json = False, url: Url = None, profile: ProfileName = None) -> None:
    """Show all that is known about files."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for file_id in wanted:
            file = pixmill.files.get(file_id)
            emit_json(file.document) if as_json else emit_fields(file)


@app.command(epilog=examples("pixmill info 12", "pixmill info 12 13 --json"))
def info(ids: Ids, as_json: Json = False, url: Url = None, profile: ProfileName = None) -> None:
    """Show what is inside images: format, EXIF, colors."""
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for file_id in wanted:
            # Omit the histogram in text output: its 1,024 numbers are for programs.
            parts = () if as_json else ("info", "exif", "colors", "blurhash")
            with _damage_is_an_end(file_id):
                found = pixmill.metadata(file_id, parts)
            if as_json:
                emit_json({"id": file_id, **found.document})
                continue
            for field, value in _flat(file_id, found):
                emit(f"{field}\t{shown(value)}")


@app.command(epilog=examples("pixmill rename 12 'Apollo 11'", "pixmill rename 12 liftoff --comment 'by hand'"))
def rename(
    id: Annotated[int, typer.Argument(help="The file.")],  # noqa: A002 (the argument's name)
    name: Annotated[str, typer.Argument(help="Its new name; the extension stays.")],
    comment: Annotated[str | None, typer.Option(help="A new comment too.")] = None,
    folder: Annotated[str | None, typer.Option(help="A new folder too.")] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Give a file another name."""
    with connected(url, profile) as pixmill:
        file = pixmill.files.update(id, name=name, comment=comment, folder=folder)
        _print_file(file, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill mv 12 13 holiday/2026", "pixmill ls -q draft | pixmill mv - archive --dry-run"))
def mv(
    ids_and_folder: Annotated[
        list[str],
        typer.Argument(
            metavar="IDS… FOLDER", help="Ids (- reads them from stdin), and last the folder; / for no folder."
        ),
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be moved.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Move files into another folder."""
    *ids, folder = ids_and_folder
    if not ids:
        raise fail(text("give ids, and last a folder"), Exit.USAGE)
    wanted = ids_of(ids)
    with connected(url, profile) as pixmill:
        for file_id in wanted:
            file = pixmill.files.get(file_id) if dry_run else pixmill.files.update(file_id, folder=folder.strip("/"))
            if as_json or quiet:
                _print_file(file, as_json=as_json, quiet=quiet)
            else:
                emit(f"{file.id}\t{file.path}")


def _chosen(pixmill: Pixmill, wanted: FileFilter | Sequence[int]) -> list[File]:
    """Return the files of a command; there is at least one."""
    if not isinstance(wanted, FileFilter):
        return [pixmill.files.get(file_id) for file_id in wanted]
    files = list(pixmill.files.list(wanted))
    if not files:
        raise fail(text("no file matches"), Exit.NOT_FOUND)
    return files


@contextmanager
def _damage_is_an_end(file_id: int) -> Iterator[None]:
    """Exit with the code of a failed task: the request is valid, but the image is damaged."""
    try:
        yield
    except InvalidError as error:
        if error.kind != NOT_RENDERABLE:
            raise
        raise fail(f"{file_id}: {described(error)}", Exit.TASKS_FAILED) from error


def _flat(file_id: int, found: Metadata) -> Iterator[tuple[str, object]]:
    """Yield a line for each value in an image's metadata."""
    yield "id", file_id
    yield from (found.info or {}).items()
    for group, tags in (found.exif or {}).items():
        if isinstance(tags, Mapping):
            yield from ((f"{group}.{name}", value) for name, value in tags.items())
        else:
            yield group, tags
    for number, color in enumerate(found.colors or (), 1):
        yield f"color {number}", f"{color.get('color')} {color.get('share')}"
    if found.blurhash is not None:
        yield "blurhash", found.blurhash
    yield from found.unavailable.items()


def _put_stdin(pixmill: Pixmill, name: str | None, comment: str, folder: str | None, expires: timedelta | None) -> File:
    if name is None:
        raise fail(text("give stdin a name: --name photo.jpg"), Exit.USAGE)
    # The length must be known before the first byte is sent.
    with tempfile.TemporaryDirectory(prefix="pixmill-") as temporary:
        spooled = Path(temporary) / "stdin"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        # Windows cannot open a file twice.
        return pixmill.files.upload(spooled, name=name, comment=comment, folder=folder, expires=expires)


def _report(ends: Iterator[Upload], *, as_json: bool, quiet: bool) -> list[Exit]:
    """Print each outcome; return the exit codes of the failures."""
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
    """Yield the target path of each file; equal names get the file's id."""
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
