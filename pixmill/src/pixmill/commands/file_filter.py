"""The files of a command, selected by a filter instead of by ids."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Literal, get_args

import typer

from pixmill.client.files import FileFilter
from pixmill.commands import units
from pixmill.commands.words import text

Conditions = Annotated[
    list[str] | None,
    typer.Option(
        "--filter",
        metavar="NAME=VALUE",
        help="Instead of ids, the files that match: folder=holiday, media_type=image/*, batch_id=7; repeatable.",
    ),
]

Origin = Literal["upload", "result"]
Order = Literal["id", "name", "size", "created_at", "taken_at", "-id", "-name", "-size", "-created_at", "-taken_at"]

_NAMES = tuple(entry.name for entry in fields(FileFilter))
_SEVERAL = ("extension", "media_type")
_NUMBERS = ("source_id", "task_id", "batch_id")
_SIZES = ("size_min", "size_max")
_CHOICES: Mapping[str, Sequence[str]] = {"origin": get_args(Origin), "sort": get_args(Order)}
_TIMES = ("taken_after", "taken_before", "created_after", "created_before")


def file_filter(words: Sequence[str]) -> FileFilter:
    """Return the filter for words of the form ``NAME=VALUE``; the names are those of the API.

    :raises ValueError: a word is not a condition, or two words contradict each other.
    """
    given: dict[str, list[str]] = {}
    for word in words:
        name, is_condition, value = word.partition("=")
        if not is_condition or not value or name not in _NAMES:
            raise ValueError(
                text(
                    "'{word}' is not a filter: write NAME=VALUE with one of {names}", word=word, names=", ".join(_NAMES)
                )
            )
        given.setdefault(name, []).append(value)
    for name, values in given.items():
        if len(values) > 1 and name not in _SEVERAL:
            raise ValueError(text("the filter {name} takes one value", name=name))
    for name, choices in _CHOICES.items():
        wrong = next((value for value in given.get(name, ()) if value not in choices), None)
        if wrong is not None:
            raise ValueError(
                text(
                    "the filter {name} is one of {choices}, not '{value}'",
                    name=name,
                    choices=", ".join(choices),
                    value=wrong,
                )
            )
    texts = {name: values[0] for name, values in given.items()}
    numbers = {name: _number(name, texts[name]) for name in _NUMBERS if name in texts}
    sizes = {name: units.size(texts[name]) for name in _SIZES if name in texts}
    times = {name: _time(texts[name]) for name in _TIMES if name in texts}
    return FileFilter(
        name=texts.get("name"),
        q=texts.get("q"),
        extension=given.get("extension"),
        media_type=given.get("media_type"),
        folder=texts.get("folder"),
        origin=texts.get("origin"),
        source_id=numbers.get("source_id"),
        task_id=numbers.get("task_id"),
        batch_id=numbers.get("batch_id"),
        taken_after=times.get("taken_after"),
        taken_before=times.get("taken_before"),
        created_after=times.get("created_after"),
        created_before=times.get("created_before"),
        size_min=sizes.get("size_min"),
        size_max=sizes.get("size_max"),
        sort=texts.get("sort", "id"),
    )


def _number(name: str, value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise ValueError(text("the filter {name} is a number", name=name))
    return int(value)


def _time(value: str) -> datetime:
    """Return a time, given in ISO 8601 or as a duration before now."""
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return units.ago(value)
