"""Manages webhooks of ended tasks: takes due webhooks by owner and host, and records the outcomes of deliveries."""

import json
import random
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import structlog
from service_kit.database import Database, epoch_now, insert_or_ignore, one_at_a_time
from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, literal, select, true, update
from sqlalchemy.orm import Session

from image_processor.models import Callback, CallbackHost, TaskStatus
from image_processor.services.causes import problem_document

log = structlog.get_logger()

DELIVERIES_OF_A_HOST = 2
"""Maximum number of concurrent deliveries to a host by all sending processes; 1 while the host fails."""
DELIVERIES_OF_AN_OWNER = 16
"""Maximum number of concurrent deliveries of an owner by one process: half of what the process can send."""
UNPROVEN_DELIVERIES_OF_AN_OWNER = 12
"""Maximum of these for hosts that have never answered or are failing, so that they cannot block the owner's others."""
BASE_DELAY_SECONDS = 2
"""Base of the exponential delays between retries of a webhook, and between deliveries to a host that fails."""
MAX_DELAY_SECONDS = 3600
"""Maximum of these delays."""
MAX_DELAY_OF_ANSWERING_SECONDS = 60
"""Maximum delay of a host that answers: it may refuse one webhook forever and accept others."""
ANSWER_NOTED_SECONDS = 3600
"""An accepted webhook updates its host's row only if the row is older than this."""
RESOLVING_SECONDS = 60
"""Longest lookup of a host's name, for which we cannot set a timeout."""
SCANNED_OWNERS = 500
"""Maximum number of owners considered at once."""
DRAWN_OWNERS = 32
"""Maximum number of these whose hosts are considered, which are drawn at random."""
SCANNED_HOSTS = 500
"""Maximum number of hosts considered at once, of all drawn owners together."""
ROWS_PER_DELETE = 1000
"""Maximum number of rows deleted by one statement."""

_LOCK = 508
"""Number of the lock in :class:`one_at_a_time`; file-storage's quota uses another number in the same database."""

_DUE = Callback.due_at <= epoch_now()
_TAKEN = Callback.taken_until > epoch_now()
_FIRST_DUE = select(Callback.id).where(_DUE).order_by(Callback.due_at).limit(1)


class Taken(NamedTuple):
    """A webhook to deliver now.

    :ivar proven: the host has answered before and accepted the last delivery.
    """

    callback: Callback
    proven: bool


class _Host(NamedTuple):
    """A host that may receive webhooks now.

    :ivar room: number of further concurrent deliveries.
    """

    name: str
    room: int
    proven: bool
    failing: bool


class _Scan(NamedTuple):
    """What a scan found, and where the next one begins.

    :ivar hosts: the hosts of each drawn owner that may receive webhooks now.
    :ivar after: the owner after which the next scan begins.
    :ivar after_hosts: for each drawn owner, the host after which the next scan of its hosts begins.
    """

    hosts: Mapping[str, Sequence[_Host]]
    after: str
    after_hosts: Mapping[str, str]


