"""Idempotency keys expire after a day."""

import svcs
from file_storage.models import IdempotencyKey
from file_storage.services.idempotency import KEY_LIFETIME, IdempotencyKeys
from service_kit.database import Database, epoch_now
from sqlalchemy import func, insert, select, update

from tests.support.deletions import deleted_rows
from tests.support.stored import stored

EXPIRED = epoch_now() - KEY_LIFETIME - 60


def add_expired_keys(database: Database, count: int) -> None:
    rows = [{"owner": "local", "key": f"key {n}", "fingerprint": "", "created_at": 1.0} for n in range(count)]
    with database.begin() as connection:
        connection.execute(insert(IdempotencyKey), rows)


def test_an_expired_key_makes_a_new_file_before_it_is_deleted(services: svcs.Container) -> None:
    first = stored(services, b"content", "a key")
    with services.get(Database).begin() as connection:
        connection.execute(update(IdempotencyKey).values(created_at=EXPIRED))

    second = stored(services, b"content", "a key")

    assert second.id != first.id
    assert stored(services, b"content", "a key").id == second.id


def test_an_upload_deletes_no_expired_key_of_others(services: svcs.Container) -> None:
    add_expired_keys(services.get(Database), 1500)

    with deleted_rows(services.get(Database)) as counts:
        stored(services, b"content", "a key")

    assert sum(counts) == 0


def test_expired_keys_are_forgotten_in_steps(services: svcs.Container) -> None:
    add_expired_keys(services.get(Database), 1500)
    stored(services, b"content", "a key")

    with deleted_rows(services.get(Database)) as counts:
        services.get(IdempotencyKeys).forget_expired()

    assert counts == [1000, 500]
    with services.get(Database).connect() as connection:
        assert connection.scalar(select(func.count()).select_from(IdempotencyKey)) == 1
