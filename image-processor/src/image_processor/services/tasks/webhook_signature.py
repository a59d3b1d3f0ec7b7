"""Signs webhooks according to Standard Webhooks (https://www.standardwebhooks.com)."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.access.principals import LOCAL_OWNER
from standardwebhooks import Webhook


def secrets_of_key(key_id: str, secrets: Sequence[bytes]) -> list[bytes]:
    """Return the secrets that sign the webhooks of a key's batches, derived from the installation's secrets.

    They cannot be computed from the secrets of another key, even of the same owner, so a recipient of one key's
    webhooks cannot forge those of another key.
    """
    return _derived(f"key {key_id}", secrets)


def secrets_of(owner: str, key_id: str | None, secrets: Sequence[bytes]) -> Sequence[bytes]:
    """Return the secrets that sign a webhook.

    :param key_id: the key that created the batch. Without a key, the installation's secrets sign webhooks of the owner
        ``local``. Other owners, whose batches precede secrets per key, have derived secrets; otherwise a receiver of
        the operator would accept their webhooks.
    :param secrets: the installation's secrets.
    """
    if key_id is not None:
        return secrets_of_key(key_id, secrets)
    return secrets if owner == LOCAL_OWNER else _derived(owner, secrets)


def _derived(of: str, secrets: Sequence[bytes]) -> list[bytes]:
    # Owners' names contain no space, so this cannot collide with "key …".
    return [hmac.digest(secret, f"webhooks of {of}".encode(), "sha256") for secret in secrets]


def signed_headers(secrets: Sequence[bytes], message_id: str, body: bytes) -> dict[str, str]:
    """Return ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` with HMAC-SHA256.

    :param secrets: each adds a signature; a receiver accepts the message if it knows one of the secrets.
    """
    now = datetime.now(UTC)
    signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
