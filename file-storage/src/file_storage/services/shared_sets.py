"""Links for sets of files: a token, and perhaps a password, gives access to the files until the link expires.

The database stores only an HMAC of the token, so a copy of the database opens no link.
"""

import hmac
import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service_kit.access.principals import ALL_SCOPES, READER, Principal
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from service_kit.texts import sentence
from sqlalchemy import bindparam, case, or_, select, update

from file_storage.models import File, Link
from file_storage.services.errors import file_not_found, files_not_found
from file_storage.services.file_rows import HAS_ID, PRESENT, find_file, find_files_to_send
from file_storage.services.passwords import hashed, matches

MAX_FILES = 1000
MAX_SET_SECONDS = 90 * 24 * 3600
FAILURES_PER_MINUTE = 10
"""Number of wrong passwords per link and minute after which none is compared, so that guessing takes years.

Each process compares one password of a link at a time, so simultaneous guesses exceed the number by at most one for
each other process.
"""
UNLOCKED_SECONDS = 3600
"""Seconds for which a link stays open after the password was given."""

_WINDOW_SECONDS = 60
_TOKEN_BYTES = 24
_TOKEN_PURPOSE, _TICKET_PURPOSE = b"pixmill link of a set\0", b"pixmill unlocked set\0"
_MAX_KNOWN = 10_000
_LOCKS = 64
"""Number of locks that all links share; two links with the same lock only wait for each other."""

# Ordered by id, so that two transactions lock the files in the same order.
_LOCKED_FILES = select(File.id).where(HAS_ID, PRESENT).order_by(File.id).with_for_update(key_share=True)
_IS_OLD = Link.failures_until <= epoch_now()
_IS_BLOCKED = select(Link.id).where(
    Link.id == bindparam("link_id"), Link.failures >= FAILURES_PER_MINUTE, Link.failures_until > epoch_now()
)
_COUNT_FAILURE = (
    update(Link)
    .where(Link.id == bindparam("link_id"), or_(_IS_OLD, Link.failures < FAILURES_PER_MINUTE))
    .values(
        failures=case((_IS_OLD, 1), else_=Link.failures + 1),
        failures_until=case((_IS_OLD, epoch_now() + _WINDOW_SECONDS), else_=Link.failures_until),
    )
    .returning(Link.id)
)


@dataclass(frozen=True)
class NewSet:
    """A link for several files to create.

    :param expires_in: lifetime in seconds.
    :param disposition: how a browser treats a file; ``None`` leaves that to the request.
    :param note: text for people who open the link.
    """

    file_ids: Sequence[int]
    expires_in: int
    note: str = ""
    password: str | None = None
    disposition: str | None = None


class MadeSet(NamedTuple):
    """A link and its token, which is shown only once."""

    link: Link
    token: str


@dataclass(frozen=True)
class SharedSet:
    """A link found by its token.

    :param viewer: a principal that can see the files visible to the link's creator.
    """

    link_id: int
    note: str
    expires_at: float
    disposition: str | None
    file_ids: Sequence[int]
    viewer: Principal
    password_hash: str | None


