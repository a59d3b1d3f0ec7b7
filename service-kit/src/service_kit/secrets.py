"""Generates secrets at the first start, so that git contains no working secret.

Each secret is a file named after its variable. ``python -m service_kit.secrets FOLDER`` writes those of docker-compose:
a folder for each service, with only the secrets that the service needs.
"""

import base64
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER_VARIABLE = "PIXMILL_SECRETS"
"""The environment variable with the path of a service's folder of secrets."""
MIN_BYTES = 32
"""The minimum length in bytes, that of a SHA-256: https://www.rfc-editor.org/rfc/rfc2104#section-3."""
PUBLISHED = "pixmill-development"
"""The password and the secret that earlier builds had in ``config/``."""

LINK = "PIXMILL_LINK_SECRET"
CALLBACK = "PIXMILL_CALLBACK_SECRET"
WORKER_INNER = "PIXMILL_WORKER_INNER_SECRET"
RENDER_INNER = "PIXMILL_RENDER_INNER_SECRET"
IMAGE_PROCESSOR_INNER = "PIXMILL_IMAGE_PROCESSOR_INNER_SECRET"
INNER = (WORKER_INNER, RENDER_INNER, IMAGE_PROCESSOR_INNER)
"""The secrets with which Pixmill's own processes authenticate to the services, one for each."""
RENDER = "PIXMILL_RENDER_SECRET"
SIGNING = (LINK, CALLBACK, RENDER, *INNER)
"""Secrets that the embedded stack needs; it has no servers with passwords."""
DATABASE = "POSTGRES_PASSWORD"
BROKER = "RABBITMQ_DEFAULT_PASS"
DATABASE_NAME = "POSTGRES_DB"
BROKER_USER = "RABBITMQ_DEFAULT_USER"
FILE_STORAGE = "PIXMILL_FILE_STORAGE_DB_PASSWORD"
IMAGE_PROCESSOR = "PIXMILL_IMAGE_PROCESSOR_DB_PASSWORD"
WORKER = "PIXMILL_WORKER_DB_PASSWORD"
WEBHOOKS = "PIXMILL_WEBHOOKS_DB_PASSWORD"
ACCESS = "PIXMILL_ACCESS_DB_PASSWORD"
RENDER_ROLE = "PIXMILL_RENDER_DB_PASSWORD"
DATABASE_ROLES = {
    "file_storage": FILE_STORAGE,
    "image_processor": IMAGE_PROCESSOR,
    "worker": WORKER,
    "webhooks": WEBHOOKS,
    "access": ACCESS,
    "render": RENDER_ROLE,
}
"""The name of the password of each database role; ``config/postgresql/roles.sh`` creates the roles."""
DEFINITIONS = "definitions.json"
"""RabbitMQ reads its user from this file at each start."""

_REMOVED = {"PIXMILL_INNER_SECRET"}
"""Secrets of earlier versions that no service reads any more."""
_PLAIN = {DATABASE_NAME: "pixmill", BROKER_USER: "pixmill"}
"""Names that are not secret, with their defaults."""


class SecretError(ValueError):
    """A secret is not safe; the message is part of a line and says how to fix it."""


@dataclass(frozen=True)
class Share:
    """The secrets that a service may read.

    :param mode: the mode of the files. The images of PostgreSQL and RabbitMQ run as other users than ours, and nobody
    else can mount their volumes.
    """

    service: str
    names: tuple[str, ...]
    mode: int = 0o600


SHARES = (
    Share("postgres", (DATABASE, *DATABASE_ROLES.values()), 0o644),
    Share("rabbitmq", (), 0o644),
    Share("file-storage", (DATABASE_NAME, FILE_STORAGE, ACCESS, LINK, *INNER)),
    Share(
        "image-processor",
        (
            *(DATABASE_NAME, IMAGE_PROCESSOR, ACCESS, BROKER_USER, BROKER),
            *(IMAGE_PROCESSOR_INNER, RENDER_INNER, CALLBACK),
        ),
    ),
    Share("worker", (DATABASE_NAME, WORKER, BROKER_USER, BROKER, WORKER_INNER)),
    Share("webhooks", (DATABASE_NAME, WEBHOOKS, CALLBACK)),
    Share("render", (DATABASE_NAME, RENDER_ROLE, RENDER_INNER, RENDER)),
)


