"""Owners and their limits."""

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select

from service_kit.access.models import Owner
from service_kit.access.principals import Limits
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.texts import sentence


class OwnerService:
    """The owners in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, after: str, limit: int) -> Sequence[Owner]:
        """Return at most ``limit`` owners whose names come after ``after``, by name."""
        with self._database.read() as session:
            return session.scalars(select(Owner).where(Owner.name > after).order_by(Owner.name).limit(limit)).all()

    def limit(self, name: str, limits: Limits) -> Owner:
        """Set an owner's limits; they take effect within :data:`service_kit.access.keys.CACHE_SECONDS`.

        :raises DomainError: ``owner-not-found``.
        """
        columns = {f"max_{limit}": value for limit, value in asdict(limits).items()}
        with self._database.write() as session:
            owner = session.get(Owner, name, with_for_update=True)
            if owner is None:
                raise DomainError(
                    "owner-not-found", sentence("There is no owner '{name}'; create a key for it first.", name=name)
                )
            for column, value in columns.items():
                setattr(owner, column, value)
            return owner
