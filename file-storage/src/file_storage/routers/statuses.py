"""The HTTP status of each domain error of file-storage."""

from collections.abc import Mapping

STATUSES: Mapping[str, int] = {
    "archive-empty": 404,
    "archive-too-large": 422,
    "bytes-lost": 404,
    "checksum-mismatch": 460,  # defined by tus
    "file-not-found": 404,
    "idempotency-key-in-use": 409,
    "idempotency-key-reused": 422,
    "idempotency-key-revoked": 409,
    "invalid-fields": 422,
    "invalid-link": 403,
    "invalid-upload-length": 400,
    "link-expired": 410,
    "link-expiry-signed": 409,
    "link-not-found": 404,
    "offset-mismatch": 409,
    "page-not-found": 404,
    "quota-exceeded": 507,
    "services-only": 403,
    "storage-full": 507,
    "storage-unavailable": 503,
    "too-many-passwords": 429,
    "too-many-uploads": 429,
    "upload-busy": 423,
    "upload-expired": 410,
    "upload-final": 403,
    "upload-incomplete": 400,
    "upload-length-known": 400,
    "upload-no-part": 400,
    "upload-not-found": 404,
    "upload-too-long": 413,
}
