"""An endless request to the JSON API is aborted, and the service keeps working."""

import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
import pytest

from tests.support.client import FILES, Served, assert_problem
from tests.support.databases import libpq_url
from tests.support.folders import temporary_folder
from tests.support.stacks import EmbeddedStack, FullStack, Stack, start
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks


@pytest.fixture(scope="module", params=[pytest.param("full", marks=pytest.mark.thorough), "embedded"])
def impatient(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Return a stack with a deadline of two seconds."""
    stack = start(request.param, temporary_folder("impatient"), {"PIXMILL_JSON_SECONDS": "2"})
    yield stack
    stack.stop()


@contextmanager
def locked_database(stack: Stack) -> Iterator[None]:
    """Lock the table of files, so that every change of a file waits."""
    if isinstance(stack, EmbeddedStack):
        connection = sqlite3.connect(stack.data / "file-storage.db", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.rollback()
        connection.close()
        return
    assert isinstance(stack, FullStack)
    url = libpq_url(stack.environment["FILE_STORAGE_DATABASE__URL"])
    command = ["psql", "--no-psqlrc", "--quiet", "--tuples-only", url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        assert session.stdin is not None
        assert session.stdout is not None
        session.stdin.write("BEGIN; LOCK TABLE files IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        session.stdin.flush()
        assert session.stdout.readline().strip() == "locked"
        yield
        session.stdin.close()
        session.terminate()


@contextmanager
def other_requests(stack: Stack) -> Iterator[None]:
    """Send requests that need no database, so that some always end in each process."""
    stop = threading.Event()

    def send() -> None:
        with Served(stack.url) as client:
            while not stop.is_set():
                with suppress(httpx2.TransportError):
                    client.http.get(f"{FILES}/openapi.json")

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def test_a_request_that_waits_for_a_lock_is_given_up_and_the_service_lives(impatient: Stack) -> None:
    with Served(impatient.url) as client:
        file = client.files.upload(b"kept", name="a.txt")
        with locked_database(impatient), other_requests(impatient):
            given_up = client.http.patch(f"{FILES}/{file.id}", json={"comment": "x"})

        assert_problem(given_up, 503, "try again")
        assert "Retry-After" in given_up.headers
        assert "database" not in given_up.text, "the database gave up, not the server"
        wait_until(lambda: client.http.get(f"{FILES}/{file.id}").status_code == 200, "the service answers again")
        assert client.files.upload(b"new", name="b.txt").size == 3
