"""The languages of answers: chosen by ``Accept-Language``, translated by the catalogs of packages.

A package has ``locale/ru/LC_MESSAGES/messages.po`` and the compiled ``messages.mo`` next to it. A plugin names a
mapping from English to its language by the entry point ``ru`` of the group ``pixmill.translations``.
"""

import gettext
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.resources import as_file, files
from string import Formatter
from typing import Literal

from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from service_kit.texts import Sentence, Value, filled

Language = Literal["en", "ru"]
ENGLISH: Language = "en"
LANGUAGES: Sequence[Language] = (ENGLISH, "ru")
"""English first: it is the answer where a client has no preference."""

PACKAGES = ("service_kit", "file_storage", "image_processor")
"""Packages with catalogs; a process has some of them."""
ENTRY_POINT_GROUP = "pixmill.translations"


def language_of(accepted: str | None) -> Language:
    """Return the language that a client prefers.

    :param accepted: its header ``Accept-Language`` (RFC 9110, 12.5.4).
    """
    found = parse_accept_header(accepted, LanguageAccept).best_match(LANGUAGES, ENGLISH)
    return "ru" if found == "ru" else ENGLISH


def headers_of(language: Language) -> dict[str, str]:
    """Return the headers of an answer whose words depend on ``Accept-Language``."""
    return {"Content-Language": language, "Vary": "Accept-Language"}


def translated(sentence: str, language: Language, context: str = "") -> str:
    """Return a sentence in a language; in English where its catalog has no translation.

    :param context: tells apart messages of the same words, such as a parameter and a choice.
    """
    # A catalog has its own header as the translation of nothing.
    if language == ENGLISH or not sentence:
        return str(sentence)
    if not isinstance(sentence, Sentence):
        return _translation(sentence, language, context) or sentence
    template = _translation(sentence.template, language, context)
    if template is None and not any(isinstance(value, Sentence) for value in sentence.values.values()):
        return str(sentence)
    values = {name: _of_value(value, language) for name, value in sentence.values.items()}
    return filled(template or sentence.template, values, _FORMATTER)


def has_translation(message: str, language: Language, context: str = "") -> bool:
    """Return whether a catalog translates this message."""
    return _translation(message, language, context) is not None


def _of_value(value: Value, language: Language) -> Value:
    return translated(value, language) if isinstance(value, Sentence) else value


def _translation(message: str, language: Language, context: str) -> str | None:
    for catalog in _catalogs(language):
        found = catalog.pgettext(context, message) if context else catalog.gettext(message)
        if found:
            return found
    return _of_plugins(language).get(message)


@cache
def _catalogs(language: Language) -> Sequence[gettext.GNUTranslations]:
    found = []
    for package in PACKAGES:
        try:
            folder = files(package)
        except ModuleNotFoundError:
            continue
        with as_file(folder / "locale" / language / "LC_MESSAGES" / "messages.mo") as path:
            if path.exists():
                with path.open("rb") as compiled:
                    catalog = gettext.GNUTranslations(compiled)
                catalog.add_fallback(_Nothing())
                found.append(catalog)
    return found


@cache
def _of_plugins(language: Language) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for entry_point in entry_points(group=ENTRY_POINT_GROUP, name=language):
        found.update(entry_point.load())
    return found


class _Nothing(gettext.NullTranslations):
    """Returns nothing for a missing message: another may read the same in both languages."""

    def gettext(self, message: str) -> str:  # noqa: ARG002 (the signature of the standard library)
        return ""

    def pgettext(self, context: str, message: str) -> str:  # noqa: ARG002 (likewise)
        return ""


class _SpacedNumbers(Formatter):
    """Writes 16 384 for the format that is 16,384 in English."""

    def format_field(self, value: object, format_spec: str) -> str:
        written: str = super().format_field(value, format_spec)
        return written.replace(",", "\N{NO-BREAK SPACE}") if format_spec.endswith(",") else written


_FORMATTER = _SpacedNumbers()
