"""Creates, lists, revokes and looks up keys."""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import ColumnElement, delete, or_, select, tuple_, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import ReturningDelete

from service_kit.access.models import BrowserSession, Key, Owner
from service_kit.access.principals import UNLIMITED, Limits, Principal, Scope
from service_kit.database import Database, dialect_of, epoch_now, insert_or_ignore
from service_kit.errors import DomainError, FieldError
from service_kit.old_rows import delete_step
from service_kit.texts import sentence

CACHE_SECONDS = 5.0
"""How long a process caches a key: a revoked key stops working within this time."""

USE_SECONDS = 60
"""Minimum time between two updates of a key's last use."""

SESSIONS_OF_A_KEY = 20
"""Maximum number of browser sessions of a key: enough for all browsers of a person, too few to fill the table."""

_CACHE_SIZE = 10_000
_SECRET = re.compile(r"pxm_([0-9a-f]{12})_[A-Za-z0-9_-]{43}")
_OWNER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class NewKey(NamedTuple):
    """A new key with its secret, which is shown only once."""

    key: Key
    secret: str


@dataclass(frozen=True)
class KeyRequest:
    """The properties of a key to create.

    :param owner: 1 to 64 of ``a-z 0-9 . _ -``, starting with a letter or digit; created if it does not exist.
    :param expires_in: in seconds; ``None`` for a key that does not expire.
    """

    owner: str
    scopes: frozenset[Scope]
    note: str = ""
    expires_in: float | None = None


