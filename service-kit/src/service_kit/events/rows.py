"""A table of events, in the order of their commits."""

from collections.abc import Collection, Sequence
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from sqlalchemy import BigInteger, ColumnElement, Double, String, select, tuple_
from sqlalchemy.orm import Mapped, mapped_column

from service_kit.database import MAX_ID, Database, Id, oldest_running_transaction
from service_kit.old_rows import delete_older_than


class Position(NamedTuple):
    """The position of an event; its text form is the event's id in the stream."""

    transaction_id: int
    id: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the text form.

        :raises ValueError: the text is not a position.
        """
        transaction_id, event_id = (int(part) for part in text.split("-"))
        if not (0 <= transaction_id <= MAX_ID and 0 <= event_id <= MAX_ID):
            raise ValueError("out of range")
        return cls(transaction_id, event_id)

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.id}"


Key = tuple[str, int | str]
"""A key by which listeners choose events: a kind, such as ``task``, and a value."""


class Event:
    """The columns that all event tables have; a database trigger inserts the rows in the transaction of the change.

    Ordered by ``transaction_id``, then by ``id``. ``transaction_id`` is the transaction of the change or, if later ones
    had ended before the row was written, the latest of them; it is 0 on SQLite, where transactions do not overlap.
    """

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    transaction_id: Mapped[int] = mapped_column(BigInteger)
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Double, index=True)

    def keys(self) -> Collection[Key]:
        """Return the keys by which listeners may choose the event, one of each kind."""
        raise NotImplementedError


AnyEvent = TypeVar("AnyEvent", bound=Event)
_ChosenEvent = TypeVar("_ChosenEvent", bound=Event, contravariant=True)


class Choice(Protocol[_ChosenEvent]):
    """The events that a listener wants."""

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """Return SQL conditions that all wanted events meet."""
        ...

    def keys(self) -> Collection[Key]:
        """Return keys of one kind such that each wanted event has exactly one of them; empty if no such keys exist."""
        ...

    def has(self, event: _ChosenEvent) -> bool:
        """Return whether the event is wanted."""
        ...


class Events(Generic[AnyEvent]):
    """Reads and deletes events.

    :param model: the table.
    """

    def __init__(self, database: Database, model: type[AnyEvent]) -> None:
        self._database = database
        self._model = model

    def latest(self) -> Position:
        """Return the position of the newest event."""
        model = self._model
        newest = (
            select(model.transaction_id, model.id)
            .where(model.transaction_id < oldest_running_transaction())
            .order_by(model.transaction_id.desc(), model.id.desc())
            .limit(1)
        )
        with self._database.read() as session:
            row = session.execute(newest).first()
        return Position(0, 0) if row is None else Position(row.transaction_id, row.id)

    def after(
        self, position: Position, limit: int, choice: Choice[AnyEvent] | None = None, owner: str | None = None
    ) -> Sequence[AnyEvent]:
        """Return at most ``limit`` events after ``position``.

        :param choice: return only these events; ``None`` for all.
        :param owner: return only events of this owner; ``None`` for all.
        """
        model = self._model
        statement = (
            select(model)
            .where(
                tuple_(model.transaction_id, model.id) > position, model.transaction_id < oldest_running_transaction()
            )
            .order_by(model.transaction_id, model.id)
            .limit(limit)
        )
        if choice is not None:
            statement = statement.where(*choice.conditions())
        if owner is not None:
            statement = statement.where(model.owner == owner)
        with self._database.read() as session:
            return session.scalars(statement).all()

    def forget_older_than(self, seconds: float) -> int:
        """Delete events that are older, in steps; return their number."""
        return delete_older_than(self._database, self._model, self._model.created_at, seconds)


def position_of(event: Event) -> Position:
    return Position(event.transaction_id, event.id)
