"""Derives folders of files from the paths that clients send. A folder is text in a row, never a path on disk."""

import re

from service_kit.errors import DomainError, FieldError
from service_kit.texts import counted, sentence

from file_storage.services.names import FileName, checked_length, file_name, visible

MAX_FOLDER = 500
"""Maximum length of a folder in characters of up to 4 bytes; a longer one might not fit into an index page."""

_DRIVE = re.compile(r"[A-Za-z]:")


def folder_of(client_name: str) -> str:
    """Return the folder in a client's file name, such as ``holiday/2026/a.jpg`` from a folder upload in a browser.

    An absolute path, or a path with ``..``, describes the client's disk and gives no folder.

    :raises DomainError: ``invalid-fields`` if the folder is too long.
    """
    path = client_name.replace("\\", "/")
    parts = _parts(path.rstrip("/").rpartition("/")[0])
    if path.startswith("/") or _DRIVE.match(path) or any(map(_is_dots, parts)):
        return ""
    return _checked("/".join(parts))


def folder_of_relative(path: str) -> str:
    """Return the folder in a path that is relative by definition, although some clients start it with a slash.

    :raises DomainError: ``invalid-fields`` if the folder is too long.
    """
    return folder_of(path.lstrip("/"))


def wanted_folder(wanted: str) -> str:
    """Return the stored form of a folder that a client requests; empty for no folder.

    :raises DomainError: ``invalid-fields`` if it is too long, or would lead elsewhere if it were a path.
    """
    parts = _parts(wanted)
    if "\\" in wanted or (parts and _DRIVE.match(parts[0])) or any(map(_is_dots, parts)):
        raise _invalid(
            "no_folder",
            sentence(
                "A folder must consist of names separated by slashes, without '..', backslashes or a drive letter."
            ),
        )
    return _checked("/".join(parts))


def named_path(path: str) -> tuple[FileName, str]:
    """Return the stored name and the folder of an upload whose name may be a path, as in a ``PUT``.

    :raises DomainError: ``invalid-fields`` if the name or the folder cannot be stored.
    """
    last = path.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if _is_dots(visible(last)):
        return file_name("", path), ""
    return file_name("", last), folder_of(path)


def _parts(path: str) -> list[str]:
    return [part for part in map(visible, path.split("/")) if part]


def _is_dots(part: str) -> bool:
    # Windows ignores dots and spaces at the end of a name, so that ".. ." means "..".
    return not part.strip(". ")


def _checked(folder: str) -> str:
    too_long = counted(
        "The folder has {count} character; at most {limit} are allowed.",
        "The folder has {count} characters; at most {limit} are allowed.",
        "count",
        count=len(folder),
        limit=MAX_FOLDER,
    )
    return checked_length(folder, MAX_FOLDER, _invalid("folder_too_long", too_long))


def _invalid(code: str, detail: str) -> DomainError:
    return DomainError("invalid-fields", detail, [FieldError(pointer="/folder", detail=detail, code=code)])
