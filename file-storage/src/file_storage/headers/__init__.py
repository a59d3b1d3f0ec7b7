"""HTTP headers about a file's bytes: conditions, digests and idempotency keys."""
