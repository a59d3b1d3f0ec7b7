"""Chooses file names for the results of a run."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pixmill.client.answers import File, Task
from pixmill.client.settings import safe_name


@dataclass(frozen=True)
class Saving:
    """The files to write, each with its name.

    :param names: the name of each file.
    """

    folder: Path
    names: Mapping[File, str]

    def targets(self) -> Iterator[tuple[File, Path]]:
        self.folder.mkdir(parents=True, exist_ok=True)
        for file, name in self.names.items():
            yield file, self.folder / name


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
            stem, dot, extension = wanted.rpartition(".")
            name = f"{stem} ({number}){dot}{extension}" if stem else f"{wanted} ({number})"
        last_numbers[first] = number
        last_numbers.setdefault(name.casefold(), 1)
        names[file] = name
    return names


def without_result(tasks: Sequence[Task], results: Sequence[File]) -> list[Task]:
    """Return the tasks that ended without a result, and those whose result was deleted."""
    existing = {file.id for file in results}
    return [task for task in tasks if task.result_id not in existing]


def formatted(template: str, file: File, task_id: int = 0) -> str:
    """Fill a template with the data of a file.

    :raises ValueError: the template contains another field.
    """
    known = {"name": file.name, "extension": file.extension, "ext": file.extension, "id": file.id, "task_id": task_id}
    try:
        return template.format(**known)
    except (KeyError, IndexError, AttributeError, TypeError) as error:
        raise ValueError("a name may have {name}, {extension}, {id} and {task_id}") from error
