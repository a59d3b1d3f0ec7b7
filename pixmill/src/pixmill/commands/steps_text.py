"""Parses steps as written in a shell: ``resize width=800 | watermark text="© me"``."""

import json
import shlex
from collections.abc import Mapping, Sequence

from pixmill.commands import words
from pixmill.steps import Chain, Custom, Pipeline, Step


def parsed(text: str) -> Chain:
    """Return the steps.

    A value is parsed as JSON if possible (``800``, ``true``, ``[1,2]``), otherwise as text; ``mark.text=…`` sets a
    member of an object.

    :raises ValueError: the text is invalid.
    """
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|")
    lexer.whitespace_split = True
    lexer.commenters = ""
    steps: list[list[str]] = [[]]
    try:
        for word in lexer:
            if word == "|":
                steps.append([])
            else:
                steps[-1].append(word)
    except ValueError as error:
        raise ValueError(words.text("cannot understand '{given}': {error}", given=text, error=error)) from error
    if not all(steps):
        raise ValueError(words.text("a step is missing in '{given}'", given=text))
    return Pipeline([_step(step) for step in steps])


def set_in(document: dict[str, object], assignment: str) -> None:
    """Set a value in a document, such as ``output.format=webp``.

    :raises ValueError: the text is not an assignment.
    """
    path, text = assigned(assignment)
    *above, last = path.split(".")
    if not (last and all(above)):
        raise _no_assignment(assignment)
    target = document
    for name in above:
        inner = target.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ValueError(words.text("'{name}' in '{given}' has a value already", name=name, given=assignment))
        target = inner
    target[last] = value_of(text)


def assigned(assignment: str) -> tuple[str, str]:
    """Return the name and the text in ``name=value``.

    :raises ValueError: the text is not an assignment.
    """
    name, equals, value = assignment.partition("=")
    if not (equals and name):
        raise _no_assignment(assignment)
    return name, value


def _no_assignment(given: str) -> ValueError:
    return ValueError(words.text("'{given}' is not an assignment: write name=value", given=given))


def value_of(text: str) -> object:
    """Return a value: parsed JSON if possible, otherwise the text itself."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value


def _step(given: Sequence[str]) -> Step:
    document: dict[str, object] = {}
    for word in given[1:]:
        set_in(document, word)
    return Custom(given[0], _gathered(given[0], document))


def _gathered(algorithm: str, document: Mapping[str, object]) -> Mapping[str, object]:
    """Return the params after moving those that the library accepts at the top level into their object."""
    from pixmill import params

    known: object = getattr(params, algorithm.title().replace("_", ""), None)
    if not (isinstance(known, type) and issubclass(known, Step)):
        return document
    left = dict(document)
    for target, names in known.gathered.items():
        inner = {name: left.pop(name) for name in names if name in left}
        if inner:
            left[target] = inner
    return left
