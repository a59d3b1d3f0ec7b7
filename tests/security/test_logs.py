"""No query of a URL and no token of a link is in a log."""

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Pixmill
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks

WORD = "secretword"


def test_logs_have_no_query_and_no_token(pixmill: Pixmill, stack: Stack) -> None:
    file_id = pixmill.upload("a.txt", b"a")["id"]
    url = httpx2.URL(pixmill.http.post(f"{FILES}/{file_id}/links", json={}).json()["url"])
    token = url.path.rpartition("/")[2]

    pixmill.http.get(url.path).raise_for_status()
    pixmill.http.get(f"{url.path[:-3]}abc")
    pixmill.http.get(url.path.replace("/links/", "//%6cinks/"))
    pixmill.http.get(f"{FILES}/?name={WORD}").raise_for_status()
    pixmill.http.get(f"{FILES}/{file_id}/download?x={WORD}")
    pixmill.http.get(f"{TASKS}/nothing?name={WORD}")
    pixmill.http.get(f"{TASKS}/events?id={WORD}")
    pixmill.http.put(f"{FILES}/?name={WORD}.bin", content=b"a").raise_for_status()

    wait_until(lambda: f"{TASKS}/nothing" in logs_of(stack), "the requests are logged")
    assert WORD not in logs_of(stack)
    assert token[:20] not in logs_of(stack)


def logs_of(stack: Stack) -> str:
    return "".join(log.read_text(errors="replace") for log in stack.folder.glob("*.log"))
