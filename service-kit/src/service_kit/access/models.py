"""The tables of access control: owners, keys, browser sessions, wrong keys and the audit trail.

Times are seconds since 1970.
"""

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Integer, SmallInteger, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from service_kit.database import Id, epoch_now


class Base(DeclarativeBase):
    pass


class Owner(Base):
    """An owner of files and tasks; limits apply to all keys of the owner together, and ``None`` means no limit."""

    __tablename__ = "access_owners"

    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    max_bytes: Mapped[int | None] = mapped_column(BigInteger)
    max_files: Mapped[int | None] = mapped_column(BigInteger)
    max_pending_tasks: Mapped[int | None] = mapped_column(BigInteger)
    max_requests_per_second: Mapped[int | None] = mapped_column(Integer)
    max_listeners: Mapped[int | None] = mapped_column(Integer)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())


class Key(Base):
    """A key.

    Only the SHA-256 of its secret is stored: the secret has 256 random bits, so a slow hash would add nothing.
    """

    __tablename__ = "access_keys"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    owner: Mapped[str] = mapped_column(ForeignKey("access_owners.name"), index=True)
    note: Mapped[str] = mapped_column(String(255), default="")
    sha256: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    expires_at: Mapped[float | None] = mapped_column(Double)
    last_used_at: Mapped[float | None] = mapped_column(Double)
    revoked_at: Mapped[float | None] = mapped_column(Double)


class BrowserSession(Base):
    """A browser that signed in with a key; the session ends with the key."""

    __tablename__ = "access_sessions"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(ForeignKey("access_keys.id", ondelete="CASCADE"), index=True)
    expires_at: Mapped[float] = mapped_column(Double, index=True)


class WrongKey(Base):
    """The number of wrong keys that a network has sent within its current minute, and the end of that minute.

    :ivar address: an IPv4 address or the /64 of an IPv6 address.
    """

    __tablename__ = "access_wrong_keys"

    address: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int] = mapped_column(Integer)
    until: Mapped[float] = mapped_column(Double, index=True)


class AuditEntry(Base):
    """A change, made or refused; triggers refuse to edit a row, and to delete it before its time."""

    __tablename__ = "access_audit"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy's own form)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    time: Mapped[float] = mapped_column(Double, index=True)
    owner: Mapped[str] = mapped_column(String(64))
    key_id: Mapped[str | None] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(255))
    object: Mapped[str] = mapped_column(Text)
    status: Mapped[int] = mapped_column(SmallInteger)
    request_id: Mapped[str] = mapped_column(String(128))
