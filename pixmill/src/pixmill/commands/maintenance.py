"""Commands of the extra ``serve``: serve, fsck, gc and demo."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from pixmill.commands.console import Exit, ProfileName, Url, connected, examples, fail
from pixmill.commands.words import text

app = typer.Typer()

Data = Annotated[Path, typer.Option(help="Folder for files, databases and the queue.")]
Project = Annotated[Path, typer.Option(help="Folder with config/ and web/.")]
OlderThan = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Skip younger bytes: they may belong to a running upload. (default: a day)"
    ),
]


@app.command(epilog=examples("pixmill serve", "pixmill serve --port 9000 --data /srv/pixmill"))
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    data: Data = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    project: Project = Path(),
) -> None:
    """Serve everything from this machine; needs only Python."""
    try:
        from pixmill.embedded import Embedded, StartError
    except ImportError as error:
        raise _server_is_missing(error) from error
    try:
        code = Embedded(host, port, data.resolve(), project.resolve()).run()
    except StartError as error:
        raise fail(str(error), Exit.SOME_FAILED) from error
    raise typer.Exit(code)


@app.command(epilog=examples("pixmill fsck", "pixmill fsck --data /srv/pixmill --quick"))
def fsck(
    data: Data = Path("data"),
    project: Project = Path(),
    older_than: OlderThan = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only check that the bytes exist.")] = False,
) -> None:
    """Read every file, report and repair errors; safe while the server runs."""
    run_tool("file_storage.fsck", data, project, [*_age(older_than), *(["--quick"] if quick else [])])


@app.command(epilog=examples("pixmill gc", "pixmill gc --data /srv/pixmill --older-than 3600"))
def gc(data: Data = Path("data"), project: Project = Path(), older_than: OlderThan = None) -> None:
    """Delete bytes that a crash left and no file uses; safe while the server runs."""
    run_tool("file_storage.gc", data, project, _age(older_than))


@app.command(epilog=examples("pixmill demo photos", "pixmill demo photos --output results --url http://127.0.0.1:9000"))
def demo(
    photos: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with photographs.")],
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Upload photographs, resize and flip them, and save the results."""
    from pixmill.demo import run_demo

    with connected(url, profile) as pixmill:
        code = run_demo(pixmill, photos, output)
    raise typer.Exit(code)


def run_tool(module: str, data: Path, project: Path, options: Sequence[str]) -> NoReturn:
    """Run an operator's tool on the data of an embedded stack, and exit with its exit code."""
    try:
        from pixmill.embedded import StartError
        from pixmill.embedded import run_tool as run
    except ImportError as error:
        raise _server_is_missing(error) from error
    try:
        code = run(module, data.resolve(), project.resolve(), options)
    except StartError as error:
        raise fail(str(error), Exit.SOME_FAILED) from error
    raise typer.Exit(code)


def _age(older_than: float | None) -> list[str]:
    return [] if older_than is None else ["--older-than", str(older_than)]


def _server_is_missing(error: ImportError) -> typer.Exit:
    message = text("the server is not installed ({name}): pip install 'pixmill[serve]'", name=error.name)
    return fail(message, Exit.SOME_FAILED)
