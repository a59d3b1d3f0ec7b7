"""A request that takes too long is given up, regardless of other requests of its process."""

import json
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pytest
from service_kit.request_deadline import SECONDS, RequestDeadline
from structlog.testing import capture_logs
from werkzeug.test import Client

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Application:
    """An application whose request for ``/slow`` waits until the test ends."""

    def __init__(self) -> None:
        self.end = threading.Event()

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/slow":
            self.end.wait(60)
        start_response("200 OK", [])
        return [b"done"]


@pytest.fixture
def application() -> Iterator[Application]:
    application = Application()
    yield application
    application.end.set()


def get(client: Client, path: str, seconds: str | None) -> str:
    return client.get(path, environ_overrides={} if seconds is None else {SECONDS: seconds}).text


def test_a_slow_request_is_given_up_though_others_end_meanwhile(application: Application) -> None:
    given_up: queue.Queue[int] = queue.Queue()
    client = Client(RequestDeadline(application, given_up.put, lambda _: None))
    with capture_logs() as logs:
        threading.Thread(target=get, args=[client, "/slow", "1"], daemon=True).start()

        while given_up.empty():
            assert get(client, "/quick", "1") == "done"

    [event] = [entry for entry in logs if entry["event"] == "request given up"]
    assert (event["method"], event["path"], event["seconds"]) == ("GET", "/slow", 1)
    assert "wait" in event["waits_in"][-1]
    assert given_up.get() == 1


def test_a_request_without_a_deadline_may_take_any_time(application: Application) -> None:
    given_up: queue.Queue[int] = queue.Queue()
    client = Client(RequestDeadline(application, given_up.put, lambda _: None))
    threading.Thread(target=get, args=[client, "/slow", None], daemon=True).start()
    threading.Thread(target=get, args=[client, "/slow", "2"], daemon=True).start()

    assert given_up.get(timeout=60) == 2

    assert given_up.empty()


FROZEN = """
import re
from werkzeug.test import Client
from service_kit.request_deadline import SECONDS, RequestDeadline, end_unless_alive

def application(environ, start_response):
    re.match("(a*)*b", "a" * 60)  # holds the interpreter's lock for years

print("begins", flush=True)
Client(RequestDeadline(application, print, end_unless_alive)).get("/", environ_overrides={SECONDS: "1"})
"""


def test_a_process_in_which_no_thread_runs_any_more_ends() -> None:
    run = subprocess.run([sys.executable, "-c", FROZEN], capture_output=True, text=True, timeout=60, check=False)

    assert (run.returncode, run.stdout) == (-signal.SIGALRM, "begins\n")
    assert "in application" in run.stderr, "where it was"


GIVEN_UP = """
import sys, threading
from service_kit import logs
from service_kit.request_deadline import SECONDS, RequestDeadline
from werkzeug.test import Client

given_up = threading.Event()

def application(environ, start_response):
    given_up.wait(60)
    start_response("200 OK", [])
    return []

logs.configure("info")
watched = Client(RequestDeadline(application, lambda _: given_up.set(), lambda _: None))
watched.post(sys.argv[1], environ_overrides={SECONDS: "0"})
"""


@pytest.mark.parametrize("path", ["/api/file-server/shared/pxs_secret-1/unlock", "/api/file-server/links/7.secret.x_-"])
def test_the_log_of_a_request_that_is_given_up_has_no_token(path: str) -> None:
    run = subprocess.run([sys.executable, "-c", GIVEN_UP, path], capture_output=True, text=True, timeout=60, check=True)

    [line] = run.stderr.splitlines()
    assert json.loads(line)["path"].startswith(path[: path.index("/", 17) + 1])
    assert "secret" not in line