class WebhookService:
    """Reads and changes the rows of undelivered webhooks and of their hosts. Any number of processes may send.

    :param timeout_seconds: timeout of a delivery.
    :param max_seconds: time after which a webhook is no longer retried.
    :param max_silent_seconds: time after which a host that has never answered no longer receives webhooks.
    """

    def __init__(
        self, database: Database, timeout_seconds: float, max_seconds: float, max_silent_seconds: float
    ) -> None:
        self._database = database
        self._reserved_seconds = timeout_seconds + RESOLVING_SECONDS
        self._max_seconds = max_seconds
        self._max_silent_seconds = max_silent_seconds
        self._after = ""
        """The owner after which the next scan begins."""
        self._after_hosts: dict[str, str] = {}
        """For an owner, the host after which the next scan of its hosts begins."""

    def take_due(self, count: int, unproven: int, delivering: Collection[Taken] = ()) -> Sequence[Taken]:
        """Return due webhooks, reserved for the longest time that a delivery may take. Owners take turns.

        :param count: maximum number of webhooks; at most two per host, including deliveries in progress.
        :param unproven: maximum number of these for hosts that have never answered or are failing.
        :param delivering: what this process is delivering, which counts towards the limits of its owners.
        """
        with self._database.connect() as connection:
            if connection.execute(_FIRST_DUE).first() is None:
                return []
            scan = self._scan(connection)
            if not any(scan.hosts.values()):
                # Otherwise the hosts after these would never be found.
                self._move_on(scan)
                return []
        with self._database.write() as session:
            # Without the lock, two processes that count a host's deliveries at the same time would both take one.
            session.execute(select(one_at_a_time(_LOCK)))
            scan = self._scan(session.connection())
            self._move_on(scan)
            return [
                Taken(callback, host.proven)
                for owner, host, share in _shares(scan.hosts, count, unproven, delivering)
                for callback in self._reserve(session, owner, host.name, share)
            ]

    def _scan(self, connection: Connection) -> _Scan:
        rows = connection.execute(_SCAN_OF_OWNERS, {"after": self._after, "scanned": SCANNED_OWNERS}).all()
        due = [owner for owner, is_due in rows if is_due]
        # In a fixed order the first would starve the last. Not security-relevant.
        drawn = random.sample(due, min(len(due), DRAWN_OWNERS))  # nosec B311
        hosts, after_hosts = {}, {}
        for owner in drawn:
            hosts[owner], after_hosts[owner] = self._scan_hosts(connection, owner, SCANNED_HOSTS // len(drawn))
        return _Scan(hosts, rows[-1][0] if len(rows) == SCANNED_OWNERS else "", after_hosts)

    def _scan_hosts(self, connection: Connection, owner: str, scanned: int) -> tuple[list[_Host], str]:
        """Return the owner's hosts that may receive webhooks now, and the host after which the next scan begins."""
        after = self._after_hosts.get(owner, "")
        rows = connection.execute(_SCAN_OF_HOSTS, {"owner": owner, "after": after, "scanned": scanned}).all()
        hosts: list[_Host] = []
        for name, due, taken, failures, answered_at, delay in rows:
            room = (1 if failures else DELIVERIES_OF_A_HOST) - taken
            if due and delay <= 0 and room > 0:
                proven = answered_at is not None and not failures
                hosts.append(_Host(name, room, proven, failing=failures > 0))
        return hosts, rows[-1][0] if len(rows) == scanned else ""

    def _move_on(self, scan: _Scan) -> None:
        self._after = scan.after
        moved = {**self._after_hosts, **scan.after_hosts}
        self._after_hosts = {owner: after for owner, after in moved.items() if after}

    def _reserve(self, session: Session, owner: str, host: str, count: int) -> Sequence[Callback]:
        of_both = select(Callback).where(Callback.owner == owner, Callback.host == host)
        due = of_both.where(_DUE).order_by(Callback.due_at).limit(count)
        callbacks = session.scalars(due.with_for_update(skip_locked=True)).all()
        reserved_until = epoch_now() + self._reserved_seconds
        session.execute(
            update(Callback)
            .where(Callback.id.in_([callback.id for callback in callbacks]))
            .values(due_at=reserved_until, taken_until=reserved_until, tries=Callback.tries + 1)
        )
        return callbacks

    def delivered(self, callback: Callback) -> None:
        """Delete a webhook that the receiver has accepted."""
        now = epoch_now()
        with self._database.write() as session:
            session.execute(delete(Callback).where(Callback.id == callback.id))
            host = _locked(session, callback.host)
            is_noted = CallbackHost.answered_at > now - ANSWER_NOTED_SECONDS
            is_new = (CallbackHost.failures > 0) | CallbackHost.answered_at.is_(None) | ~is_noted
            session.execute(
                update(CallbackHost)
                .where(CallbackHost.host == host.host, is_new)
                .values(failures=0, failing_since=None, due_at=0.0, answered_at=now, changed_at=now)
            )
        log.info("webhook delivered", task_id=callback.task_id, host=callback.host)

    def undeliverable(self, callback: Callback, reason: str) -> None:
        """Delete a webhook that can never be delivered."""
        with self._database.write() as session:
            session.execute(delete(Callback).where(Callback.id == callback.id))
        log.error("webhook given up", task_id=callback.task_id, host=callback.host, reason=reason)

    def failed(self, callback: Callback, reason: str, *, answered: bool) -> None:
        """Delay the next try of a webhook, and the next delivery to its host, exponentially.

        Delete the webhook if its time is over, along with other expired webhooks of the host. Delete all webhooks of
        the host if it has been silent for too long.

        :param answered: the host responded, but did not accept the webhook.
        """
        delay = _delay(callback.tries, MAX_DELAY_SECONDS)
        log.warning("webhook failed", task_id=callback.task_id, host=callback.host, reason=reason, delay_seconds=delay)
        now = epoch_now()
        with self._database.write() as session:
            session.execute(
                update(Callback).where(Callback.id == callback.id).values(due_at=now + delay, taken_until=None)
            )
            host = _locked(session, callback.host)
            host_delay = _delay(host.failures + 1, MAX_DELAY_OF_ANSWERING_SECONDS if answered else MAX_DELAY_SECONDS)
            session.execute(
                update(CallbackHost)
                .where(CallbackHost.host == host.host)
                .values(
                    failures=CallbackHost.failures + 1,
                    failing_since=func.coalesce(CallbackHost.failing_since, now),
                    due_at=now + host_delay,
                    answered_at=now if answered else CallbackHost.answered_at,
                    changed_at=now,
                )
            )
            is_silent = CallbackHost.answered_at.is_(None) & (
                CallbackHost.failing_since <= now - self._max_silent_seconds
            )
            silent = session.scalar(select(is_silent).where(CallbackHost.host == host.host))
            is_over = Callback.created_at < now - self._max_seconds
            over = session.scalar(select(is_over).where(Callback.id == callback.id))
        if silent:
            self._give_up(callback.host, "never answered", true())
        elif over:
            self._give_up(callback.host, "too old", is_over)

    def release(self, callbacks: Sequence[Callback]) -> None:
        """Make webhooks whose delivery was interrupted due again."""
        ids = [callback.id for callback in callbacks]
        with self._database.write() as session:
            session.execute(update(Callback).where(Callback.id.in_(ids)).values(due_at=epoch_now(), taken_until=None))

    def forget_hosts(self, seconds: float) -> int:
        """Delete hosts whose rows were not changed for this many seconds; return their number.

        At most :data:`ROWS_PER_DELETE` are deleted.
        """
        old = select(CallbackHost.host).where(CallbackHost.changed_at < epoch_now() - seconds).limit(ROWS_PER_DELETE)
        with self._database.begin() as connection:
            return connection.execute(delete(CallbackHost).where(CallbackHost.host.in_(old))).rowcount

    def reset_delays(self) -> None:
        """Make webhooks that wait longer than a delivery takes due, after the database's clock was set."""
        latest = epoch_now() + self._reserved_seconds
        with self._database.write() as session:
            session.execute(update(Callback).where(Callback.due_at > latest).values(due_at=0.0, taken_until=None))
            session.execute(update(CallbackHost).where(CallbackHost.due_at > 0).values(due_at=0.0))

    def _give_up(self, host: str, reason: str, which: ColumnElement[bool]) -> None:
        """Delete webhooks of a host, in transactions of at most :data:`ROWS_PER_DELETE` rows."""
        # In the order of the index: without it, each chunk would read all rows that earlier chunks have deleted.
        chunk = select(Callback.id).where(Callback.host == host, which).order_by(Callback.due_at).limit(ROWS_PER_DELETE)
        count = ROWS_PER_DELETE
        while count == ROWS_PER_DELETE:
            with self._database.write() as session:
                ids = session.scalars(chunk).all()
                session.execute(delete(Callback).where(Callback.id.in_(ids)))
            count = len(ids)
            log.error("webhooks given up", host=host, reason=reason, count=count)


def payload(callback: Callback) -> bytes:
    """Return the JSON body of a webhook."""
    task: dict[str, object] = {
        "id": callback.task_id,
        "owner": callback.owner,
        "attempt": callback.attempt,
        "status": callback.status,
        "result_id": callback.result_id,
    }
    if callback.status == TaskStatus.ERROR:
        task["error"] = callback.error
        task["problem"] = problem_document(callback.error_problem)
    return json.dumps({"type": f"task.{callback.status}", "task": task}, ensure_ascii=False).encode()


def _shares(
    hosts: Mapping[str, Sequence[_Host]], count: int, unproven: int, delivering: Collection[Taken]
) -> list[tuple[str, _Host, int]]:
    """Return how many webhooks each owner's hosts get: ``count`` in all, at most ``unproven`` for unproven hosts.

    Owners take turns, and so do the hosts of each.
    """
    of_owner = Counter(taken.callback.owner for taken in delivering)
    unproven_of_owner = Counter(taken.callback.owner for taken in delivering if not taken.proven)
    of_host = Counter[str]()
    shares = Counter[tuple[str, _Host]]()
    turns = deque((owner, _wishes(hosts_of_owner)) for owner, hosts_of_owner in hosts.items())
    while turns and shares.total() < count:
        owner, wishes = turns.popleft()
        if of_owner[owner] >= DELIVERIES_OF_AN_OWNER:
            continue
        may_be_unproven = unproven > 0 and unproven_of_owner[owner] < UNPROVEN_DELIVERIES_OF_AN_OWNER
        # Hosts may have webhooks of several owners.
        fits = (host for host in wishes if of_host[host.name] < host.room and (host.proven or may_be_unproven))
        host = next(fits, None)
        if host is None:
            continue
        shares[owner, host] += 1
        of_owner[owner] += 1
        of_host[host.name] += 1
        unproven -= not host.proven
        unproven_of_owner[owner] += not host.proven
        turns.append((owner, wishes))
    return [(owner, host, share) for (owner, host), share in shares.items()]


def _wishes(hosts: Sequence[_Host]) -> Iterator[_Host]:
    """Yield an owner's hosts, each once for every webhook that it may receive.

    Hosts are in random order, because in a fixed order the first would starve the last. Failing hosts come last.
    """
    # Not security-relevant.
    shuffled = sorted(random.sample(hosts, len(hosts)), key=lambda host: host.failing)  # nosec B311
    for room in range(1, DELIVERIES_OF_A_HOST + 1):
        yield from (host for host in shuffled if host.room >= room)


def _delay(tries: int, longest: float) -> float:
    return min(longest, BASE_DELAY_SECONDS * 2.0 ** min(tries, 20))


def _locked(session: Session, host: str) -> CallbackHost:
    """Return the locked row of a host; create it if it does not exist."""
    new = insert_or_ignore(session.get_bind().dialect.name, CallbackHost)
    session.execute(new.values(host=host, failures=0, due_at=0.0, changed_at=epoch_now()))
    return session.get_one(CallbackHost, host, with_for_update=True)


# Each step finds the next owner or host in an index and skips the webhooks in between.
_FIRST_OWNER = (
    select(func.min(Callback.owner).label("owner"), literal(1).label("number"))
    .where(Callback.owner > bindparam("after"))
    .cte("owners", recursive=True)
)
_OWNERS = _FIRST_OWNER.union_all(
    select(
        select(func.min(Callback.owner)).where(Callback.owner > _FIRST_OWNER.c.owner).scalar_subquery(),
        _FIRST_OWNER.c.number + 1,
    ).where(_FIRST_OWNER.c.owner.is_not(None), _FIRST_OWNER.c.number < bindparam("scanned"))
)
# The first of an index; a search for any due webhook could read all webhooks of the owner.
_EARLIEST_OF_OWNER = select(func.min(Callback.due_at)).where(Callback.owner == _OWNERS.c.owner).scalar_subquery()
_SCAN_OF_OWNERS = (
    select(_OWNERS.c.owner, (epoch_now() >= _EARLIEST_OF_OWNER).label("due"))
    .where(_OWNERS.c.owner.is_not(None))
    .order_by(_OWNERS.c.owner)
)
_FIRST_HOST = (
    select(func.min(Callback.host).label("host"), literal(1).label("number"))
    .where(Callback.owner == bindparam("owner"), Callback.host > bindparam("after"))
    .cte("hosts", recursive=True)
)
_NEXT_HOST = (
    select(func.min(Callback.host))
    .where(Callback.owner == bindparam("owner"), Callback.host > _FIRST_HOST.c.host)
    .scalar_subquery()
)
_HOSTS = _FIRST_HOST.union_all(
    select(_NEXT_HOST, _FIRST_HOST.c.number + 1).where(
        _FIRST_HOST.c.host.is_not(None), _FIRST_HOST.c.number < bindparam("scanned")
    )
)
_EARLIEST_OF_HOST = (
    select(func.min(Callback.due_at))
    .where(Callback.owner == bindparam("owner"), Callback.host == _HOSTS.c.host)
    .scalar_subquery()
)
_SCAN_OF_HOSTS = (
    select(
        _HOSTS.c.host,
        (epoch_now() >= _EARLIEST_OF_HOST).label("due"),
        select(func.count()).where(Callback.host == _HOSTS.c.host, _TAKEN).scalar_subquery().label("taken"),
        func.coalesce(CallbackHost.failures, 0).label("failures"),
        CallbackHost.answered_at,
        (func.coalesce(CallbackHost.due_at, 0.0) - epoch_now()).label("delay"),
    )
    .outerjoin_from(_HOSTS, CallbackHost, CallbackHost.host == _HOSTS.c.host)
    .where(_HOSTS.c.host.is_not(None))
    .order_by(_HOSTS.c.host)
)