class SetSigner:
    """Signs tokens and tickets of links for sets with HMAC-SHA256.

    :param secrets: the first secret signs, all secrets verify.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def digests(self, token: str) -> Sequence[str]:
        """Return the digests of a token that may be in the database; a new token is stored with the first."""
        # A client may send text that is not valid UTF-8.
        text = token.encode(errors="surrogateescape")
        return [hmac.digest(secret, _TOKEN_PURPOSE + text, "sha256").hex() for secret in self._secrets]

    def ticket(self, shared: SharedSet, expires_at: int) -> str:
        """Return a ticket that opens a link without its password until the ticket expires or the password changes."""
        return f"{expires_at}.{_signature(self._secrets[0], shared, str(expires_at))}"

    def is_valid(self, ticket: str, shared: SharedSet) -> bool:
        """Return whether a ticket opens a link now."""
        expires_at, _, signature = ticket.partition(".")
        given = signature.encode(errors="surrogateescape")
        is_ours = any(
            hmac.compare_digest(given, _signature(secret, shared, expires_at).encode()) for secret in self._secrets
        )
        return is_ours and int(expires_at) > time.time()


class SharedSets:
    """Manages links for sets of files in the database."""

    def __init__(self, database: Database, signer: SetSigner) -> None:
        self._database = database
        self._signer = signer
        self._known = _KnownPasswords()
        self._comparing = [threading.Lock() for _ in range(_LOCKS)]

    def create(self, principal: Principal, new: NewSet) -> MadeSet:
        """Create a link to files that the principal can see; duplicate ids count once.

        :raises DomainError: ``file-not-found``, naming the files that the principal cannot see.
        """
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        password_hash = hashed(new.password) if new.password is not None else None
        file_ids = list(dict.fromkeys(new.file_ids))
        with self._database.write() as session:
            locked = _LOCKED_FILES if principal.sees_all else _LOCKED_FILES.where(principal.owns(File.owner))
            found = set(session.scalars(locked, {"ids": file_ids}))
            if missing := [file_id for file_id in file_ids if file_id not in found]:
                raise files_not_found(missing, "/file_ids")
            link = Link(
                owner=principal.owner,
                expires_at=epoch_now() + new.expires_in,
                disposition=new.disposition,
                note=new.note,
                token_digest=self._signer.digests(token)[0],
                file_ids=file_ids,
                file_count=len(file_ids),
                sees_all=principal.sees_all,
                password_hash=password_hash,
            )
            session.add(link)
            session.flush()
            session.refresh(link)
        return MadeSet(link, token)

    def find(self, token: str) -> SharedSet:
        """Return the link of a token.

        :raises DomainError: ``link-not-found``, also if the link has expired or was revoked.
        """
        query = select(
            Link.id,
            Link.note,
            Link.expires_at,
            Link.disposition,
            Link.file_ids,
            Link.owner,
            Link.sees_all,
            Link.password_hash,
        ).where(Link.token_digest.in_(self._signer.digests(token)), Link.expires_at > epoch_now())
        with self._database.connect() as connection:
            found = connection.execute(query).one_or_none()
        if found is None:
            detail = sentence("This link does not exist, has expired or was revoked.")
            raise DomainError("link-not-found", detail, context={"link_id": None})
        return SharedSet(
            link_id=found.id,
            note=found.note,
            expires_at=found.expires_at,
            disposition=found.disposition,
            file_ids=found.file_ids,
            viewer=Principal(found.owner, ALL_SCOPES if found.sees_all else READER),
            password_hash=found.password_hash,
        )

    def files(self, shared: SharedSet) -> Sequence[File]:
        """Return the files that still exist, in the order of the link."""
        with self._database.connect() as connection:
            found = {file.id: file for file in find_files_to_send(connection, shared.viewer, shared.file_ids)}
        return [found[file_id] for file_id in shared.file_ids if file_id in found]

    def file(self, shared: SharedSet, file_id: int) -> File:
        """Return a file of the set.

        :raises DomainError: ``file-not-found`` if it is not in the set or was deleted.
        """
        if file_id in shared.file_ids:
            with self._database.connect() as connection:
                found = find_file(connection, shared.viewer, file_id)
            if found is not None:
                return found
        raise file_not_found(file_id)

    def is_opened_by(self, password: str, shared: SharedSet) -> bool:
        """Return whether a password opens a link; count wrong passwords.

        :raises DomainError: ``too-many-passwords`` if there were too many wrong ones in the last minute.
        """
        if shared.password_hash is None or self._known.has(shared, password):
            return True
        with self._comparing[shared.link_id % _LOCKS]:
            # An earlier request with the same password may have just been compared.
            if self._known.has(shared, password):
                return True
            with self._database.connect() as connection:
                is_blocked = connection.scalar(_IS_BLOCKED, {"link_id": shared.link_id}) is not None
            if is_blocked:
                raise _too_many_passwords()
            if matches(password, shared.password_hash):
                self._known.add(shared, password)
                return True
            with self._database.begin() as connection:
                counted = connection.scalar(_COUNT_FAILURE, {"link_id": shared.link_id})
        if counted is None:
            raise _too_many_passwords()
        return False

    def ticket(self, shared: SharedSet) -> tuple[str, int]:
        """Return a ticket that opens the link without its password, and the ticket's expiry."""
        expires_at = int(min(time.time() + UNLOCKED_SECONDS, shared.expires_at))
        return self._signer.ticket(shared, expires_at), expires_at

    def is_ticket(self, ticket: str, shared: SharedSet) -> bool:
        """Return whether this is a valid ticket of the link."""
        return self._signer.is_valid(ticket, shared)


class _KnownPasswords:
    """Caches recently verified passwords, so that clients which send one with each request do not wait for a hash.

    It stores only HMACs, with a secret that is lost when the process ends.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._until: dict[bytes, float] = {}
        self._lock = threading.Lock()

    def has(self, shared: SharedSet, password: str) -> bool:
        return self._until.get(self._key(shared, password), 0.0) > time.monotonic()

    def add(self, shared: SharedSet, password: str) -> None:
        with self._lock:
            if len(self._until) >= _MAX_KNOWN:
                self._until.clear()
            self._until[self._key(shared, password)] = time.monotonic() + _WINDOW_SECONDS

    def _key(self, shared: SharedSet, password: str) -> bytes:
        text = f"{shared.link_id}\0{shared.password_hash}\0{password}"
        return hmac.digest(self._secret, text.encode(errors="surrogateescape"), "sha256")


def _too_many_passwords() -> DomainError:
    detail = sentence("Too many wrong passwords for this link; wait a minute.")
    return DomainError("too-many-passwords", detail, retry_after=_WINDOW_SECONDS)


def _signature(secret: bytes, shared: SharedSet, expires_at: str) -> str:
    text = f"{shared.link_id}\0{shared.password_hash}\0{expires_at}".encode(errors="surrogateescape")
    return urlsafe_b64encode(hmac.digest(secret, _TICKET_PURPOSE + text, "sha256")).decode().rstrip("=")
