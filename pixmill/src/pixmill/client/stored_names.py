"""Derives what the server stores from a name and a folder, by the server's rules (``file_storage.services``)."""

import unicodedata
from typing import NamedTuple

# Unicode's Bidi_Control property (UAX #9).
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class StoredName(NamedTuple):
    """A stored name without its extension, the extension in lower case with its dot, and the folder."""

    name: str
    extension: str
    folder: str


class SentName(NamedTuple):
    """A name without folders, and its folder."""

    name: str
    folder: str


def stored_name(path: str, folder: str | None) -> StoredName:
    """Return the name and the folder under which the server stores a file, unless it refuses them.

    :param path: the name, which may be a path.
    :param folder: ``None`` for the folder in ``path``, if any.
    """
    sent = sent_name(path, folder)
    name = _visible(sent.name).replace("/", "_").replace("\\", "_")
    stem, dot, extension = name.rpartition(".")
    if not stem.strip(".") or not extension or extension != extension.strip():
        stem, dot, extension = name, "", ""
    return StoredName(stem, (dot + extension).lower(), "/".join(_parts(sent.folder)))


def sent_name(path: str, folder: str | None) -> SentName:
    """Split a name that may be a path; a given folder is returned as it is."""
    slashed = path.replace("\\", "/")
    above, _, last = slashed.rstrip("/").rpartition("/")
    if _is_dots(_visible(last)):
        return SentName(path, folder or "")
    return SentName(last, _folder_in(slashed, above) if folder is None else folder)


def _folder_in(path: str, above: str) -> str:
    parts = _parts(above)
    # An absolute path, or one with `..`, describes the client's disk.
    has_drive = path[:1].isascii() and path[:1].isalpha() and path[1:2] == ":"
    return "" if path.startswith("/") or has_drive or any(map(_is_dots, parts)) else "/".join(parts)


def _parts(path: str) -> list[str]:
    return [part for part in map(_visible, path.split("/")) if part]


def _visible(name: str) -> str:
    seen = (c for c in name if unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI_CONTROLS)
    return unicodedata.normalize("NFC", "".join(seen)).strip()


def _is_dots(part: str) -> bool:
    return not part.strip(". ")
