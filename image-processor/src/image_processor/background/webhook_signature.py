"""Sign webhooks according to Standard Webhooks (https://www.standardwebhooks.com)."""

import hmac
from collections.abc import Sequence
from datetime import UTC, datetime

from service_kit.access.principals import LOCAL_OWNER
from standardwebhooks import Webhook


def secrets_of_key(key_id: str, secrets: Sequence[bytes]) -> list[bytes]:
    """Return the secrets that sign the webhooks of a key's batches, which follow from the installation's.

    Nobody can compute them from those of another key, also of the same owner: who gets a webhook of one key cannot
    pass it on to a receiver of another.
    """
    return _derived(f"key {key_id}", secrets)


def secrets_of(owner: str, key_id: str | None, secrets: Sequence[bytes]) -> Sequence[bytes]:
    """Return the secrets that sign a webhook.

    :param key_id: the key that created the batch. Without one, the secrets of the installation sign the webhooks of the
        owner ``local``; another owner, whose batch is older than secrets of keys, has secrets of its own, since a
        receiver of the operator would accept its webhooks otherwise.
    :param secrets: the installation's.
    """
    if key_id is not None:
        return secrets_of_key(key_id, secrets)
    return secrets if owner == LOCAL_OWNER else _derived(owner, secrets)


def _derived(of: str, secrets: Sequence[bytes]) -> list[bytes]:
    # The name of an owner has no space, so that it never begins with "key ".
    return [hmac.digest(secret, f"webhooks of {of}".encode(), "sha256") for secret in secrets]


def signed_headers(secrets: Sequence[bytes], message_id: str, body: bytes) -> dict[str, str]:
    """Return ``webhook-id``, ``webhook-timestamp`` and ``webhook-signature`` with HMAC-SHA256.

    :param secrets: each signs; a receiver accepts the message if it knows one of them.
    """
    now = datetime.now(UTC)
    signatures = [Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }
