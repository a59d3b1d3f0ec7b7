"""``pixmill``: files, tasks and results of a Pixmill server, and that server itself."""

from typing import Annotated

import typer

from pixmill.commands import (
    catalog,
    completion,
    difference,
    files,
    hot_folder,
    keys,
    maintenance,
    parser,
    profile,
    run,
    runs,
    server,
    sharing,
    tasks,
    trash,
)
from pixmill.commands.console import EXIT_CODES
from pixmill.commands.traffic import print_traffic
from pixmill.commands.words import localize, text, translation, use_for_the_parser
from pixmill.version import VERSION

_CODES = (
    text("Exit codes:") + "\n\n" + "\n\n".join(f"  {code.value}  {meaning}" for code, meaning in EXIT_CODES.items())
)

app = typer.Typer(
    help="Process images on a Pixmill server: put files, run algorithms, get the results.\n\nThe server is that of"
    " --url, PIXMILL_URL or a profile (`pixmill profile add`), else http://127.0.0.1:8080; the key that of PIXMILL_KEY"
    " or the profile. Data goes to stdout, all else to stderr.",
    epilog=_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"pixmill {VERSION}")
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Print each request with its answer's status and id to stderr.")
    ] = False,
) -> None:
    del version  # its callback has printed it
    if debug:
        print_traffic()


for group in (
    files.app,
    trash.app,
    sharing.app,
    run.app,
    hot_folder.app,
    difference.app,
    tasks.watching,
    catalog.app,
    server.app,
    maintenance.app,
):
    app.registered_commands += group.registered_commands
app.add_typer(runs.app, name="runs")
app.add_typer(tasks.app, name="tasks")
app.add_typer(catalog.presets, name="presets")
app.add_typer(sharing.links, name="links")
app.add_typer(profile.app, name="profile")
app.add_typer(keys.app, name="keys")
app.add_typer(completion.app, name="completion")
parser.use(app)
localize(app, translation)
use_for_the_parser()
