"""Removes expired resumable uploads, after complete ones have become files."""

from collections.abc import Callable, Sequence

import structlog
from service_kit.access.principals import Limits, Principal
from service_kit.database import Database, epoch_now
from service_kit.errors import DomainError
from sqlalchemy import select, update

from file_storage.models import Upload
from file_storage.services.uploads import UploadService
from file_storage.storage.partial import PartialFiles

log = structlog.get_logger()

EXPIRE_BATCH = 100
"""Maximum number of expired uploads per removal."""
EXPIRE_AGAIN_SECONDS = 3600
"""Seconds until an expired upload that cannot become a file, for example because of a quota, expires again."""

FORBIDDEN_KEY = ("idempotency-key-reused", "idempotency-key-revoked")
"""Errors that every retry with the same key gets again."""

LimitsOf = Callable[[str], Limits]
"""Returns the limits of an owner."""


class UploadExpiry:
    """Removes the uploads of all owners that have received no request for their lifetime."""

    def __init__(self, database: Database, partials: PartialFiles, uploads: UploadService) -> None:
        self._database = database
        self._partials = partials
        self._uploads = uploads

    def expire(self, limits_of: LimitsOf) -> int:
        """Remove at most :data:`EXPIRE_BATCH` expired uploads, and return their number.

        Complete uploads become files first. One that would exceed a quota stays, and expires again later.
        """
        return sum(self._end(upload, limits_of) for upload in self._expired())

    def collect_garbage(self, older_than_seconds: float, limits_of: LimitsOf) -> int:
        """Remove expired uploads, and bytes that a crash left without an upload; return their number."""
        removed = 0
        while expired := self._expired():
            removed += sum(self._end(upload, limits_of) for upload in expired)
        for upload_id in self._partials.stored(older_than_seconds):
            with self._database.read() as session:
                known = session.get(Upload, upload_id) is not None
            if not known:
                self._partials.delete(upload_id)
                removed += 1
        return removed

    def _expired(self) -> Sequence[Upload]:
        with self._database.read() as session:
            query = (
                select(Upload).where(Upload.expires_at < epoch_now()).order_by(Upload.expires_at).limit(EXPIRE_BATCH)
            )
            return session.scalars(query).all()

    def _end(self, upload: Upload, limits_of: LimitsOf) -> bool:
        """Remove an expired upload, after it has become a file if it is complete; return whether it is removed."""
        try:
            if not upload.finished and self._is_complete(upload):
                self._finish_unless_forbidden(upload, limits_of(upload.owner))
            self._uploads.remove(upload.id)
        except (DomainError, OSError) as error:
            log.warning("upload not removed", upload_id=upload.id, reason=str(error))
            self._expire_later(upload)
            return False
        return True

    def _expire_later(self, upload: Upload) -> None:
        """Let an upload that cannot become a file expire again later, so that others have their turn."""
        with self._database.write() as session:
            later = epoch_now() + EXPIRE_AGAIN_SECONDS
            session.execute(update(Upload).where(Upload.id == upload.id).values(expires_at=later))

    def _finish_unless_forbidden(self, upload: Upload, limits: Limits) -> None:
        """Turn a complete upload into a file, unless its idempotency key forbids this forever."""
        try:
            self._uploads.finish(Principal(upload.owner, frozenset(), limits=limits), upload)
        except DomainError as error:
            if error.kind not in FORBIDDEN_KEY:
                raise

    def _is_complete(self, upload: Upload) -> bool:
        return upload.length is not None and self._partials.size(upload.id) == upload.length
