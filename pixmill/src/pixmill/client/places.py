"""The client's folders for state, configuration and cache, after the XDG Base Directory Specification."""

import os
from contextlib import suppress
from pathlib import Path


def state_folder() -> Path:
    """Return the folder of unfinished uploads."""
    return _below("XDG_STATE_HOME", ".local/state")


def config_folder() -> Path:
    """Return the folder of profiles."""
    return _below("XDG_CONFIG_HOME", ".config")


def cache_folder() -> Path:
    """Return the cache folder."""
    return _below("XDG_CACHE_HOME", ".cache")


def _below(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    # The specification says to ignore relative paths in these variables.
    return (Path(given) if given.startswith("/") else Path.home() / default) / "pixmill"


def write_private(path: Path, text: str) -> None:
    """Write a file atomically, readable only by its owner; it lasts through a crash of the machine."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        _write_names_through(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def _write_names_through(folder: Path) -> None:
    # Windows and some file systems cannot open or sync a folder; the file has its name all the same.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
