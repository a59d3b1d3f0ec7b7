"""The wrong keys of an address are counted for all processes together."""

import multiprocessing
from collections.abc import Iterator
from multiprocessing.pool import Pool

import pytest
from service_kit.access.models import WrongKey
from service_kit.access.wrong_keys import FAILURES_PER_MINUTE, WrongKeys
from service_kit.forking import fork_safe_database
from service_kit.problems import Problem
from sqlalchemy import delete, select, update

from tests.support.databases import empty_sqlite, migrated_postgres_database

STRANGER, NEIGHBOR = "192.0.2.7", "192.0.2.8"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.server)])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if request.param == "sqlite":
        yield empty_sqlite(tmp_path_factory.mktemp("wrong-keys") / "access.db", "service_kit.access")
        return
    with migrated_postgres_database("wrong-keys", "service_kit.access") as url:
        yield url


@pytest.fixture
def url(database_url: str) -> str:
    """Return the URL of a database without counted keys."""
    with fork_safe_database(database_url, 1).write() as session:
        session.execute(delete(WrongKey))
    return database_url


def is_counted(wrong_keys: WrongKeys, address: str = STRANGER) -> bool:
    """Send a wrong key; return whether it was counted rather than refused."""
    try:
        wrong_keys.count(address)
    except Problem as problem:
        assert problem.status == 429
        assert 1 <= (problem.retry_after or 0) <= 60
        return False
    return True


def counted_by_a_process(url: str) -> int:
    """Send as many wrong keys as an address may send per minute; return how many were counted."""
    wrong_keys = WrongKeys(fork_safe_database(url, 1))
    return sum(is_counted(wrong_keys) for _ in range(FAILURES_PER_MINUTE))


def two_processes() -> Pool:
    return multiprocessing.get_context("fork").Pool(2)


def test_two_processes_count_the_wrong_keys_of_an_address_together(url: str) -> None:
    with two_processes() as pool:
        counted = pool.map(counted_by_a_process, [url, url], chunksize=1)

    assert sum(counted) == FAILURES_PER_MINUTE


def test_each_address_has_a_count_of_its_own(url: str) -> None:
    counted_by_a_process(url)

    assert not is_counted(WrongKeys(fork_safe_database(url, 1)))
    assert is_counted(WrongKeys(fork_safe_database(url, 1)), NEIGHBOR)


def test_the_addresses_of_an_ipv6_network_have_one_count(url: str) -> None:
    wrong_keys = WrongKeys(fork_safe_database(url, 1))
    for number in range(FAILURES_PER_MINUTE):
        assert is_counted(wrong_keys, f"2001:db8:0:7::{number:x}")

    assert not is_counted(wrong_keys, "2001:db8:0:7:8000::1")
    assert not is_counted(WrongKeys(fork_safe_database(url, 1)), "2001:db8:0:7:8000::2")
    assert is_counted(wrong_keys, "2001:db8:0:8::1")


def test_after_a_minute_an_address_may_try_again(url: str) -> None:
    counted_by_a_process(url)
    database = fork_safe_database(url, 1)
    with database.write() as session:
        session.execute(update(WrongKey).values(until=WrongKey.until - 60))

    assert is_counted(WrongKeys(database))


def test_addresses_are_forgotten_after_their_minute(url: str) -> None:
    database = fork_safe_database(url, 1)
    WrongKeys(database).count(STRANGER)
    with database.write() as session:
        session.execute(update(WrongKey).values(until=WrongKey.until - 60))

    WrongKeys(database).count(NEIGHBOR)

    with database.read() as session:
        assert session.scalars(select(WrongKey.address)).all() == [NEIGHBOR]


def test_a_refused_address_asks_nothing_of_the_database(url: str) -> None:
    database = fork_safe_database(url, 1)
    wrong_keys = WrongKeys(database)
    while is_counted(wrong_keys):
        continue
    with database.write() as session:
        session.execute(update(WrongKey).values(failures=0))

    assert not is_counted(wrong_keys)
