"""Commands for stored files: put, get, ls, show, info, rename, mv."""

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import groupby, islice
from pathlib import Path
from typing import Annotated, NamedTuple, NoReturn

import typer

from pixmill.client.answers import File, Metadata
from pixmill.client.files import FileFilter
from pixmill.client.problems import InvalidError, PixmillError
from pixmill.client.saving import formatted
from pixmill.client.settings import new_below, safe_name
from pixmill.client.sync import Pixmill
from pixmill.client.uploads import MEDIUM, OnProgress, UploadOutcome
from pixmill.commands import units
from pixmill.commands.console import (
    FILE_FIELDS,
    Exit,
    Failures,
    Fields,
    ProfileName,
    Quiet,
    Url,
    concerns_every_request,
    concerns_the_file,
    connected,
    described,
    emit,
    emit_fields,
    emit_json,
    emit_lines,
    emit_rows,
    examples,
    exit_code,
    explained,
    fail,
    ids_of,
    json_option,
    may_pass,
    names_of,
    reported,
    say,
    shown,
)
from pixmill.commands.fetching import PARALLEL, check_bytes_only, check_one, check_target, fetched, to_stdout
from pixmill.commands.file_filter import Conditions, Order, Origin, file_filter
from pixmill.commands.paths import Placed, Selection, Stamp, say_linked, settled, stamp_of
from pixmill.commands.progress import Source, Transfers, transfers
from pixmill.commands.rounds import Pauses
from pixmill.commands.spooling import spooled_stdin
from pixmill.commands.words import plural, text

app = typer.Typer()

COLUMNS = ("id", "filename", "size", "media_type", "width", "height", "created_at")
FOLLOW_SECONDS = 2
"""How often ``put --follow`` looks for new files."""
NOT_RENDERABLE = "not-renderable"
"""The problem for a damaged image or a file that is not an image."""
Ids = Annotated[list[str], typer.Argument(metavar="IDS…", help="Ids of files; - reads them from stdin.")]


