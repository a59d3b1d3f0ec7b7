"""Where the client keeps what it must remember: below the home folder, as XDG says."""

import os
from pathlib import Path


def state_folder() -> Path:
    """Return the folder of unfinished uploads."""
    return _below("XDG_STATE_HOME", ".local/state")


def config_folder() -> Path:
    """Return the folder of profiles."""
    return _below("XDG_CONFIG_HOME", ".config")


def cache_folder() -> Path:
    """Return the folder of what can be fetched again."""
    return _below("XDG_CACHE_HOME", ".cache")


def _below(variable: str, default: str) -> Path:
    given = os.environ.get(variable, "")
    # Relative paths in these variables are to be ignored, says the specification.
    return (Path(given) if given.startswith("/") else Path.home() / default) / "pixmill"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, as a whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
