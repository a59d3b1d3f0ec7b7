"""The command line parser, whose messages follow the language of the environment."""

from typing import TYPE_CHECKING

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from pixmill.commands.said import said, said_in

if TYPE_CHECKING:
    from typer._click import Context, Parameter

USAGE = ("Usage:", "[OPTIONS]", "COMMAND [ARGS]...")


class UsageError(typer.BadParameter):
    """A usage error with a complete message."""

    def format_message(self) -> str:
        return self.message


class Command(TyperCommand):
    """A command with localized usage errors."""

    def get_usage(self, ctx: "Context") -> str:
        return said_in(super().get_usage(ctx), USAGE)

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return _described(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands with localized usage errors."""

    def get_usage(self, ctx: "Context") -> str:
        return said_in(super().get_usage(ctx), USAGE)

    def get_params(self, ctx: "Context") -> "list[Parameter]":
        return _described(super().get_params(ctx))

    def parse_args(self, ctx: "Context", args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except typer.TyperException as error:
            raise _said(error) from error

    def invoke(self, ctx: "Context") -> object:
        try:
            result: object = super().invoke(ctx)
        except typer.TyperException as error:
            raise _said(error) from error
        return result


def use(app: typer.Typer) -> None:
    """Make an application, its groups and its commands use these classes."""
    app.info.cls = Group
    for command in app.registered_commands:
        command.cls = Command
    for group in app.registered_groups:
        if group.typer_instance is not None:
            use(group.typer_instance)


def _described(parameters: "list[Parameter]") -> "list[Parameter]":
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.help:
            parameter.help = said(parameter.help)
    return parameters


def _said(error: typer.TyperException) -> typer.TyperException:
    """Return the usage error in the language of the environment."""
    message = error.format_message()
    translated = said(message)
    return error if translated == message else UsageError(translated, ctx=getattr(error, "ctx", None))