class KeyService:
    """The keys in the database, with a short-lived cache of those in use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[float, Principal | None]] = {}
        self._limits: dict[str, tuple[float, Limits]] = {}

    def create(self, wanted: KeyRequest) -> NewKey:
        """Create a key.

        :raises DomainError: ``invalid-fields``, the owner's name is invalid or no scope is given.
        """
        if not _OWNER.fullmatch(wanted.owner):
            detail = sentence(
                "An owner's name must have 1 to 64 of the characters a-z, 0-9, '.', '_' and '-', and begin with a"
                " letter or digit."
            )
            raise _invalid("/owner", "owner_name", detail)
        if not wanted.scopes:
            raise _invalid("/scopes", "no_scope", sentence("A key needs at least one scope."))
        with self._database.write() as session:
            return _insert(session, wanted)

    def page(self, after: str, limit: int) -> Sequence[Key]:
        """Return at most ``limit`` keys, newest last.

        :param after: only keys after the one with this id; "" for the first page.
        """
        statement = select(Key).order_by(Key.created_at, Key.id).limit(limit)
        if after:
            created = select(Key.created_at).where(Key.id == after).scalar_subquery()
            # With "or" instead, PostgreSQL would read all earlier keys.
            statement = statement.where(tuple_(Key.created_at, Key.id) > tuple_(created, after))
        with self._database.read() as session:
            return session.scalars(statement).all()

    def revoke(self, key_id: str) -> Key:
        """Revoke a key, and end the browser sessions that it opened, within :data:`CACHE_SECONDS`.

        :raises DomainError: ``key-not-found``.
        """
        with self._database.write() as session:
            key = session.get(Key, key_id, with_for_update=True)
            if key is None:
                raise DomainError("key-not-found", sentence("There is no key '{key_id}'.", key_id=key_id))
            if key.revoked_at is None:
                session.execute(update(Key).where(Key.id == key_id).values(revoked_at=epoch_now()))
            session.execute(delete(BrowserSession).where(BrowserSession.key_id == key_id))
            session.refresh(key)
        self._known.clear()
        return key

    def rotate(self, key_id: str, overlap_seconds: float) -> NewKey:
        """Create a key like an existing one, and let the old one expire after ``overlap_seconds``.

        If the old key expires, the new one is valid for as long as the old one was from its creation to its expiry.

        :raises DomainError: ``key-not-found``, the key does not exist or has expired.
        """
        with self._database.write() as session:
            old = session.scalar(select(Key).where(Key.id == key_id, _valid()).with_for_update())
            if old is None:
                raise DomainError("key-not-found", sentence("There is no valid key '{key_id}'.", key_id=key_id))
            lifetime = None if old.expires_at is None else old.expires_at - old.created_at
            new = _insert(session, KeyRequest(old.owner, _scopes(old), old.note, lifetime))
            end = epoch_now() + overlap_seconds
            lasts_longer = or_(Key.expires_at.is_(None), Key.expires_at > end)
            session.execute(update(Key).where(Key.id == key_id, lasts_longer).values(expires_at=end))
        self._known.clear()
        return new

    def recognize(self, secret: str) -> Principal | None:
        """Return the holder of this key; ``None`` if the key does not exist or has expired."""
        found = _SECRET.fullmatch(secret)
        if found is None:
            return None
        key_id, digest = found[1], _hash(secret)

        def find(session: Session) -> Key | None:
            key = session.scalar(select(Key).where(Key.id == key_id, _valid()))
            return key if key is not None and hmac.compare_digest(key.sha256, digest) else None

        return self._remembered(digest, find)

    def recognize_session(self, token: str) -> Principal | None:
        """Return the holder of this session; ``None`` if the session or its key has expired."""
        digest = _hash(token)
        lasting = (BrowserSession.sha256 == digest, BrowserSession.expires_at > epoch_now(), _valid())
        statement = select(Key).join(BrowserSession, BrowserSession.key_id == Key.id).where(*lasting)
        return self._remembered(digest, lambda session: session.scalar(statement))

    def limits(self, owner: str) -> Limits:
        """Return the limits of an owner, at most :data:`CACHE_SECONDS` old; an owner without keys has no limits."""
        remembered = self._limits.get(owner)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        with self._database.read() as session:
            found = session.get(Owner, owner)
        limits = UNLIMITED if found is None else _limits(found)
        if len(self._limits) >= _CACHE_SIZE:
            self._limits.clear()
        self._limits[owner] = time.monotonic() + CACHE_SECONDS, limits
        return limits

    def sign_in(self, principal: Principal, seconds: float) -> str:
        """Start a browser session with the key of this principal, and return its token.

        Of more than :data:`SESSIONS_OF_A_KEY`, those that expire first end.
        """
        token = secrets.token_urlsafe(32)
        delete_step(self._database, BrowserSession, BrowserSession.expires_at, 0)
        with self._database.write() as session:
            # Of two who sign in at the same time, the second sees the session of the first.
            session.get(Key, principal.key_id, with_for_update=True)
            ended = session.scalars(_end_sessions(principal.key_id)).all()
            session.add(BrowserSession(sha256=_hash(token), key_id=principal.key_id, expires_at=epoch_now() + seconds))
        for digest in ended:
            self._known.pop(digest, None)
        return token

    def sign_out(self, token: str) -> None:
        """End a browser session."""
        with self._database.write() as session:
            session.execute(delete(BrowserSession).where(BrowserSession.sha256 == _hash(token)))
        self._known.pop(_hash(token), None)

    def _remembered(self, digest: str, find: Callable[[Session], Key | None]) -> Principal | None:
        remembered = self._known.get(digest)
        if remembered is not None and remembered[0] > time.monotonic():
            return remembered[1]
        with self._database.read() as session:
            key = find(session)
            principal = None if key is None else _principal(key, session.get_one(Owner, key.owner))
        if key is not None:
            self._record_use(key)
        if len(self._known) >= _CACHE_SIZE:
            self._known.clear()
        self._known[digest] = time.monotonic() + CACHE_SECONDS, principal
        return principal

    def _record_use(self, key: Key) -> None:
        long_ago = or_(Key.last_used_at.is_(None), Key.last_used_at < epoch_now() - USE_SECONDS)
        if key.last_used_at is None or time.time() - key.last_used_at > USE_SECONDS:
            with self._database.write() as session:
                session.execute(update(Key).where(Key.id == key.id, long_ago).values(last_used_at=epoch_now()))


def _insert(session: Session, wanted: KeyRequest) -> NewKey:
    connection = session.connection()
    connection.execute(
        insert_or_ignore(dialect_of(connection), Owner).values(name=wanted.owner, created_at=epoch_now())
    )
    key_id = secrets.token_hex(6)
    secret = f"pxm_{key_id}_{secrets.token_urlsafe(32)}"
    key = Key(
        id=key_id,
        owner=wanted.owner,
        note=wanted.note,
        sha256=_hash(secret),
        scopes=sorted(wanted.scopes),
        expires_at=None if wanted.expires_in is None else epoch_now() + wanted.expires_in,
    )
    session.add(key)
    session.flush()
    session.refresh(key)
    return NewKey(key, secret)


def _end_sessions(key_id: str | None) -> ReturningDelete[str]:
    """Return the statement that makes room for a new session of a key: it deletes those that expire first."""
    of_key = (BrowserSession.key_id == key_id, BrowserSession.expires_at > epoch_now())
    newest_first = select(BrowserSession.sha256).where(*of_key).order_by(BrowserSession.expires_at.desc())
    surplus = newest_first.offset(SESSIONS_OF_A_KEY - 1)
    return delete(BrowserSession).where(BrowserSession.sha256.in_(surplus)).returning(BrowserSession.sha256)


def _valid() -> ColumnElement[bool]:
    return Key.revoked_at.is_(None) & or_(Key.expires_at.is_(None), Key.expires_at > epoch_now())


def _principal(key: Key, owner: Owner) -> Principal:
    return Principal(owner.name, _scopes(key), key.id, _limits(owner))


def _limits(owner: Owner) -> Limits:
    return Limits(
        bytes=owner.max_bytes,
        files=owner.max_files,
        pending_tasks=owner.max_pending_tasks,
        requests_per_second=owner.max_requests_per_second,
        listeners=owner.max_listeners,
    )


def _scopes(key: Key) -> frozenset[Scope]:
    # After a downgrade, a scope that only a newer version knows allows nothing.
    return frozenset(Scope(name) for name in key.scopes if name in frozenset(Scope))


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _invalid(pointer: str, code: str, detail: str) -> DomainError:
    return DomainError("invalid-fields", detail, [FieldError(pointer=pointer, detail=detail, code=code)])
