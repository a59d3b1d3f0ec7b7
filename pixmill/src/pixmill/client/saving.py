"""Chooses file names for the results of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Formatter

from pixmill.client.answers import File, Task
from pixmill.client.settings import safe_name
from pixmill.client.targets import Destination, IfExists, with_number


@dataclass(frozen=True)
class Saving:
    """The files to write, each with its name.

    :param names: the name of each file.
    :param overwrite: whether a file replaces another one of its name, instead of getting a number.
    """

    folder: Path
    names: Mapping[File, str]
    overwrite: bool

    def destinations(self) -> Iterator[tuple[File, Destination]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for file, name in self.names.items():
            yield file, in_folder(self.folder, name, overwrite=self.overwrite)


def destination(path: Path, own_name: str, *, overwrite: bool) -> Destination:
    """Return where to write a file: inside a folder, it keeps its own name."""
    if path.is_dir():
        return in_folder(path, safe_name(own_name), overwrite=overwrite)
    return at_path(path, overwrite=overwrite)


def at_path(path: Path, *, overwrite: bool) -> Destination:
    """Return a destination at a path that the caller chose."""
    return Destination(path, IfExists.REPLACE if overwrite else IfExists.REFUSE)


def in_folder(folder: Path, name: str, *, overwrite: bool) -> Destination:
    """Return a destination with a name that the caller did not choose, so that it may get a number."""
    return Destination(folder / name, IfExists.REPLACE if overwrite else IfExists.NUMBER)


def result_names(template: str, tasks: Sequence[Task], results: Sequence[File]) -> dict[File, str]:
    """Return a name for each result; equal names get a number.

    :param template: may contain ``{name}``, ``{extension}``, ``{id}`` and ``{task_id}``.
    :raises ValueError: the template contains another field.
    """
    makers = {task.result_id: task.id for task in tasks}
    names: dict[File, str] = {}
    # The last number that was tried for each name: to count from the beginning each time takes quadratic time.
    last_numbers: dict[str, int] = {}
    for file in results:
        wanted = safe_name(formatted(template, file, makers.get(file.id, 0)))
        # Some file systems ignore case.
        first = wanted.casefold()
        name, number = wanted, last_numbers.get(first, 1)
        while name.casefold() in last_numbers:
            number += 1
            name = with_number(wanted, number)
        last_numbers[first] = number
        last_numbers.setdefault(name.casefold(), 1)
        names[file] = name
    return names


def without_result(tasks: Sequence[Task], results: Sequence[File]) -> list[Task]:
    """Return the tasks that ended without a result, and those whose result was deleted."""
    existing = {file.id for file in results}
    return [task for task in tasks if task.result_id not in existing]


_FIELDS = "a name may have {name}, {extension}, {id} and {task_id}"


def formatted(template: str, file: File, task_id: int = 0) -> str:
    """Fill a template with the data of a file.

    :raises ValueError: the template contains another field.
    """
    known = {"name": file.name, "extension": file.extension, "ext": file.extension, "id": file.id, "task_id": task_id}
    try:
        fields = {field for _, field, _, _ in Formatter().parse(template) if field is not None}
        if fields <= known.keys():
            return template.format(**known)
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(_FIELDS) from error
    raise ValueError(_FIELDS)
