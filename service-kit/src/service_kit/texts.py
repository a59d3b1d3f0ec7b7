"""Translatable sentences: an English template and its values."""

import re
from collections.abc import Iterator, Mapping, Sequence
from string import Formatter
from typing import NamedTuple, Self, TypeAlias

Value: TypeAlias = str | int | float | bool | Sequence["Value"] | Mapping[str, "Value"] | None
"""A value in a template. It is part of the JSON of a problem."""
_STORED_FORMAT = re.compile(r",?(\.\d)?[dfgs%]?")
"""The formats of a value in a sentence that another process has stored."""
_LONGEST_FILLED = 1_000_000
"""The most characters that a stored sentence with its values may have, in any language."""
_LONGEST_NUMBER = 500
"""The most characters of a float with a format."""
_DEEPEST = 10
"""How many stored sentences may contain each other."""


class Counted(NamedTuple):
    """How the words of a sentence depend on one of its values.

    :ivar singular: the template for the number 1; the sentence's own template is for all other numbers.
    :ivar number: the name of the value.
    """

    singular: str
    number: str


class Sentence(str):
    """An English sentence that keeps its template and values.

    It can be used as an ordinary string. A value may itself be a text.
    """

    template: str
    values: Mapping[str, Value]
    counted: Counted | None

    def __new__(
        cls, template: str, values: Mapping[str, Value], said: str | None = None, counted: Counted | None = None
    ) -> Self:
        """:param said: the English sentence, if it differs from the filled template."""
        if said is None:
            is_one = counted is not None and number_in(values, counted.number) == 1
            said = filled(counted.singular if counted is not None and is_one else template, values)
        made = super().__new__(cls, said)
        made.template = template
        made.values = values
        made.counted = counted
        return made

    def __getnewargs__(self) -> tuple[str, Mapping[str, Value], str, Counted | None]:  # type: ignore[override]  # what __new__ takes
        return self.template, self.values, str(self), self.counted


def sentence(template: str, /, **values: Value) -> Sentence:
    """Return a sentence. Tools that extract messages look for calls of this function.

    :param template: for :meth:`str.format` if there are values.
    """
    return Sentence(template, values)


def counted(singular: str, plural: str, count: str, /, **values: Value) -> Sentence:
    """Return a sentence whose words depend on a number. Tools that extract messages look for these calls too.

    :param singular: the template for 1; ``plural`` is that for all other numbers.
    :param count: the name of the value with the number.
    """
    return Sentence(plural, values, counted=Counted(singular, count))


def number_in(values: Mapping[str, Value], count: str) -> int:
    """Return the number with which a language chooses the plural form.

    A fraction takes the form of 2. Without a number, for example where values are omitted, it is 0, which takes the
    plural.
    """
    number = values.get(count)
    if isinstance(number, float):
        return int(number) if number.is_integer() else 2
    return number if isinstance(number, int) else 0


def text_of(error: Exception) -> str:
    """Return the sentence that an error was raised with: ``str`` of the error would lose the template and values."""
    said = error.args[0] if len(error.args) == 1 else None
    return said if isinstance(said, Sentence) else str(error)


def filled(template: str, values: Mapping[str, Value], formatter: Formatter | None = None) -> str:
    """Return the template filled with its values; without values, return it unchanged."""
    return (formatter or Formatter()).vformat(template, (), values) if values else template


def context_of(sentence: str) -> dict[str, Value]:
    """Return the values of a sentence, ready for JSON; empty for an ordinary string."""
    if not isinstance(sentence, Sentence):
        return {}
    return {name: str(value) if isinstance(value, Sentence) else value for name, value in sentence.values.items()}


def all_values_of(sentence: str) -> dict[str, Value]:
    """Return the values of a sentence and its nested sentences; if names are equal, the outer value."""
    found = context_of(sentence)
    for value in sentence.values.values() if isinstance(sentence, Sentence) else ():
        if isinstance(value, Sentence):
            found = all_values_of(value) | found
    return found


