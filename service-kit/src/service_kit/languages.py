"""Translates responses into the language of ``Accept-Language``, with the catalogs of packages.

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

from service_kit.texts import Sentence, Value, filled, number_in

Language = Literal["en", "ru"]
ENGLISH: Language = "en"
LANGUAGES: Sequence[Language] = (ENGLISH, "ru")
"""English comes first: it is the default for clients without a preference."""

PACKAGES = ("service_kit", "file_storage", "image_processor")
"""Packages with catalogs; not all are installed in every process."""
ENTRY_POINT_GROUP = "pixmill.translations"


def language_of(accepted: str | None) -> Language:
    """Return the language that a client prefers.

    :param accepted: the request's ``Accept-Language`` header (RFC 9110, 12.5.4).
    """
    found = parse_accept_header(accepted, LanguageAccept).best_match(LANGUAGES, ENGLISH)
    return "ru" if found == "ru" else ENGLISH


def headers_of(language: Language) -> dict[str, str]:
    """Return the headers of a response whose text depends on ``Accept-Language``."""
    return {"Content-Language": language, "Vary": "Accept-Language"}


def translated(sentence: str, language: Language, context: str = "") -> str:
    """Return a sentence in a language, or in English if the catalog has no translation.

    :param context: distinguishes messages with the same text, such as a parameter and a choice.
    """
    # The empty message is special: a catalog stores its own header as the translation.
    if language == ENGLISH or not sentence:
        return str(sentence)
    if not isinstance(sentence, Sentence):
        return _translation(sentence, language, context) or sentence
    template = _template_of(sentence, language, context)
    if template is None and not any(isinstance(value, Sentence) for value in sentence.values.values()):
        return str(sentence)
    values = {name: _of_value(value, language) for name, value in sentence.values.items()}
    return filled(template or sentence.template, values, _FORMATTER)


def has_translation(message: str, language: Language, context: str = "") -> bool:
    """Return whether a catalog translates this message."""
    return _translation(message, language, context) is not None


def _of_value(value: Value, language: Language) -> Value:
    return translated(value, language) if isinstance(value, Sentence) else value


def _template_of(sentence: Sentence, language: Language, context: str) -> str | None:
    if sentence.counted is not None:
        singular, count = sentence.counted
        number = number_in(sentence.values, count)
        for catalog in _catalogs(language):
            if found := catalog.ngettext(singular, sentence.template, number):
                return found
    return _translation(sentence.template, language, context)


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
    """Returns nothing for a missing message: a real translation may equal the English text."""

    def gettext(self, message: str) -> str:  # noqa: ARG002 (the signature of the standard library)
        return ""

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:  # noqa: ARG002 (likewise)
        return ""

    def pgettext(self, context: str, message: str) -> str:  # noqa: ARG002 (likewise)
        return ""


class _SpacedNumbers(Formatter):
    """Formats a number as 16 384 where English has 16,384."""

    def format_field(self, value: object, format_spec: str) -> str:
        written: str = super().format_field(value, format_spec)
        return written.replace(",", "\N{NO-BREAK SPACE}") if format_spec.endswith(",") else written


_FORMATTER = _SpacedNumbers()