@app.command(epilog=examples("pixmill put photo.jpg", "pixmill put -r holidays --glob '*.jpg' --skip-existing"))
def put(
    paths: Annotated[list[str], typer.Argument(metavar="PATHS…", help="Files, folders, patterns; - is stdin.")],
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Go into folders; names that begin with a dot are skipped.")
    ] = False,
    glob: Annotated[list[str] | None, typer.Option(help="In folders, only names like this; repeatable.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Skip names like this; repeatable.")] = None,
    name: Annotated[str | None, typer.Option(help="The name, of a single file or of stdin.")] = None,
    comment: Annotated[str, typer.Option(help="The comment of each file.")] = "",
    folder: Annotated[
        str | None, typer.Option(help="The folder on the server; with -r, it gets the local folders.")
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Delete the files after this time: 2h, 7d.")] = None,
    parallel: Annotated[int | None, typer.Option(min=1, max=16, help="Requests at a time (default: 4).")] = None,
    skip_existing: Annotated[
        bool, typer.Option("--skip-existing", help="Skip files that the server already has.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with what is new or changed in the folders, until Ctrl-C.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent.")] = False,
    as_json: Annotated[Fields | None, json_option(FILE_FIELDS)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload files, and folders with -r; an interrupted upload of a large file continues."""
    if follow and (name is not None or not all(Path(path).is_dir() for path in paths)):
        raise fail(text("--follow is for folders, without --name"), Exit.USAGE)
    if glob and not recursive:
        raise fail(text("--glob is for folders: add --recursive (-r)"), Exit.USAGE)
    with reported():
        details = _Details(comment, folder, None if expires is None else units.duration(expires), skip_existing)
        if paths == ["-"]:
            if recursive or exclude or parallel is not None:
                raise fail(text("stdin is one file: only --name, and no options for folders"), Exit.USAGE)
            stdin_name = _name_of_stdin(name)
            if dry_run and not skip_existing:
                emit(stdin_name)
                return
            with connected(url, profile) as pixmill:
                _put_stdin(pixmill, stdin_name, details, dry_run=dry_run, as_json=as_json, quiet=quiet)
            return
        selection = Selection(recursive, glob or (), exclude or ())
        printer = _OutcomePrinter(as_json=as_json, quiet=quiet)
        found = _found(paths, name, selection, printer)
        if dry_run and not skip_existing:
            emit_lines(item.path for item in found)
            printer.finish()
            return
    if dry_run:
        with connected(url, profile) as pixmill:
            emit_lines(item.path for item in _not_stored(pixmill, found, name, details))
        printer.finish()
        return
    if follow:
        with connected(url, profile) as pixmill:
            _follow(pixmill, paths, selection, details, parallel or PARALLEL, printer)
    sizes: dict[Source, int] = {item.path: stamp[0] for item in found if (stamp := stamp_of(item.path)) is not None}
    with connected(url, profile) as pixmill, transfers(text("Uploading"), sizes) as moved:
        if name is not None:
            with explained(lambda: _continuation(found) or text("interrupted")):
                file = _put_named(pixmill, found[0].path, name, details, moved)
            _print_file(file, as_json=as_json, quiet=quiet)
            return
        _put_all(pixmill, found, details, parallel or PARALLEL, printer, moved)


@app.command(epilog=examples("pixmill get 12 -o photo.jpg", "pixmill get --filter folder=holiday --zip -o holiday.zip"))
def get(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[IDS…]", help="Ids of files; - reads stdin.")] = None,
    matching: Conditions = None,
    output: Annotated[str, typer.Option("--output", "-o", help="A folder, a file, or - for stdout.")] = ".",
    name: Annotated[
        str | None, typer.Option(help="Names in the folder, with {name}, {ext} and {id} (default: {name}{ext}).")
    ] = None,
    zip: Annotated[bool, typer.Option("--zip", help="One ZIP archive of all; --output names it.")] = False,  # noqa: A002 (the option's name)
    force: Annotated[bool, typer.Option("--force", help="Replace files that exist.")] = False,
    parallel: Annotated[int | None, typer.Option(min=1, max=16, help="Files at a time (default: 4).")] = None,
    as_json: Annotated[Fields | None, json_option(("id", "path"), zip=("path",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Download files; an interrupted download continues, and digests are checked."""
    if bool(ids) == bool(matching):
        raise fail(text("give either ids or --filter"), Exit.USAGE)
    with reported():
        _check_get(output, name, parallel, as_zip=zip, as_json=as_json, force=force)
        wanted = file_filter(matching) if matching else ids_of(ids or ())
        is_folder = _is_folder(output) or (not zip and isinstance(wanted, list) and len(set(wanted)) > 1)
        if output != "-":
            check_target(name, Path(output) if is_folder else Path(output).parent)
    with connected(url, profile, Exit.OK if output == "-" else Exit.SOME_FAILED) as pixmill:
        if zip:
            _get_archive(pixmill, wanted, output, force=force, as_json=as_json)
            return
        files = _chosen(pixmill, wanted)
        if output == "-":
            check_one(len(files))
            to_stdout(pixmill, files[0])
        elif len(files) == 1 and not _is_folder(output):
            if name is not None:
                raise fail(text("--name is for a folder; '{path}' is the name of the file", path=output), Exit.USAGE)
            _get_as(pixmill, files[0], Path(output), force=force, as_json=as_json)
        else:
            _get_files(pixmill, files, Path(output), name, parallel or PARALLEL, force=force, as_json=as_json)


@app.command(
    epilog=examples("pixmill ls --type 'image/*' --sort -size --limit 10", "pixmill ls rocket --since 7d --json")
)
def ls(
    query: Annotated[str | None, typer.Argument(help="A part of the name or of the comment.")] = None,
    type: Annotated[list[str] | None, typer.Option("--type", help="Media type, such as image/*; repeatable.")] = None,  # noqa: A002 (the option's name)
    extension: Annotated[list[str] | None, typer.Option("--ext", help="Extension, such as .jpg; repeatable.")] = None,
    folder: Annotated[str | None, typer.Option(help="This folder and all below it.")] = None,
    origin: Annotated[Origin | None, typer.Option(help="upload, or result for what tasks made.")] = None,
    source: Annotated[int | None, typer.Option(help="Only results made from this file.")] = None,
    since: Annotated[str | None, typer.Option(help="Not older than this: 2h, 7d.")] = None,
    taken: Annotated[str | None, typer.Option("--taken-since", help="Photos not older than this: 30d.")] = None,
    least: Annotated[str | None, typer.Option("--min", help="At least this size: 1MB.")] = None,
    most: Annotated[str | None, typer.Option("--max", help="At most this size.")] = None,
    sort: Annotated[
        Order | None, typer.Option(help="id, name, size, created_at, taken_at; - before it: largest first.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    count: Annotated[bool, typer.Option("--count", help="Print only how many there are.")] = False,
    as_json: Annotated[Fields | None, json_option(FILE_FIELDS, count=("total",))] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List files."""
    if count and (sort is not None or limit is not None or quiet):
        raise fail(text("--count goes neither with --sort nor with --limit nor with --quiet"), Exit.USAGE)
    with connected(url, profile, Exit.OK) as pixmill:
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
            sort=sort or "id",
        )
        if count:
            total = pixmill.files.index(wanted).total
            emit_json({"total": total}, as_json) if as_json else emit(str(total))
            return
        pages = pixmill.files.pages(wanted, min(limit or 1000, 1000))
        emit_rows(islice((file for page in pages for file in page), limit), COLUMNS, as_json=as_json, quiet=quiet)


@app.command(epilog=examples("pixmill show 12", "pixmill show 12 --json"))
def show(
    ids: Ids,
    as_json: Annotated[Fields | None, json_option(FILE_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Show all that is known about files."""
    wanted = ids_of(ids)
    with connected(url, profile, Exit.OK) as pixmill:
        for file_id in wanted:
            file = pixmill.files.get(file_id)
            emit_json(file.document, as_json) if as_json else emit_fields(file)


@app.command(epilog=examples("pixmill info 12", "pixmill info 12 13 --json"))
def info(
    ids: Ids,
    as_json: Annotated[Fields | None, json_option(("id", *names_of(Metadata)))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Show what is inside images: format, EXIF, colors."""
    wanted = ids_of(ids)
    with connected(url, profile, Exit.OK) as pixmill:
        for file_id in wanted:
            # Omit the histogram in text output: its 1,024 numbers are for programs.
            parts = () if as_json else ("info", "exif", "colors", "blurhash")
            with _damage_is_an_end(file_id):
                found = pixmill.metadata(file_id, parts)
            if as_json:
                emit_json({"id": file_id, **found.document}, as_json)
                continue
            for field, value in _flat(file_id, found):
                emit(f"{field}\t{shown(value)}")


@app.command(epilog=examples("pixmill rename 12 'Apollo 11'", "pixmill rename 12 liftoff --comment 'by hand'"))
def rename(
    id: Annotated[int, typer.Argument(help="The file.")],  # noqa: A002 (the argument's name)
    name: Annotated[str, typer.Argument(help="Its new name; the extension stays.")],
    comment: Annotated[str | None, typer.Option(help="A new comment too.")] = None,
    folder: Annotated[str | None, typer.Option(help="A new folder too.")] = None,
    as_json: Annotated[Fields | None, json_option(FILE_FIELDS)] = None,
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
    as_json: Annotated[Fields | None, json_option(FILE_FIELDS)] = None,
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
        known = {file.id: file for file in pixmill.files.existing(wanted)} if wanted else {}
        missing = sorted(set(wanted) - known.keys())
        if missing:
            raise fail(text("there is no file {ids}", ids=", ".join(map(str, missing))), Exit.NOT_FOUND)
        # The same file twice would need two names.
        return [known[file_id] for file_id in dict.fromkeys(wanted)]
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


def _name_of_stdin(name: str | None) -> str:
    if name is None:
        raise fail(text("give stdin a name: --name photo.jpg"), Exit.USAGE)
    return name


def _found(paths: Sequence[str], name: str | None, selection: Selection, printer: "_OutcomePrinter") -> list[Placed]:
    """Return the files of a command, and report how many were skipped and what cannot be read."""
    hidden: list[Path] = []
    linked: list[Path] = []
    search = replace(
        selection,
        on_hidden=hidden.append,
        on_linked=linked.append,
        on_unreadable=lambda path, error: printer.add_failure(str(path), error),
    )
    found = list(search.placed(paths))
    if hidden:
        say(
            plural(
                "{count} name that begins with a dot was skipped",
                "{count} names that begin with a dot were skipped",
                len(hidden),
            )
        )
    say_linked(linked)
    if name is not None and len(found) != 1:
        raise fail(text("--name is for one file"), Exit.USAGE)
    return found


def _not_stored(pixmill: Pixmill, found: Iterable[Placed], name: str | None, details: "_Details") -> Iterator[Placed]:
    """Yield the files that the server does not have yet."""
    for item in found:
        new = new_below(item.root, item.path, "", details.folder, None)
        if pixmill.files.find_same(item.path, name=name or new.name, folder=new.folder) is None:
            yield item


def _put_stdin(
    pixmill: Pixmill, name: str, details: "_Details", *, dry_run: bool, as_json: Fields | None, quiet: bool
) -> None:
    with spooled_stdin() as path:
        if not dry_run:
            with transfers(text("Uploading"), {path: path.stat().st_size}) as moved:
                file = _put_named(pixmill, path, name, details, moved)
            _print_file(file, as_json=as_json, quiet=quiet)
        elif pixmill.files.find_same(path, name=name, folder=details.folder) is None:
            emit(name)


class _Details(NamedTuple):
    """The options that apply to each uploaded file.

    :param skip_existing: whether a file that the server already stores is not sent.
    """

    comment: str
    folder: str | None
    expires: timedelta | None
    skip_existing: bool


def _put_named(
    pixmill: Pixmill, path: Path, name: str, details: _Details, on_progress: OnProgress | None = None
) -> File:
    """Upload a file under another name, unless it is to be skipped and the server already stores it."""
    if details.skip_existing:
        same = pixmill.files.find_same(path, name=name, folder=details.folder)
        if same is not None:
            return same
    return pixmill.files.upload(
        path,
        name=name,
        comment=details.comment,
        folder=details.folder,
        expires=details.expires,
        on_progress=on_progress,
    )


@dataclass
class _OutcomePrinter:
    """Prints the outcomes of uploads, and counts them.

    :param printed: the failures so far.
    :param codes: the exit codes of the files that were not stored.
    """

    as_json: Fields | None
    quiet: bool
    stored: int = 0
    printed: Failures = field(default_factory=Failures)
    codes: set[Exit] = field(default_factory=set)

    def add(self, ends: Iterable[UploadOutcome]) -> None:
        """Print the outcomes.

        :raises PixmillError: no further file can be stored either, because the server is away or the key is wrong.
        """
        for end in ends:
            if end.file is not None:
                self.stored += 1
                _print_file(end.file, as_json=self.as_json, quiet=self.quiet)
            elif end.error is not None:
                if concerns_every_request(end.error):
                    raise end.error
                self.add_failure(str(end.source), end.error)

    def add_failure(self, about: str, error: PixmillError | OSError) -> None:
        """Print a failure, and let it count for the exit code."""
        self.printed.say(error, about)
        self.codes.add(exit_code(error))

    def finish(self) -> None:
        """End the command with the exit code that all failures share if no file was stored."""
        if self.codes:
            shared = not self.stored and len(self.codes) == 1
            raise typer.Exit(next(iter(self.codes)) if shared else Exit.SOME_FAILED)

    def interruption_while_following(self) -> str:
        return plural(
            "interrupted: {count} file is stored; the same command with --skip-existing goes on",
            "interrupted: {count} files are stored; the same command with --skip-existing goes on",
            self.stored,
        )

    def interruption(self, total: int) -> str:
        return text(
            "interrupted: at least {count} of {total} files are stored; the same command with --skip-existing sends"
            " only the others",
            count=self.stored,
            total=total,
        )


def _put_all(
    pixmill: Pixmill,
    found: Sequence[Placed],
    details: _Details,
    parallel: int,
    printer: _OutcomePrinter,
    moved: Transfers,
) -> None:
    """Upload files under their own names, and print the outcomes; one that fails does not stop the others."""
    with explained(lambda: _continuation(found) or printer.interruption(len(found))):
        printer.add(_sent(pixmill, found, details, parallel, moved))
    printer.finish()


def _continuation(found: Sequence[Placed]) -> str | None:
    """Return what Ctrl-C says of a single large file, which needs no ``--skip-existing`` to continue."""
    stamp = stamp_of(found[0].path) if len(found) == 1 else None
    if stamp is None or stamp[0] <= MEDIUM:
        return None
    return text("interrupted; the same command goes on where this one stopped")


def _sent(
    pixmill: Pixmill, found: Iterable[Placed], details: _Details, parallel: int, moved: Transfers
) -> Iterator[UploadOutcome]:
    """Upload files under their own names; yield the outcome of each."""
    # Each argument is a root; folders below it are kept.
    for root, group in groupby(found, key=lambda item: item.root):
        outcomes = pixmill.files.upload_many(
            [item.path for item in group],
            parallel=parallel,
            comment=details.comment,
            folder=details.folder,
            root=root,
            expires=details.expires,
            skip_existing=details.skip_existing,
            on_progress=moved,
        )
        yield from moved.passing(outcomes)


def _follow(
    pixmill: Pixmill,
    folders: Sequence[str],
    selection: Selection,
    details: _Details,
    parallel: int,
    printer: _OutcomePrinter,
) -> NoReturn:
    """Upload the files of folders, and again those that are new or have changed, until Ctrl-C."""
    ended: dict[Path, Stamp] = {}
    before: Mapping[Placed, Stamp] = {}
    away = Failures()
    pauses = Pauses(FOLLOW_SECONDS)
    search = replace(selection, on_unreadable=lambda path, error: printer.add_failure(str(path), error))
    with explained(printer.interruption_while_following):
        while True:
            try:
                now = {item: stamp for item in search.placed(folders) if (stamp := stamp_of(item.path)) is not None}
                new = {item: stamp for item, stamp in settled(before, now).items() if ended.get(item.path) != stamp}
                stamps = {item.path: stamp for item, stamp in new.items()}
                before = now
                with transfers(text("Uploading"), {item.path: size for item, (size, _) in new.items()}) as moved:
                    outcomes = _sent(pixmill, new, details, parallel, moved)
                    printer.add(_noted(outcomes, stamps, ended, printer.printed, pauses))
            except (PixmillError, OSError) as error:
                if not may_pass(error):
                    raise
                away.say(error)
            else:
                away.forget()
            pauses.wait()


def _noted(
    outcomes: Iterable[UploadOutcome],
    stamps: Mapping[Path, Stamp],
    ended: dict[Path, Stamp],
    printed: Failures,
    pauses: Pauses,
) -> Iterator[UploadOutcome]:
    """Note the files that need no further attempt until they change: those that are stored or refused."""
    for outcome in outcomes:
        pauses.note(outcome.error)
        if outcome.error is None or concerns_the_file(outcome.error):
            ended[outcome.source] = stamps[outcome.source]
            printed.forget(str(outcome.source))
        yield outcome


def _check_get(
    output: str, name: str | None, parallel: int | None, *, as_zip: bool, as_json: Fields | None, force: bool
) -> None:
    """Refuse options that would have no effect."""
    if as_zip and name is not None:
        raise fail(text("--name is for single files, not for --zip"), Exit.USAGE)
    if as_zip and parallel is not None:
        raise fail(text("--parallel is for single files, not for --zip"), Exit.USAGE)
    if output == "-" and (name is not None or parallel is not None or force):
        raise fail(text("stdout goes neither with --name nor with --parallel nor with --force"), Exit.USAGE)
    if output == "-":
        check_bytes_only(as_json)


def _get_as(pixmill: Pixmill, file: File, path: Path, *, force: bool, as_json: Fields | None) -> None:
    """Download a file under a name of the user."""
    with transfers(text("Downloading"), {file.id: file.size}) as moved, explained(lambda: _interruption_of_get(0, 1)):
        saved = pixmill.files.download(file, path, overwrite=force, on_progress=moved)
    _print_saved(file, saved, as_json=as_json)


def _get_files(
    pixmill: Pixmill,
    files: Sequence[File],
    folder: Path,
    template: str | None,
    parallel: int,
    *,
    force: bool,
    as_json: Fields | None,
) -> None:
    """Download files into a folder; one that fails does not stop the others."""
    check_target(template, folder)
    failed = False
    saved = 0
    folder.mkdir(parents=True, exist_ok=True)
    targets = _targets(files, folder, template or "{name}{ext}")
    with (
        transfers(text("Downloading"), {file.id: file.size for file in files}) as moved,
        explained(lambda: _interruption_of_get(saved, len(files))),
    ):
        for file, ended in fetched(pixmill, targets, moved, parallel, overwrite=force):
            try:
                path = ended.result()
            except (PixmillError, OSError) as error:
                if len(files) == 1 or concerns_every_request(error):
                    raise
                say(f"{file.id} {file.filename}: {described(error)}")
                failed = True
                continue
            saved += 1
            _print_saved(file, path, as_json=as_json)
    if failed:
        raise typer.Exit(Exit.SOME_FAILED)


def _print_saved(file: File, path: Path, *, as_json: Fields | None) -> None:
    emit_json({"id": file.id, "path": str(path)}, as_json) if as_json else emit(str(path))


def _get_archive(
    pixmill: Pixmill, wanted: FileFilter | Sequence[int], output: str, *, force: bool, as_json: Fields | None
) -> None:
    """Download files as one ZIP archive, into a folder, a file or stdout."""
    if not wanted:
        # Without ids, the archive would contain every file.
        raise fail(text("no file matches"), Exit.NOT_FOUND)
    if output == "-":
        with tempfile.TemporaryDirectory(prefix="pixmill-") as folder:
            with transfers(text("Downloading"), {}) as moved:
                path = pixmill.files.zip(wanted, folder, on_progress=moved)
            with path.open("rb") as archive:
                shutil.copyfileobj(archive, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return

    if _is_folder(output):
        Path(output).mkdir(parents=True, exist_ok=True)
    with transfers(text("Downloading"), {}) as moved:
        path = pixmill.files.zip(wanted, output, overwrite=force, on_progress=moved)
    emit_json({"path": str(path)}, as_json) if as_json else emit(str(path))


def _interruption_of_get(saved: int, total: int) -> str:
    return text(
        "interrupted: at least {count} of {total} files are saved; the same command downloads the others, and"
        " continues the partial ones",
        count=saved,
        total=total,
    )


def _print_file(file: File, *, as_json: Fields | None, quiet: bool) -> None:
    if as_json:
        emit_json(file.document, as_json)
    else:
        emit(str(file.id) if quiet else f"{file.id}\t{file.filename}")


def _is_folder(output: str) -> bool:
    """Return whether an output is a folder; one that does not exist yet ends with a slash."""
    return output.endswith("/") or Path(output).is_dir()


def _targets(files: Sequence[File], folder: Path, template: str) -> list[tuple[File, Path]]:
    """Return the target path of each file; equal names get the file's id."""
    targets: list[tuple[File, Path]] = []
    taken: set[str] = set()
    for file in files:
        name = safe_name(formatted(template, file))
        # The name with the id may be the own name of another file.
        while name.casefold() in taken:
            name = f"{file.id}-{name}"
        taken.add(name.casefold())
        targets.append((file, folder / name))
    return targets