def reason_of(sentence: str) -> dict[str, Value]:
    """Return the context of a problem kind that several sentences share: the sentence's template and its values."""
    template = sentence.template if isinstance(sentence, Sentence) else sentence
    return {"reason": template, "values": context_of(sentence)}


def placeholders(template: str) -> frozenset[tuple[str, str]]:
    """Return the name and the format of each placeholder."""
    return frozenset(_placeholders(template))


def _placeholders(template: str) -> Iterator[tuple[str, str]]:
    for _, name, form, _ in Formatter().parse(template):
        if name is not None:
            yield name, form or ""


def stored(sentence: str) -> dict[str, Value]:
    """Return a sentence as JSON that keeps its template and values; :func:`restored` reads it."""
    document: dict[str, Value] = {"text": str(sentence)}
    if isinstance(sentence, Sentence) and sentence.values:
        values = {
            name: stored(value) if isinstance(value, Sentence) else value for name, value in sentence.values.items()
        }
        document |= {"template": sentence.template, "values": values}
        if sentence.counted is not None:
            document |= sentence.counted._asdict()
    return document


def restored(document: Mapping[str, object]) -> Sentence:
    """Return the sentence from the output of :func:`stored`; only its English text if its template cannot be trusted.

    A process that a picture has taken over may have stored it: ``{value.__class__…}`` would reveal the secrets of the
    process that fills the template; a width of a billion, or a long value in many places, would take its memory; and a
    placeholder without a value would end each request that shows the sentence.
    """
    return _restored(document, _DEEPEST)[0]


def _restored(document: Mapping[str, object], levels: int) -> tuple[Sentence, int]:
    """Return a stored sentence and the most characters that it can have.

    :param levels: how many sentences may contain each other.
    """
    said = str(document["text"])
    try:
        return _with_its_template(document, said, levels)
    # The errors of any template: an attacker chooses what it contains.
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError):
        return Sentence(said, {}), len(said)


def _with_its_template(document: Mapping[str, object], said: str, levels: int) -> tuple[Sentence, int]:
    """:raises ValueError: a template does more than insert values, or makes too long a text; other errors too."""
    template, values = document.get("template"), document.get("values")
    singular, number = document.get("singular"), document.get("number")
    is_counted = isinstance(singular, str) and isinstance(number, str)
    templates = (template, singular) if is_counted else (template,)
    if not levels or not isinstance(values, Mapping) or not all(map(_only_inserts, templates)):
        raise ValueError(said)
    parts = {
        name: _restored(value, levels - 1) if _is_stored(value) else (value, 2 * len(str(value)) + _LONGEST_NUMBER)
        for name, value in values.items()
    }
    found = {name: value for name, (value, _) in parts.items()}
    longest = max((length for _, length in parts.values()), default=0)
    length = max(len(said), *(_length_of(str(each), longest) for each in templates))
    if length > _LONGEST_FILLED:
        raise ValueError(length)
    for each in templates:
        filled(str(each), found)
    return Sentence(str(template), found, said, Counted(str(singular), str(number)) if is_counted else None), length


def _length_of(template: str, longest: int) -> int:
    """Return the most characters of a filled template.

    :param longest: the most characters of a value in any of its formats.
    """
    return len(template) + longest * sum(name is not None for _, name, _, _ in Formatter().parse(template))


def _only_inserts(template: object) -> bool:
    """Return whether a template only inserts values by their names, in a format without a width."""
    if not isinstance(template, str):
        return False
    try:
        return all(
            name is None or (name.isidentifier() and _STORED_FORMAT.fullmatch(form or "") and not conversion)
            for _, name, form, conversion in Formatter().parse(template)
        )
    except ValueError:
        return False


def _is_stored(value: object) -> bool:
    return isinstance(value, Mapping) and "text" in value
