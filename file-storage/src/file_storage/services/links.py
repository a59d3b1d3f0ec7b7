"""Signed links, each of which downloads one file until it expires or is revoked.

Links for sets (``shared_sets``) are listed, changed and revoked here, too.
"""

import hmac
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from service_kit.access.principals import Principal
from service_kit.database import MAX_ID, Database, FrequentQuery, QuickReadError, epoch_now
from service_kit.errors import DomainError
from service_kit.old_rows import delete_older_than
from service_kit.texts import sentence
from sqlalchemy import bindparam, delete, exists, select, update
from sqlalchemy.orm import Session

from file_storage.models import File, Link
from file_storage.services.file_rows import HAS_ID, NOT_EXPIRED, PRESENT, SENT_COLUMNS, SentFile
from file_storage.services.shared_sets import SetSigner

MAX_LINK_SECONDS = 7 * 24 * 3600
CLOCK_SKEW_SECONDS = 300
"""Maximum clock difference between two machines: a link that expires later than our maximum allows is forged."""
_PURPOSE = b"pixmill file link\0"
_DIGITS = 16
_ID = re.compile(r"[0-9]{1,19}")
_TOKEN_OF_SET = re.compile(r"[A-Za-z0-9_-]{32}")


_LOOKED_UP_AT_ONCE = 10_000
_SETS_AT_ONCE = 100
"""Maximum number of sets in memory; each has at most 1,000 file ids."""
_FILES = select(File.id, File.owner, File.deleted_at).where(HAS_ID, NOT_EXPIRED)


class LinkClaim(NamedTuple):
    """The content of a token: link id, expiry in seconds since 1970, and the first digits of the file's SHA-256.

    The SHA-256 ties the token to the bytes, because ids may be assigned again after a backup is restored.
    """

    link_id: int
    expires_at: int
    sha256: str

    def is_of(self, expires_at: float, sha256: str) -> bool:
        """Return whether the link still has this expiry, and its file these bytes."""
        return (int(expires_at), sha256[:_DIGITS]) == (self.expires_at, self.sha256)


