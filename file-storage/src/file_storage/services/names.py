"""What of a client's file name is kept."""

import unicodedata
from typing import NamedTuple

from service_kit.errors import DomainError, FieldError

MAX_LENGTH = 255

# Unicode's Bidi_Control property (UAX #9): these make a name look like another one.
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class FileName(NamedTuple):
    """A name without its extension, and the extension with its dot in lower case, or empty."""

    name: str
    extension: str


def file_name(client_name: str, wanted: str | None) -> FileName:
    """The stored name of an upload.

    :param client_name: the ``filename`` of the part; of a path only the last component counts (RFC 7578, 4.2).
    :param wanted: the ``name`` that the client asked for instead, if any.
    :raises DomainError: ``invalid-fields``, the name is empty or longer than 255 characters.
    """
    base = _visible(client_name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1])
    own = _split(base)
    if wanted is None:
        return FileName(_checked(own.name), _checked_extension(own.extension))
    if not own.extension:
        chosen = _split(_cleaned(wanted))
        return FileName(_checked(chosen.name), _checked_extension(chosen.extension))
    return FileName(renamed(wanted, own.extension), _checked_extension(own.extension))


def renamed(wanted: str, extension: str) -> str:
    """The stored form of a name given by a person, whose file has ``extension`` already.

    :raises DomainError: ``invalid-fields``, the name is empty or longer than 255 characters.
    """
    name = _cleaned(wanted)
    if extension and name.lower().endswith(extension) and len(name) > len(extension):
        name = name[: -len(extension)]
    return _checked(name)


def folded(text: str) -> str:
    """The form in which names are compared: what differs only in case is equal (Unicode 3.13, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())


def _cleaned(name: str) -> str:
    return _visible(name).replace("/", "_").replace("\\", "_")


def _visible(name: str) -> str:
    kept = (c for c in name if unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI_CONTROLS)
    return unicodedata.normalize("NFC", "".join(kept)).strip()


def _split(name: str) -> FileName:
    stem, dot, extension = name.rpartition(".")
    if not stem.strip(".") or not extension or extension != extension.strip():
        return FileName(name, "")
    return FileName(stem, (dot + extension).lower())


def _checked(name: str) -> str:
    if not name.strip("."):
        raise _invalid("The name has no visible character left; give the file another name.")
    if len(name) > MAX_LENGTH:
        raise _invalid(f"The name has {len(name)} characters; {MAX_LENGTH} are possible.")
    return name


def _checked_extension(extension: str) -> str:
    if len(extension) > MAX_LENGTH:
        raise _invalid(f"The extension has {len(extension)} characters; {MAX_LENGTH} are possible.")
    return extension


def _invalid(detail: str) -> DomainError:
    return DomainError("invalid-fields", detail, [FieldError(pointer="/name", detail=detail)])
