"""A table of events as small as one can be: measurements of sensors."""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from service_kit.database import Database, dialect_of, epoch_now
from service_kit.events.rows import Choice, Event, Events, Key, Position
from sqlalchemy import BigInteger, ColumnElement, Connection, insert, literal, literal_column
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The only table."""


class Measurement(Event, Base):
    __tablename__ = "measurements"

    sensor_id: Mapped[int] = mapped_column(BigInteger)

    def keys(self) -> Collection[Key]:
        return [("sensor", self.sensor_id)]


@dataclass(frozen=True)
class SensorChoice:
    """The measurements of some sensors; without any, those of all."""

    sensor_ids: Collection[int] = ()

    def conditions(self) -> Sequence[ColumnElement[bool]]:
        return [Measurement.sensor_id.in_(self.sensor_ids)] if self.sensor_ids else []

    def keys(self) -> Collection[Key]:
        return [("sensor", sensor_id) for sensor_id in self.sensor_ids]

    def has(self, event: Measurement) -> bool:
        return not self.sensor_ids or event.sensor_id in self.sensor_ids


def measure(database: Database, *sensor_ids: int, owner: str = "local") -> list[int]:
    """Add a measurement of each sensor, all in one transaction; return their ids."""
    with database.begin() as connection:
        return measure_in(connection, *sensor_ids, owner=owner)


def measure_in(connection: Connection, *sensor_ids: int, owner: str = "local") -> list[int]:
    """Add measurements as the triggers of the services add events: with the id of the running transaction."""
    # https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
    transaction: ColumnElement[int] = (
        literal_column("pg_current_xact_id()::text::bigint")
        if dialect_of(connection) == "postgresql"
        else literal(0, BigInteger)
    )
    event = insert(Measurement).returning(Measurement.id)
    added = event.values(transaction_id=transaction, owner=owner, created_at=epoch_now())
    return [connection.execute(added.values(sensor_id=sensor_id)).scalar_one() for sensor_id in sensor_ids]


class MeasuringAfterReads(Events[Measurement]):
    """Events to which one of sensor 1 is added immediately after this many reads have found none."""

    def __init__(self, database: Database, reads: int) -> None:
        super().__init__(database, Measurement)
        self._on = database
        self._wanted = reads
        self._reads = itertools.count(1)

    def after(
        self, position: Position, limit: int, choice: Choice[Measurement] | None = None, owner: str | None = None
    ) -> Sequence[Measurement]:
        found = super().after(position, limit, choice, owner)
        if not found and next(self._reads) == self._wanted:
            measure(self._on, 1)
        return found
