"""Finds the local files that a command's arguments name."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path
from typing import TypeVar

from pixmill.commands.console import say
from pixmill.commands.words import plural, text

K = TypeVar("K")
Stamp = tuple[int, int]
"""The size and modification time of a file."""


@dataclass(frozen=True)
class Placed:
    """A local file.

    :param root: the folder relative to which its folders are kept: the parent of the folder argument; ``None`` for a
    file argument.
    """

    path: Path
    root: Path | None


@dataclass(frozen=True)
class Selection:
    """Options for searching folders.

    :param only: patterns; a file is found if its name matches one of them. Empty for all files.
    :param without: patterns of files and folders to skip.
    :param on_hidden: called with each file or folder that is skipped because its name begins with a dot.
    :param on_linked: called with each folder that is skipped because it is a symbolic link, which may lead into a
    circle.
    :param on_unreadable: called with each file or folder below a folder that cannot be read, and the error, which is
    raised by default.
    """

    recursive: bool = False
    only: Sequence[str] = ()
    without: Sequence[str] = ()
    on_hidden: Callable[[Path], None] | None = None
    on_linked: Callable[[Path], None] | None = None
    on_unreadable: Callable[[Path, OSError], None] | None = None

    def files(self, given: Sequence[str]) -> Iterator[Path]:
        """Yield the files; expand patterns that the shell has not expanded.

        :raises FileNotFoundError: a file does not exist, or nothing matches a pattern.
        :raises ValueError: an argument is empty, or is a folder and the search is not recursive.
        """
        return (placed.path for placed in self.placed(given))

    def placed(self, given: Sequence[str]) -> Iterator[Placed]:
        """Yield the files with their roots: ``photos/2026/a.jpg`` from the argument ``photos`` is in ``photos/2026``.

        :raises FileNotFoundError: a file does not exist, or nothing matches a pattern.
        :raises ValueError: an argument is empty, or is a folder and the search is not recursive.
        """
        for pattern in given:
            if not pattern:
                # As a path, it would be the current folder; it is rather a variable of a script that is not set.
                raise ValueError(text("a path is empty; give the path of a file"))
            matches = self._expanded(pattern)
            if not matches:
                raise FileNotFoundError(text("nothing matches '{pattern}'", pattern=pattern))
            if not self.recursive and all(match.is_dir() for match in matches):
                raise ValueError(text("'{path}' is a folder: add --recursive (-r)", path=matches[0]))
            for match in matches:
                root = _root(match) if match.is_dir() else None
                for path in self._below(match, is_given=match == Path(pattern)):
                    yield Placed(path, root)

    @staticmethod
    def _expanded(given: str) -> Sequence[Path]:
        path = Path(given)
        if not has_magic(given) or path.exists():
            return [path]
        return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))

    def _below(self, path: Path, *, is_given: bool) -> Iterator[Path]:
        if any(fnmatch(path.name, pattern) for pattern in self.without):
            return
        if not path.is_dir():
            if is_given and not path.exists():
                raise FileNotFoundError(text("there is no file '{path}'", path=path))
            if is_given or self._matches(path):
                yield path
            return
        for inner_path in self._inside(path) if self.recursive else ():
            yield from self._below(inner_path, is_given=False)

    def _inside(self, folder: Path) -> Iterator[Path]:
        """Yield the files and folders in a folder, without those to skip."""
        try:
            inner_paths = sorted(folder.iterdir())
        except OSError as error:
            self._note_unreadable(folder, error)
            return
        for inner_path in inner_paths:
            try:
                is_wanted = self._is_wanted(inner_path)
            except OSError as error:
                self._note_unreadable(inner_path, error)
                continue
            if is_wanted:
                yield inner_path

    def _is_wanted(self, path: Path) -> bool:
        if path.name.startswith("."):
            # Hidden files are skipped, such as partial downloads.
            if self.on_hidden is not None and self._matches(path):
                self.on_hidden(path)
            return False
        if not path.is_dir():
            return path.is_file()
        if not path.is_symlink():
            return True
        if self.on_linked is not None and self._matches(path):
            self.on_linked(path)
        return False

    def _note_unreadable(self, path: Path, error: OSError) -> None:
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            # Somebody has deleted or replaced it since its folder was read.
            return
        if self.on_unreadable is None:
            raise error
        self.on_unreadable(path, error)

    def _matches(self, path: Path) -> bool:
        """Return whether to yield a file or to search a folder, according to the patterns."""
        if any(fnmatch(path.name, pattern) for pattern in self.without):
            return False
        return path.is_dir() or not self.only or any(fnmatch(path.name, pattern) for pattern in self.only)


def say_linked(linked: Sequence[Path]) -> None:
    """Report how many folders were skipped because they are symbolic links."""
    if linked:
        say(
            plural(
                "{count} folder that is a symbolic link was skipped",
                "{count} folders that are symbolic links were skipped",
                len(linked),
            )
        )


def stamp_of(path: Path) -> Stamp | None:
    """Return the stamp of a file; ``None`` if somebody has deleted it."""
    try:
        data = path.stat()
    except FileNotFoundError:
        return None
    return data.st_size, data.st_mtime_ns


def settled(before: Mapping[K, Stamp], now: Mapping[K, Stamp]) -> dict[K, Stamp]:
    """Return the files that are the same as in an earlier round: the others may still be written."""
    return {name: stamp for name, stamp in now.items() if before.get(name) == stamp}


def _root(folder: Path) -> Path:
    """Return the folder relative to which folders are kept; ``.`` and ``..`` have no name to keep."""
    return folder if folder.name in ("", "..") else folder.parent
