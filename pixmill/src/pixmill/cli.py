"""``pixmill``: serve, try the demo, and maintain the files of ``serve``."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from pixmill.demo import run_demo
from pixmill.embedded import Embedded, StartError, run_tool

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)

Data = Annotated[Path, typer.Option(help="Folder for files, databases and the queue.")]
Project = Annotated[Path, typer.Option(help="Folder with config/ and web/.")]
OlderThan = Annotated[
    float | None,
    typer.Option(
        min=0, metavar="SECONDS", help="Skip younger bytes: they may belong to a running upload. (default: a day)"
    ),
]


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    data: Data = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    project: Project = Path(),
) -> None:
    """Serve everything from this machine; needs only Python."""
    try:
        code = Embedded(host, port, data.resolve(), project.resolve()).run()
    except StartError as error:
        print(f"pixmill: {error}", file=sys.stderr)
        code = 1
    raise typer.Exit(code)


@app.command()
def fsck(
    data: Data = Path("data"),
    project: Project = Path(),
    older_than: OlderThan = None,
    quick: Annotated[bool, typer.Option("--quick", help="Only check that the bytes exist.")] = False,
) -> None:
    """Read every file, report and repair errors; safe while the server runs."""
    _run_tool("file_storage.fsck", data, project, [*_age(older_than), *(["--quick"] if quick else [])])


@app.command()
def gc(data: Data = Path("data"), project: Project = Path(), older_than: OlderThan = None) -> None:
    """Delete bytes that a crash left and no file uses; safe while the server runs."""
    _run_tool("file_storage.gc", data, project, _age(older_than))


@app.command()
def demo(
    photos: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with photographs.")],
    url: Annotated[str, typer.Option(help="URL of a running Pixmill.")] = "http://127.0.0.1:8080",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
) -> None:
    """Upload photographs, resize and flip them, and save the results."""
    raise typer.Exit(run_demo(url, photos, output))


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def keys(context: typer.Context, data: Data = Path("data"), project: Project = Path()) -> None:
    """Make, list, revoke and rotate keys: keys create|list|revoke|rotate."""
    _run_tool("service_kit.access", data, project, context.args)


def _age(older_than: float | None) -> list[str]:
    return [] if older_than is None else ["--older-than", str(older_than)]


def _run_tool(module: str, data: Path, project: Path, options: Sequence[str]) -> None:
    try:
        code = run_tool(module, data.resolve(), project.resolve(), options)
    except StartError as error:
        print(f"pixmill: {error}", file=sys.stderr)
        code = 1
    raise typer.Exit(code)
