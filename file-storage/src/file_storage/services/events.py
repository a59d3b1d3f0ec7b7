"""Selects the file events that a listener wants."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.events.rows import Key
from sqlalchemy import ColumnElement

from file_storage.models import FileEvent


@dataclass(frozen=True)
class FileChoice:
    """A choice of file events.

    :param file_ids: only events of these files; empty for all.
    """

    file_ids: Collection[int] = ()

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return the conditions on event rows."""
        return [FileEvent.file_id.in_(self.file_ids)] if self.file_ids else []

    def keys(self) -> Collection[Key]:
        """Return the keys of the files."""
        return [("file", file_id) for file_id in self.file_ids]

    def has(self, event: FileEvent) -> bool:
        """Return whether the choice includes the event."""
        return not self.file_ids or event.file_id in self.file_ids
