"""Counts wrong keys per network of a client in the database, because several processes serve the same address."""

import math
import time

import structlog
from sqlalchemy import bindparam, case, delete, or_, select

from service_kit.access.models import WrongKey
from service_kit.database import Database, dialect_of, epoch_now, insert_or_update
from service_kit.networks import network_of
from service_kit.problems import Problem
from service_kit.texts import sentence

log = structlog.get_logger()

FAILURES_PER_MINUTE = 10
"""Wrong keys allowed per network and minute; further wrong keys get 429 without being counted."""

_WINDOW_SECONDS = 60
_MAX_ADDRESSES = 10_000
_DELETED_AT_ONCE = 1_000
_ADDRESS = WrongKey.address == bindparam("of")
_IS_OVER = WrongKey.until <= epoch_now()
_SECONDS_LEFT = select(WrongKey.until - epoch_now()).where(_ADDRESS)
# Skip rows that another process is deleting or counting, so that two transactions never wait for each other.
_OVER = select(WrongKey.address).where(_IS_OVER).limit(_DELETED_AT_ONCE).with_for_update(skip_locked=True)
_DELETE_OVER = delete(WrongKey).where(WrongKey.address.in_(_OVER))


class WrongKeys:
    """Counts the wrong keys of each network per minute, for all processes together."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._refused: dict[str, float] = {}
        self._next_cleanup = 0.0

    def count(self, address: str) -> None:
        """Count a wrong key.

        :param address: of the client; the addresses of its network count together.
        :raises Problem: 429, the network has sent too many wrong keys; this one is not counted.
        """
        network = network_of(address)[:64]
        self._delete_old()
        left = self._refused.get(network, 0.0) - time.monotonic()
        if left > 0:
            raise _too_many(left)
        seconds = self._counted(network)
        if seconds is None:
            log.warning("wrong key", address=address[:64])
            return
        # Until the minute is over, this process refuses the network without a query to the database.
        if len(self._refused) >= _MAX_ADDRESSES:
            self._refused.clear()
        self._refused[network] = time.monotonic() + seconds
        raise _too_many(seconds)

    def _counted(self, network: str) -> float | None:
        """Count a wrong key; if the network has sent too many, return the seconds until it may send another."""
        with self._database.begin() as connection:
            new = insert_or_update(dialect_of(connection), WrongKey).values(
                address=network, failures=1, until=epoch_now() + _WINDOW_SECONDS
            )
            statement = new.on_conflict_do_update(
                index_elements=[WrongKey.address],
                set_={
                    "failures": case((_IS_OVER, 1), else_=WrongKey.failures + 1),
                    "until": case((_IS_OVER, epoch_now() + _WINDOW_SECONDS), else_=WrongKey.until),
                },
                where=or_(_IS_OVER, WrongKey.failures < FAILURES_PER_MINUTE),
            ).returning(WrongKey.failures)
            if connection.execute(statement).one_or_none() is not None:
                return None
            return connection.scalar(_SECONDS_LEFT, {"of": network})

    def _delete_old(self) -> None:
        if time.monotonic() < self._next_cleanup:
            return
        self._next_cleanup = time.monotonic() + _WINDOW_SECONDS
        with self._database.begin() as connection:
            while connection.execute(_DELETE_OVER).rowcount == _DELETED_AT_ONCE:
                continue


def _too_many(seconds: float) -> Problem:
    detail = sentence("Too many wrong keys from this address; wait.")
    return Problem("too-many-wrong-keys", 429, detail, retry_after=max(1, math.ceil(seconds)))
