"""The command line parser, whose messages follow the language of the environment."""

import re
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from pixmill.commands.console import Fields
from pixmill.commands.translated import translated, translated_in
from pixmill.commands.words import text

if TYPE_CHECKING:
    from typer._click import Context, Parameter

_VALUES = {int: text("NUMBER"), float: text("NUMBER"), Path: text("PATH")}
"""The placeholder for an option's value, by its type; all other types are texts."""
ALL_FIELDS = "--json"
SEVERAL_FIELDS = re.compile(r"[a-z0-9_]*[a-z][a-z0-9_]*(,[a-z0-9_]+)+")
USAGE = ("Usage:", "[OPTIONS]", "COMMAND [ARGS]...")
PREFIX = "Value error, "
"""What pydantic writes before the message of a value that typer refuses."""


class UsageError(typer.BadParameter):
    """A usage error with a complete message."""

    def format_message(self) -> str:
        return self.message


class Argument(TyperArgument):
    """An argument whose type is not shown: its name and help text describe it."""

    def display_type_rich(self, ctx: "Context") -> str | None:  # noqa: ARG002 (the base class's argument)
        return None


class Command(TyperCommand):
    """A command with localized usage errors, whose ``--json`` has an optional value with known fields."""

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        # For the parser, an option either has a value or has none: next to an argument, only "=" shows which.
        end = args.index("--") if "--" in args else len(args)
        for option, value in pairwise(args[:end]):
            if option == ALL_FIELDS and SEVERAL_FIELDS.fullmatch(value):
                # As an argument, it would for example be searched for in names, and nothing found.
                raise UsageError(text("write --json={fields}", fields=value), ctx=ctx)
        options = [f"{word}=" if word == ALL_FIELDS else word for word in args[:end]]
        return super().parse_args(ctx, [*options, *args[end:]])

    def invoke(self, ctx: "Context") -> object:
        # Before the command does anything: after a change, it could only report that it cannot print the result.
        for value in ctx.params.values():
            if isinstance(value, Fields):
                _check_fields(value, ctx)
                if ctx.params.get("quiet"):
                    raise UsageError(text("--json and --quiet exclude each other"), ctx=ctx)
        result: object = super().invoke(ctx)
        return result

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        arguments = [entry for entry in self.get_params(ctx) if isinstance(entry, TyperArgument)]
        return [*([self.options_metavar] if self.options_metavar else []), *map(_in_usage, arguments)]

    def get_usage(self, ctx: "Context") -> str:
        return translated_in(super().get_usage(ctx), USAGE)

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return _described(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands with localized usage errors."""

    def get_usage(self, ctx: "Context") -> str:
        return translated_in(super().get_usage(ctx), USAGE)

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return _described(super().get_params(ctx))

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise _translated(error) from error

    def invoke(self, ctx: "Context") -> object:
        try:
            result: object = super().invoke(ctx)
        except typer.TyperException as error:
            raise _translated(error) from error
        return result


def use(app: typer.Typer) -> None:
    """Make an application, its groups and its commands use these classes."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            use(group.typer_instance)


def _check_fields(wanted: Fields, ctx: "Context") -> None:
    """:raises UsageError: the objects that the command prints have no such field."""
    known = wanted.known(ctx.params)
    for name in wanted.names:
        if name not in known:
            raise UsageError(
                text("--json: there is no field '{name}', only: {names}", name=name, names=", ".join(known)), ctx=ctx
            )


def _described(parameters: "list[Parameter]") -> "list[Parameter]":
    """Translate the help of parameters, and replace the names of Python types in it by words."""
    for parameter in parameters:
        if isinstance(parameter, TyperOption):
            if parameter.help:
                parameter.help = translated(parameter.help)
            if parameter.metavar is None:
                parameter.metavar = (
                    "" if parameter.is_flag else _VALUES.get(parameter.type_descriptor.annotation, text("TEXT"))
                )
        elif isinstance(parameter, TyperArgument):
            if parameter.metavar is None and parameter.name is not None:
                parameter.metavar = parameter.name.upper()
            parameter.__class__ = Argument
    return parameters


def _in_usage(argument: TyperArgument) -> str:
    """Return an argument as shown in the usage line: optional arguments are in brackets."""
    name = argument.display_name_raw
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _translated(error: typer.TyperException) -> typer.TyperException:
    """Return the usage error in the language of the environment, without the prefix of the library that converts."""
    error.message = error.message.removeprefix(PREFIX)
    message = error.format_message()
    shown = translated(message)
    return error if shown == message else UsageError(shown, ctx=getattr(error, "ctx", None))
