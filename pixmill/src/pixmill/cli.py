"""``pixmill``: serve and demo."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from pixmill.demo import run_demo
from pixmill.embedded import Embedded, StartError

app = typer.Typer(help=__doc__, add_completion=False, pretty_exceptions_enable=False)


@app.command()
def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    data: Annotated[Path, typer.Option(help="Folder for files, databases and the queue.")] = Path("data"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    project: Annotated[Path, typer.Option(help="Folder with config/ and web/.")] = Path(),
) -> None:
    """Serve everything from this machine, with only Python."""
    try:
        code = Embedded(host, port, data.resolve(), project.resolve()).run()
    except StartError as error:
        print(f"pixmill: {error}", file=sys.stderr)
        code = 1
    raise typer.Exit(code)


@app.command()
def demo(
    photos: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder with photographs.")],
    url: Annotated[str, typer.Option(help="A running Pixmill.")] = "http://127.0.0.1:8080",
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
) -> None:
    """Upload photographs, have them resized and flipped, and save what comes out."""
    raise typer.Exit(run_demo(url, photos, output))
