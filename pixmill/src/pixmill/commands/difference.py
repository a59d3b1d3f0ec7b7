"""The command ``pixmill diff``: measures how much two images differ."""

import json
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import File
from pixmill.client.sync import Pixmill
from pixmill.client.tasks import RunFailedError
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Url,
    connected,
    emit,
    emit_json,
    examples,
    json_option,
    shown,
)

app = typer.Typer()

KEEP = timedelta(hours=1)
"""How long the server keeps an uploaded local file if this program is killed."""
REPORT_FIELDS = ("same_bytes", "size", "other_size", "equal", "ssim", "psnr")
"""The fields of the object that is printed with ``--json``."""
Image = Annotated[str, typer.Argument(help="The id of a file, or the path of one of this machine.")]


@app.command(epilog=examples("pixmill diff 12 13", "pixmill diff 12 smaller.jpg --json"))
def diff(
    a: Image,
    b: Image,
    as_json: Annotated[Fields | None, json_option(REPORT_FIELDS)] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Compare two images of the same width and height: bytes, pixels, SSIM and PSNR."""
    with connected(url, profile, Exit.OK) as pixmill, ExitStack() as cleaning:
        first, second = (_file(pixmill, given, cleaning) for given in (a, b))
        report: dict[str, object] = {"equal": True, "ssim": 1.0, "psnr": None}
        same = first.sha256 == second.sha256
        if not same:
            report |= _compared(pixmill, first, second, cleaning)
        sizes = {"size": first.size, "other_size": second.size}
        found = {"same_bytes": same, **sizes, **report}
        if as_json:
            emit_json(found, as_json)
            return
        for file in (first, second):
            emit(f"{file.filename}\t{file.size}\t{file.width}×{file.height}\t{file.media_type}")
        for name in ("same_bytes", "equal", "ssim", "psnr"):
            emit(f"{name}\t{shown(found[name])}")


def _file(pixmill: Pixmill, given: str, cleaning: ExitStack) -> File:
    if given.isascii() and given.isdecimal():
        return pixmill.files.get(int(given))
    file = pixmill.files.upload(Path(given), expires=KEEP)
    cleaning.callback(_removed, pixmill, file.id)
    return file


def _compared(pixmill: Pixmill, first: File, second: File, cleaning: ExitStack) -> dict[str, object]:
    """Return the server's report."""
    from pixmill.params import Compare

    run = pixmill.run([first], Compare(file_id=second.id), expires=KEEP)
    cleaning.callback(run.forget)
    [task] = run.ended()
    if task.result_id is None:
        raise RunFailedError([task])
    cleaning.callback(_removed, pixmill, task.result_id)
    document: object = json.loads(pixmill.files.read(task.result_id))
    return document if isinstance(document, dict) else {}


def _removed(pixmill: Pixmill, file_id: int) -> None:
    """Delete a temporary file permanently, bypassing the trash."""
    pixmill.files.delete(file_id)
    pixmill.files.empty_trash(file_id)