class LinkSigner:
    """Creates and verifies the tokens of signed links: a claim with its HMAC-SHA256.

    :param secrets: the first secret signs, all secrets verify.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = [secret.encode() for secret in secrets]

    def sign(self, claim: LinkClaim) -> str:
        """Return the token, which is never just a number."""
        text = f"{claim.link_id}.{claim.expires_at}.{claim.sha256}"
        return f"{text}.{_signature(self._secrets[0], text)}"

    def read(self, token: str) -> LinkClaim:
        """Return the content of a token.

        :raises DomainError: ``invalid-link`` if the signature is wrong or the expiry is too late; ``link-expired``.
        """
        text, _, signature = token.rpartition(".")
        # Compare as text: the last base64 letter has spare bits, so different letters could decode to the same
        # signature.
        if not any(_equal(signature, _signature(secret, text)) for secret in self._secrets):
            raise _invalid()
        link_id, expires_at, sha256 = text.split(".")
        claim = LinkClaim(int(link_id), int(expires_at), sha256)
        if claim.expires_at > time.time() + MAX_LINK_SECONDS + CLOCK_SKEW_SECONDS:
            raise _invalid()
        if claim.expires_at <= time.time():
            raise DomainError("link-expired", sentence("This link has expired; ask for a new one."))
        return claim


@dataclass(frozen=True)
class NewLink:
    """A link to create.

    :param expires_in: lifetime in seconds.
    :param disposition: how a browser treats the file; ``None`` leaves that to the request.
    :param note: purpose of the link.
    """

    expires_in: int
    disposition: str | None = None
    note: str = ""


class MadeLink(NamedTuple):
    """A link and its token, which is shown only once."""

    link: Link
    token: str


class ListedLink(NamedTuple):
    """A link as its owner sees it.

    :param file_count: number of files visible through the link.
    :param trashed_count: number of files in the trash, which would be visible again after being restored.
    """

    link: Link
    file_count: int
    trashed_count: int


class LinkedFile(NamedTuple):
    """The file of a link, and its disposition, if the link sets one."""

    file: File
    disposition: str | None


class SentByLink(NamedTuple):
    """The properties of a file for a download by a link, and its disposition, as in :class:`LinkedFile`."""

    file: SentFile
    disposition: str | None


SENT_LINK = FrequentQuery(
    select(Link.expires_at, Link.disposition, *SENT_COLUMNS)
    .join_from(Link, File, Link.file_id == File.id)
    .where(Link.id == bindparam("link_id"), PRESENT)
)


class LinkService:
    """Manages links in the database: all operations of links to one file, and those shared with links for sets."""

    def __init__(self, database: Database, signer: LinkSigner, set_signer: SetSigner) -> None:
        self._database = database
        self._signer = signer
        self._set_signer = set_signer

    def create(self, principal: Principal, file: File, new: NewLink) -> MadeLink:
        """Create a link to a file that the principal sees.

        :raises DomainError: ``file-not-found`` if the file was just deleted.
        """
        expires_at = int(time.time()) + new.expires_in
        with self._database.write() as session:
            # Lock the file, so that it cannot be deleted before the link exists.
            present = select(File.id).where(File.id == file.id, PRESENT)
            if session.scalar(present.with_for_update(key_share=True)) is None:
                raise DomainError("file-not-found", sentence("There is no file {file_id}.", file_id=file.id))
            link = Link(
                file_id=file.id,
                owner=principal.owner,
                expires_at=expires_at,
                disposition=new.disposition,
                note=new.note,
            )
            session.add(link)
            session.flush()
            session.refresh(link)
        return MadeLink(link, self._signer.sign(LinkClaim(link.id, expires_at, file.sha256[:_DIGITS])))

    def page(self, principal: Principal, after: int, limit: int) -> Sequence[ListedLink]:
        """Return at most ``limit`` unexpired links that the principal may see, after the id ``after``."""
        has_file = Link.file_id.is_(None) | exists().where(File.id == Link.file_id, PRESENT)
        seen = (Link.id > after, Link.expires_at > epoch_now(), has_file, principal.owns(Link.owner))
        with self._database.read() as session:
            found = session.scalars(select(Link).where(*seen).order_by(Link.id).limit(limit)).all()
            return _counted(session, found)

    def revoke(self, principal: Principal, link: str) -> None:
        """Revoke a link.

        :param link: its id, or its token.
        :raises DomainError: ``link-not-found``; for a token also as in :meth:`LinkSigner.read`.
        """
        link_id = self._id_of(link)
        statement = delete(Link).where(Link.id == link_id, principal.owns(Link.owner)).returning(Link.id)
        with self._database.write() as session:
            if session.scalar(statement) is None:
                raise _not_found(link_id)

    def change(self, principal: Principal, link: str, note: str | None, expires_in: int | None) -> ListedLink:
        """Change a link that has not expired; ``None`` keeps the old value.

        :param link: its id, or its token.
        :param expires_in: seconds from now; only for a link to a set.
        :raises DomainError: ``link-not-found``; ``link-expiry-signed`` if the link is to one file; for a token also as
            in :meth:`LinkSigner.read`.
        """
        link_id = self._id_of(link)
        seen = (Link.id == link_id, Link.expires_at > epoch_now(), principal.owns(Link.owner))
        with self._database.write() as session:
            found = session.scalar(select(Link).where(*seen).with_for_update())
            if found is None:
                raise _not_found(link_id)
            if expires_in is not None and found.file_id is not None:
                detail = sentence(
                    "The expiry of a link to one file cannot change, because it is part of the URL; create a new link."
                )
                raise DomainError("link-expiry-signed", detail)
            changes = {
                **({} if note is None else {"note": note}),
                **({} if expires_in is None else {"expires_at": epoch_now() + expires_in}),
            }
            if changes:
                session.execute(update(Link).where(Link.id == link_id).values(changes))
                session.refresh(found)
            return _counted(session, [found])[0]

    def _id_of(self, link: str) -> int:
        """Return a link's id.

        :param link: the id, or the token.
        :raises DomainError: ``link-not-found``; for the token of a signed link as in :meth:`LinkSigner.read`.
        """
        if _ID.fullmatch(link):
            if not 0 < int(link) <= MAX_ID:
                raise _not_found(int(link))
            return int(link)
        if not _TOKEN_OF_SET.fullmatch(link):
            return self._signer.read(link).link_id
        query = select(Link.id).where(Link.token_digest.in_(self._set_signer.digests(link)))
        with self._database.connect() as connection:
            link_id = connection.scalar(query)
        if link_id is None:
            raise DomainError("link-not-found", sentence("There is no such link."), context={"link_id": None})
        return link_id

    def file(self, token: str) -> LinkedFile:
        """Return the file of a token.

        :raises DomainError: ``invalid-link`` and ``link-expired`` as in :meth:`LinkSigner.read`; ``link-not-found``.
        """
        claim = self._signer.read(token)
        query = select(File, Link).join(Link, Link.file_id == File.id).where(Link.id == claim.link_id, PRESENT)
        with self._database.read() as session:
            found = session.execute(query).one_or_none()
        if found is not None:
            file, link = found
            if claim.is_of(link.expires_at, file.sha256):
                return LinkedFile(file, link.disposition)
        raise DomainError(
            "link-not-found",
            sentence("This link was revoked, or its file was deleted; ask for a new one."),
            context={"link_id": claim.link_id},
        )

    def sent(self, token: str) -> SentByLink | None:
        """Return the data for a download by this token; ``None`` if :meth:`file` must raise the error."""
        try:
            claim = self._signer.read(token)
            row = self._database.first_row(SENT_LINK, {"link_id": claim.link_id})
        except (DomainError, QuickReadError):
            return None
        if row is None:
            return None
        expires_at, disposition, *columns = cast("tuple[float, str | None, *tuple[object, ...]]", row)
        file = SentFile(*cast("SentFile", columns))
        return SentByLink(file, disposition) if claim.is_of(expires_at, file.sha256) else None


def forget_expired(database: Database) -> int:
    """Delete expired links, to one file and for sets, in steps; return their number."""
    return delete_older_than(database, Link, Link.expires_at, 0)


def _counted(session: Session, links: Sequence[Link]) -> Sequence[ListedLink]:
    """Return links with their numbers of files; only those of sets are queried."""
    sets = [link for link in links if link.file_id is None]
    counts: dict[int, tuple[int, int]] = {}
    for first in range(0, len(sets), _SETS_AT_ONCE):
        counts |= _counts_of_sets(session, sets[first : first + _SETS_AT_ONCE])
    return [ListedLink(link, *counts.get(link.id, (1, 0))) for link in links]


def _counts_of_sets(session: Session, links: Sequence[Link]) -> Mapping[int, tuple[int, int]]:
    """Return by id of the link its numbers of visible files and of files in the trash."""
    sets = [link.id for link in links]
    chosen = select(Link.id, Link.file_ids).where(Link.id.in_(sets))
    ids_of = {row.id: row.file_ids or [] for row in session.execute(chosen)}
    wanted = sorted({file_id for file_ids in ids_of.values() for file_id in file_ids})
    found: dict[int, tuple[str, bool]] = {}
    for first in range(0, len(wanted), _LOOKED_UP_AT_ONCE):
        rows = session.execute(_FILES, {"ids": wanted[first : first + _LOOKED_UP_AT_ONCE]})
        found |= {row.id: (row.owner, row.deleted_at is not None) for row in rows}

    def counts(link: Link) -> tuple[int, int]:
        # A link that was just revoked is no longer found.
        files = [found[file_id] for file_id in ids_of.get(link.id, []) if file_id in found]
        trashed = [is_trashed for owner, is_trashed in files if link.sees_all or owner == link.owner]
        return len(trashed) - sum(trashed), sum(trashed)

    return {link.id: counts(link) for link in links}


def _signature(secret: bytes, text: str) -> str:
    digest = hmac.digest(secret, _PURPOSE + text.encode(), "sha256")
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _not_found(link_id: int) -> DomainError:
    return DomainError("link-not-found", sentence("There is no link {link_id}.", link_id=link_id))


def _invalid() -> DomainError:
    return DomainError("invalid-link", sentence("This link was not created by this server, or is incomplete."))
