"""Derives stored file names from the names that clients send."""

import unicodedata
from typing import NamedTuple

from service_kit.errors import DomainError, FieldError
from service_kit.texts import counted, sentence

MAX_LENGTH = 255

# Unicode's Bidi_Control property (UAX #9): these characters can make a name look like another.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class FileName(NamedTuple):
    """A name without its extension, and the extension in lower case with its dot, or empty."""

    name: str
    extension: str


def file_name(client_name: str, wanted: str | None) -> FileName:
    """Return the stored name of an upload.

    :param client_name: the ``filename`` of the part; only the last component of a path counts (RFC 7578, 4.2).
    :param wanted: the ``name`` that the client requests instead, if any.
    :raises DomainError: ``invalid-fields`` if the name is empty or longer than 255 characters.
    """
    base = visible(client_name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
    own = _split(base)
    if wanted is None:
        return FileName(_checked(own.name), _checked_extension(own.extension))
    if not own.extension:
        requested = _split(_cleaned(wanted))
        return FileName(_checked(requested.name), _checked_extension(requested.extension))
    return FileName(renamed(wanted, own.extension), _checked_extension(own.extension))


def renamed(wanted: str, extension: str) -> str:
    """Return the stored form of a name that a client requests for a file with this extension.

    :raises DomainError: ``invalid-fields`` if the name is empty or longer than 255 characters.
    """
    name = _cleaned(wanted)
    if extension and name.lower().endswith(extension) and len(name) > len(extension):
        name = name[: -len(extension)]
    return _checked(name)


def copied(source: FileName, name: str | None, extension: str | None) -> FileName:
    """Return the stored name of a copy.

    :param name: the name that the client requests instead of the source's, if any.
    :param extension: the requested extension with its dot, or empty for no extension.
    :raises DomainError: ``invalid-fields`` if the name is empty, or one of them is longer than 255 characters.
    """
    ending = source.extension if extension is None else _extension(extension)
    return FileName(renamed(name or source.name, ending), _checked_extension(ending))


def shown(name: str) -> str:
    """Return a stored name without disguising or control characters, which older versions may have stored."""
    return visible(name) or "file"


def folded(text: str) -> str:
    """Return the form in which names are compared, regardless of case (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _cleaned(name: str) -> str:
    return visible(name).replace("/", "_").replace("\\", "_")


def visible(name: str) -> str:
    """Return a name in NFC without characters that headers cannot contain or that disguise the name."""
    seen = (c for c in name if unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI_CONTROLS)
    return unicodedata.normalize("NFC", "".join(seen)).strip()


def _extension(wanted: str) -> str:
    letters = _cleaned(wanted.removeprefix("."))
    return f".{letters}".lower() if letters else ""


def _split(name: str) -> FileName:
    stem, dot, extension = name.rpartition(".")
    if not stem.strip(".") or not extension or extension != extension.strip():
        return FileName(name, "")
    return FileName(stem, (dot + extension).lower())


def _checked(name: str) -> str:
    if not name.strip("."):
        raise _invalid("name_invisible", sentence("The name has no visible characters; choose another name."))
    too_long = counted(
        "The name has {count} character; at most {limit} are allowed.",
        "The name has {count} characters; at most {limit} are allowed.",
        "count",
        count=len(name),
        limit=MAX_LENGTH,
    )
    return checked_length(name, MAX_LENGTH, _invalid("name_too_long", too_long))


def _checked_extension(extension: str) -> str:
    too_long = counted(
        "The extension has {count} character; at most {limit} are allowed.",
        "The extension has {count} characters; at most {limit} are allowed.",
        "count",
        count=len(extension),
        limit=MAX_LENGTH,
    )
    return checked_length(extension, MAX_LENGTH, _invalid("extension_too_long", too_long))


def checked_length(text: str, limit: int, refusal: DomainError) -> str:
    """Return ``text`` if it has at most ``limit`` characters.

    :raises DomainError: ``refusal``.
    """
    if len(text) > limit:
        raise refusal
    return text


def _invalid(code: str, detail: str) -> DomainError:
    return DomainError("invalid-fields", detail, [FieldError(pointer="/name", detail=detail, code=code)])
