"""Files, the blobs with their bytes, objects in S3, idempotency keys, uploads, links, events and chores."""

from collections.abc import Collection
from enum import StrEnum

from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import Id, epoch_now
from service_kit.events.rows import Event, Key
from service_kit.housekeeping import ChoreRow
from sqlalchemy import JSON, BigInteger, Double, Enum, ForeignKey, Index, String, Text, and_, or_, text
from sqlalchemy.orm import DeclarativeBase, Mapped, foreign, mapped_column, relationship

UPLOAD, RESULT = "upload", "result"
"""Origins of files: uploaded by a user, or made by a task."""

_FOLDED = Text(collation="C").with_variant(Text(), "sqlite")
_FOLDER = String(500, collation="C").with_variant(String(500), "sqlite")


class Base(DeclarativeBase):
    pass


class Blob(Base):
    """Stored bytes, named by their SHA-256 and shared by identical files.

    A row with ``file_count`` 0 is about to be removed with its bytes; an upload of the same bytes revives it.
    """

    __tablename__ = "blobs"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    size: Mapped[int] = mapped_column(BigInteger)
    file_count: Mapped[int] = mapped_column(BigInteger)


class ObjectState(StrEnum):
    """What an object in S3 is for.

    ``PENDING``: an upload is writing it. ``USED``: it has the bytes of a blob. ``UNUSED``: no blob will ever have it,
    so it may be deleted at any time. ``DAMAGED``: its bytes are wrong; it is moved away, then its row is deleted.
    """

    PENDING = "pending"
    USED = "used"
    UNUSED = "unused"
    DAMAGED = "damaged"


class StoredObject(Base):
    """An object in S3, which is written at most once. Only one object of a SHA-256 is used.

    The row is inserted before the object is written, and deleted after the object.
    """

    __tablename__ = "stored_objects"

    name: Mapped[str] = mapped_column(String(128), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    state: Mapped[ObjectState] = mapped_column(
        Enum(ObjectState, native_enum=False, length=8, values_callable=list, create_constraint=False)
    )
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())


class StorageTotal(Base):
    """One database connection's share of the totals over all blobs, maintained by triggers.

    ``bytes`` counts each blob that has files once, ``files`` every file, ``reserved`` the bytes of unfinished uploads.
    ``trashed_bytes`` counts each file in the trash; the other totals include these files. Row 0 has the shares of
    closed connections.
    """

    __tablename__ = "storage_totals"

    connection: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    trashed_bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")
    trashed_files: Mapped[int] = mapped_column(BigInteger, server_default="0")


class OwnerTotal(Base):
    """One database connection's share of an owner's totals, as in :class:`StorageTotal`; ``bytes`` counts each file."""

    __tablename__ = "owner_totals"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    connection: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)
    files: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)


class FileCount(Base):
    """One database connection's share of an owner's files of a kind and a month, as in :class:`OwnerTotal`.

    ``kind`` is the first part of the media type, such as ``image``; ``month`` is the month of the upload in UTC, such
    as ``2026-11``. ``bytes`` counts each file.
    """

    __tablename__ = "file_counts"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(255), primary_key=True)
    month: Mapped[str] = mapped_column(String(16), primary_key=True)
    connection: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    files: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)


class File(Base):
    """A file as users see it. Times are seconds since 1970 by the database's clock."""

    __tablename__ = "files"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy's own form)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), server_default=LOCAL_OWNER)
    name: Mapped[str] = mapped_column(String(255))
    extension: Mapped[str] = mapped_column(String(255))
    comment: Mapped[str] = mapped_column(String(10_000))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(ForeignKey("blobs.sha256"), index=True)
    media_type: Mapped[str] = mapped_column(String(255, collation="C").with_variant(String(255), "sqlite"))
    width: Mapped[int | None]
    height: Mapped[int | None]
    search_name: Mapped[str] = mapped_column(_FOLDED)
    """Name and extension, case folded, for search and sorting."""
    search_comment: Mapped[str | None] = mapped_column(_FOLDED)
    """The comment, case folded, for search; ``None`` without one."""
    folder: Mapped[str] = mapped_column(_FOLDER, server_default="")
    """For example ``holiday/2026``; empty for no folder. It is never a path on disk."""
    origin: Mapped[str] = mapped_column(String(8), server_default=UPLOAD)
    """:data:`UPLOAD` or :data:`RESULT`."""
    source_id: Mapped[int | None] = mapped_column(BigInteger)
    """The file from which a task made this one; it may be deleted."""
    task_id: Mapped[int | None] = mapped_column(BigInteger)
    """The task that made this file."""
    batch_id: Mapped[int | None] = mapped_column(BigInteger)
    """The batch of that task."""
    taken_at: Mapped[float | None] = mapped_column(Double)
    """Time when a camera took the image, from its EXIF."""
    expires_at: Mapped[float | None] = mapped_column(Double)
    """After this time the file is invisible to everyone, and housekeeping removes it."""
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    updated_at: Mapped[float] = mapped_column(Double, default=epoch_now(), onupdate=epoch_now())
    deleted_at: Mapped[float | None] = mapped_column(Double)
    """Time when the file was moved to the trash; ``None`` if it is not there."""


