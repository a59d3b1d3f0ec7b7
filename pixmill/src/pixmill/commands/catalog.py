"""Commands for what the server offers: algorithms and presets."""

import json
from collections.abc import Mapping
from typing import Annotated

import typer

from pixmill.client.answers import Algorithm
from pixmill.commands.completing import complete_algorithm, complete_preset
from pixmill.commands.console import (
    Exit,
    Json,
    ProfileName,
    Quiet,
    Url,
    connected,
    emit,
    emit_json,
    emit_rows,
    examples,
    fail,
)

app = typer.Typer()


@app.command(epilog=examples("pixmill algorithms", "pixmill algorithms resize"))
def algorithms(
    name: Annotated[str | None, typer.Argument(help="Show its params.", autocompletion=complete_algorithm)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the algorithms, or the params of one."""
    with connected(url, profile) as pixmill:
        found = pixmill.algorithms()
        if name is None:
            emit_rows(found, ("name", "result", "summary"), as_json=as_json, quiet=quiet, key="name")
            return
        named = [entry for entry in found if entry.name == name]
        if not named:
            raise fail(f"there is no algorithm '{name}'; see: pixmill algorithms", Exit.NOT_FOUND)
        if as_json:
            emit_json(named[0].document)
        else:
            _print_params(named[0])


@app.command(epilog=examples("pixmill presets", "pixmill presets web --json"))
def presets(
    name: Annotated[str | None, typer.Argument(help="Show only this one.", autocompletion=complete_preset)] = None,
    as_json: Json = False,
    quiet: Quiet = False,
    url: Url = None,
    profile: ProfileName = None,
) -> None:
    """List the presets: pipelines that the server has a name for."""
    with connected(url, profile) as pixmill:
        found = [entry for entry in pixmill.presets() if name in (None, entry.name)]
        if name is not None and not found:
            raise fail(f"there is no preset '{name}'; see: pixmill presets", Exit.NOT_FOUND)
        for entry in found:
            if as_json:
                emit_json(entry.document)
            else:
                emit(entry.name if quiet else f"{entry.name}\t{json.dumps(entry.params, ensure_ascii=False)}")


def _print_params(algorithm: Algorithm) -> None:
    """Print a line for each param: its name, what it may be, its default, what it does."""
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
