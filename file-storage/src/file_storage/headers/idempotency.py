"""``Idempotency-Key``, as both services take it."""

from service_kit.idempotency_key import KEY, idempotency_key

__all__ = ["KEY", "idempotency_key"]