class IdempotencyKey(Base):
    """The file created by an upload with this key, and a fingerprint of the upload.

    A key without a file is revoked and cannot be used again. Each owner has keys of its own.
    """

    __tablename__ = "idempotency_keys"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True, server_default=LOCAL_OWNER)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    file_id: Mapped[int | None] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now(), index=True)


class UploadKind(StrEnum):
    """What an upload is for.

    ``FILE``: its bytes become a file. ``PART``: they become a part of a final upload. ``FINAL``: its file was made of
    parts. ``PROMISE``: it has no bytes; it promises room to the body of one request, and is invisible to tus.
    """

    FILE = "file"
    PART = "part"
    FINAL = "final"
    PROMISE = "promise"


class Upload(Base):
    """A resumable upload (tus 1.0.0), whose offset is the size of its partial file, or a promise of room."""

    __tablename__ = "uploads"
    __table_args__ = (
        Index(
            "ix_uploads_unfinished_owner",
            "owner",
            "expires_at",
            postgresql_where=text("finished IS false"),
            sqlite_where=text("finished IS 0"),
        ),
    )

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    owner: Mapped[str] = mapped_column(String(64), server_default=LOCAL_OWNER)
    reserved: Mapped[int] = mapped_column(BigInteger, server_default="0")
    """Bytes that count towards quotas while the upload is unfinished: its length, or the received bytes."""
    length: Mapped[int | None] = mapped_column(BigInteger)
    """Length in bytes; ``None`` until the client sends it. Of a promise: its bytes on the disk, with all copies."""
    kind: Mapped[UploadKind] = mapped_column(
        Enum(UploadKind, native_enum=False, length=8, values_callable=list, create_constraint=False),
        server_default=UploadKind.FILE,
    )
    metadata_header: Mapped[str] = mapped_column(Text)
    """Upload-Metadata as received."""
    concat_header: Mapped[str | None] = mapped_column(Text)
    """Upload-Concat as received."""
    name: Mapped[str] = mapped_column(String(255))
    extension: Mapped[str] = mapped_column(String(255))
    comment: Mapped[str] = mapped_column(String(10_000))
    folder: Mapped[str] = mapped_column(_FOLDER, server_default="")
    expires_in: Mapped[int | None] = mapped_column(BigInteger)
    """Seconds between the upload's completion and the file's expiry."""
    expires_at: Mapped[float] = mapped_column(Double, index=True)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("files.id", ondelete="SET NULL"), index=True)
    """The file that the finished upload became."""
    finished: Mapped[bool]


class Link(Base):
    """A link for reading one file or a set of files until it expires; deleting the row revokes it."""

    __tablename__ = "links"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 (SQLAlchemy's own form)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    file_id: Mapped[int | None] = mapped_column(ForeignKey("files.id", ondelete="CASCADE"), index=True)
    """The file that a signed link downloads; ``None`` for a set. Columns after ``note`` are used only for sets."""
    owner: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    expires_at: Mapped[float] = mapped_column(Double, index=True)
    disposition: Mapped[str | None] = mapped_column(String(16))
    """How a browser treats the file; ``None`` leaves that to the request."""
    note: Mapped[str] = mapped_column(String(255))
    token_digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    """An HMAC of the token of a link for a set."""
    file_ids: Mapped[list[int] | None] = mapped_column(JSON(none_as_null=True), deferred=True)
    """Ids in the order of the set, including deleted files. Deferred, because it would make lists of links long."""
    file_count: Mapped[int] = mapped_column(server_default="1")
    sees_all: Mapped[bool] = mapped_column(server_default="false")
    """Whether the link's creator could see the files of all owners, or only its own."""
    password_hash: Mapped[str | None] = mapped_column(String(255))
    failures: Mapped[int] = mapped_column(server_default="0")
    """Number of wrong passwords until ``failures_until``."""
    failures_until: Mapped[float] = mapped_column(Double, server_default="0")


class FileChange(StrEnum):
    """The kind of a file's change."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


class FileEvent(Event, Base):
    """A change of a file."""

    __tablename__ = "file_events"
    __table_args__ = (
        Index("file_events_order", "transaction_id", "id"),
        Index("file_events_file", "file_id"),
        Index("file_events_owner", "owner", "transaction_id", "id"),
        {"sqlite_autoincrement": True},
    )

    file_id: Mapped[int] = mapped_column(BigInteger)
    change: Mapped[FileChange] = mapped_column(Enum(FileChange, native_enum=False, length=8, values_callable=list))

    file: Mapped[File | None] = relationship(
        primaryjoin=lambda: and_(
            foreign(FileEvent.file_id) == File.id,
            File.deleted_at.is_(None),
            or_(File.expires_at.is_(None), File.expires_at > epoch_now()),
        ),
        viewonly=True,
        lazy="selectin",
    )
    """The file's current state; ``None`` if it was deleted or has expired."""

    def keys(self) -> Collection[Key]:
        return [("file", self.file_id)]


class FileChore(ChoreRow, Base):
    """A chore of file-storage; image-processor, which may use the same database, has a table of its own."""

    __tablename__ = "file_chores"