def find(name: str) -> str | None:
    """Return the value of an environment variable, or the content of the file of that name in the folder of secrets."""
    value = os.environ.get(name)
    folder = os.environ.get(FOLDER_VARIABLE)
    if not value and folder and (path := Path(folder) / name).is_file():
        return path.read_text("utf-8").rstrip("\n")
    return value


def refuse_published(value: str) -> None:
    """Refuse a value that contains the password that earlier builds had in git.

    :raises SecretError: the value contains it.
    """
    if PUBLISHED in value:
        raise SecretError(
            f"'{PUBLISHED}' was published with the source; remove it, and the start generates another, or set your own"
        )


def refuse_weak(value: str) -> None:
    """Refuse a value that could be guessed.

    :raises SecretError: the value is published or has fewer than 32 bytes.
    """
    refuse_published(value)
    if len(value.encode()) < MIN_BYTES:
        raise SecretError(
            f"shorter than {MIN_BYTES} bytes; remove it, and the start generates one, or set a longer one"
            " (openssl rand -hex 32)"
        )


def keep(folder: Path, name: str) -> str:
    """Return the secret in this folder; generate it if it is missing."""
    path = folder / name
    if not path.is_file():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(path, _generate(), 0o600)
    return path.read_text("utf-8")


def share_out(folder: Path, given: Mapping[str, str]) -> None:
    """Write the secrets of each docker-compose service into its own folder; keep existing ones.

    What an earlier version shared with a service that may no longer read it is deleted.

    :param given: secrets set by the operator, which replace existing ones.
    :raises SecretError: a given secret or password is published or too short.
    """
    names = {name for share in SHARES for name in share.names} | {BROKER, BROKER_USER}
    values = {name: _choose(folder, name, given.get(name, "")) for name in sorted(names)}
    for share in SHARES:
        place = folder / share.service
        place.mkdir(exist_ok=True)
        for name in share.names:
            _write(place / name, values[name], share.mode)
        for name in (names | _REMOVED).difference(share.names):
            (place / name).unlink(missing_ok=True)
        if share.service == "rabbitmq":
            _write(place / DEFINITIONS, _definitions(values[BROKER_USER], values[BROKER]), share.mode)


def _choose(folder: Path, name: str, given: str) -> str:
    kept = _first_of(folder / share.service / name for share in SHARES if name in share.names)
    if name in _PLAIN:
        return given or kept or _PLAIN[name]
    if not given:
        # Earlier builds accepted short passwords: if one was removed from config/*.env, generate another.
        return kept if _is_strong(kept) else _generate()
    try:
        refuse_weak(given)
    except SecretError as error:
        raise SecretError(f"{name} in config/*.env: {error}") from error
    return given


def _is_strong(value: str) -> bool:
    try:
        refuse_weak(value)
    except SecretError:
        return False
    return True


def _first_of(paths: Iterable[Path]) -> str:
    return next((path.read_text("utf-8") for path in paths if path.is_file()), "")


def _generate() -> str:
    return secrets.token_urlsafe(MIN_BYTES)


def _definitions(user: str, password: str) -> str:
    # RabbitMQ's own format of a salted hash keeps the password out of the broker's volume.
    salt = secrets.token_bytes(4)
    hashed = base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
    algorithm = "rabbit_password_hashing_sha256"
    return json.dumps(
        {
            "users": [{"name": user, "password_hash": hashed, "hashing_algorithm": algorithm, "tags": []}],
            "vhosts": [{"name": "/"}],
            "permissions": [{"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
        }
    )


def _write(path: Path, value: str, mode: int) -> None:
    # Rename when complete: an interrupted start must not leave an empty secret.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(value)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def main() -> None:
    """Write the secrets of docker-compose; on an error, print one line to standard error and exit."""
    try:
        share_out(Path(sys.argv[1]), os.environ)
    except SecretError as error:
        print(f"pixmill: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
