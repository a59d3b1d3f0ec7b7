"""The events of files that a listener chose."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.events.rows import Key
from sqlalchemy import ColumnElement

from file_storage.models import FileEvent


@dataclass(frozen=True)
class FileChoice:
    """Events of some files.

    :param file_ids: only of these; empty for all.
    """

    file_ids: Collection[int] = ()

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return the conditions on rows of events."""
        return [FileEvent.file_id.in_(self.file_ids)] if self.file_ids else []

    def keys(self) -> Collection[Key]:
        """Return the keys of the files."""
        return [("file", file_id) for file_id in self.file_ids]

    def has(self, event: FileEvent) -> bool:
        """Return whether the event is one of these."""
        return not self.file_ids or event.file_id in self.file_ids
