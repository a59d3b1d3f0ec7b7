"""Translations of the command line, by the language of the environment: English or Russian."""

import gettext
import inspect
import os
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path

import typer
from typer.models import ParameterInfo

LOCALE = Path(__file__).parents[1] / "locale"
DOMAIN = "messages"


def language() -> str:
    """Return ``ru`` or ``en``, from the environment; ``C`` and all other languages mean English."""
    chosen = next((value for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (value := os.environ.get(name))), "")
    return "ru" if chosen.replace("-", "_").partition("_")[0].partition(".")[0].lower() == "ru" else "en"


def text(message: str, **values: object) -> str:
    """Return a message in the language of the environment, filled with values."""
    translated = translation(message)
    return translated.format(**values) if values else translated


def plural(singular: str, many: str, count: int, **values: object) -> str:
    """Return the plural form of a message for a number, filled with ``{count}`` and further values."""
    return _catalog(language()).ngettext(singular, many, count).format(count=count, **values)


def translation(message: str) -> str:
    """Return a message in the language of the environment, or in English without a translation."""
    return _catalog(language()).gettext(message) if message else message


def localize(app: typer.Typer, translate: Callable[[str], str]) -> None:
    """Translate the help of an application, its commands and their parameters."""
    if isinstance(app.info.help, str):
        app.info.help = translate(app.info.help)
    if isinstance(app.info.short_help, str):
        app.info.short_help = translate(app.info.short_help)
    for command in app.registered_commands:
        if command.callback is not None:
            command.help = translate(command.help or inspect.getdoc(command.callback) or "")
            _localize_parameters(command.callback, translate)
    callback = app.registered_callback
    if callback is not None and callback.callback is not None:
        _localize_parameters(callback.callback, translate)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            localize(group.typer_instance, translate)


def use_for_the_parser() -> None:
    """Make the parser use this language for its own texts, such as "Usage:"."""
    if language() != "en":
        gettext.bindtextdomain(DOMAIN, str(LOCALE))


def _localize_parameters(function: Callable[..., object], translate: Callable[[str], str]) -> None:
    for hint in typing.get_type_hints(function, include_extras=True).values():
        for item in getattr(hint, "__metadata__", ()):
            if isinstance(item, ParameterInfo) and item.help:
                item.help = translate(item.help)


@cache
def _catalog(chosen: str) -> gettext.NullTranslations:
    return gettext.translation(DOMAIN, LOCALE, [chosen], fallback=True)
