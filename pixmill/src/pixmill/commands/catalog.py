"""The commands ``algorithms`` and ``presets`` (ls, put, rm)."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from pixmill.client.answers import Algorithm, Preset
from pixmill.commands.completing import complete_algorithm, complete_preset, complete_what
from pixmill.commands.console import (
    Exit,
    Fields,
    ProfileName,
    Quiet,
    Url,
    connected,
    emit,
    emit_json,
    emit_rows,
    examples,
    fail,
    json_option,
)
from pixmill.commands.pipeline_file import is_pipeline_file, params_in
from pixmill.commands.steps_text import parsed, set_in
from pixmill.commands.words import text
from pixmill.steps import pipeline_of

app = typer.Typer()
presets = typer.Typer(
    help="List, make and delete presets: pipelines with a name.",
    no_args_is_help=True,
    epilog=examples("pixmill presets ls", "pixmill presets put square square.json"),
)


@app.command(epilog=examples("pixmill algorithms", "pixmill algorithms resize"))
def algorithms(
    name: Annotated[
        str | None, typer.Argument(help="Show the params of this algorithm.", autocompletion=complete_algorithm)
    ] = None,
    as_json: Annotated[Fields | None, json_option(Algorithm)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the algorithms, or the params of one."""
    if name is not None and quiet:
        raise fail(text("--quiet is for the list, not for the params of an algorithm"), Exit.USAGE)
    with connected(url, profile, Exit.OK) as pixmill:
        found = pixmill.algorithms()
        if name is None:
            emit_rows(found, ("name", "result", "summary"), as_json=as_json, quiet=quiet, key="name")
            return
        named = [entry for entry in found if entry.name == name]
        if not named:
            raise fail(text("there is no algorithm '{name}'; see: pixmill algorithms", name=name), Exit.NOT_FOUND)
        if as_json:
            emit_json(named[0].document, as_json)
        else:
            _print_params(named[0])


@presets.command(epilog=examples("pixmill presets ls", "pixmill presets ls web --json"))
def ls(
    name: Annotated[str | None, typer.Argument(help="Show only this one.", autocompletion=complete_preset)] = None,
    as_json: Annotated[Fields | None, json_option(Preset)] = None,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the presets."""
    with connected(url, profile, Exit.OK) as pixmill:
        found = [entry for entry in pixmill.presets.list() if name in (None, entry.name)]
        if name is not None and not found:
            raise fail(text("there is no preset '{name}'; see: pixmill presets ls", name=name), Exit.NOT_FOUND)
        for entry in found:
            if as_json:
                emit_json(entry.document, as_json)
            else:
                emit(entry.name if quiet else f"{entry.name}\t{json.dumps(entry.params, ensure_ascii=False)}")


@presets.command(
    epilog=examples(
        "pixmill presets put square 'resize width=400 height=400 fit=cover'",
        "pixmill presets put square square.json --dry-run",
    )
)
def put(
    name: Annotated[str, typer.Argument(help="Letters, digits, _ . and -.")],
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="Steps, or a .json or .yml file.", autocompletion=complete_what)
    ],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="Set a param of the pipeline: output.format=webp; repeatable."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the preset.")] = False,
    as_json: Annotated[Fields | None, json_option(Preset, dry_run=("name", "params"))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Make a preset, or replace yours of this name."""
    with connected(url, profile) as pixmill:
        params = _pipeline(what)
        for word in set_ or ():
            set_in(params, word)
        if dry_run:
            emit_json({"name": name, "params": params}, as_json or Fields())
            return
        saved = pixmill.presets.save(name, params)
        emit_json(saved.document, as_json) if as_json else emit(saved.name)


@presets.command(epilog=examples("pixmill presets rm square", "pixmill presets rm square thumb"))
def rm(
    names: Annotated[list[str], typer.Argument(metavar="NAMES…", help="Presets.", autocompletion=complete_preset)],
    as_json: Annotated[Fields | None, json_option(("name",))] = None,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """Delete presets; tasks keep their steps."""
    with connected(url, profile) as pixmill:
        for name in names:
            pixmill.presets.delete(name)
            emit_json({"name": name}, as_json) if as_json else emit(name)


def _pipeline(what: str) -> dict[str, object]:
    """Return the params of a pipeline."""
    return params_in(Path(what)) if is_pipeline_file(what) else pipeline_of(parsed(what), None, None)


def _print_params(algorithm: Algorithm) -> None:
    """Print a line for each param: name, type and range, default, description."""
    properties = algorithm.params.get("properties")
    for name, schema in properties.items() if isinstance(properties, Mapping) else ():
        default = json.dumps(schema["default"]) if schema.get("default") is not None else "-"
        emit(f"{name}\t{_kind(schema)}\t{default}\t{schema.get('description', '')}")


def _kind(schema: Mapping[str, object]) -> str:
    choices = schema.get("enum")
    if isinstance(choices, list):
        return "|".join(map(str, choices))
    union = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(union, list):
        return "|".join(kind for entry in union if (kind := _kind(entry)) != "null")
    reference = schema.get("$ref")
    return str(reference).rpartition("/")[2] if reference else str(schema.get("type", "object"))
