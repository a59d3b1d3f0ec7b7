"""Logs contain no query of a URL, no token of a link and no signature of an image's URL."""

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks

WORD = "secretword"


def test_logs_have_no_query_and_no_token(pixmill: Served, stack: Stack) -> None:
    file_id = pixmill.files.upload(b"a", name="a.txt").id
    url = httpx2.URL(pixmill.http.post(f"{FILES}/{file_id}/links", json={}).json()["url"])
    token = url.path.rpartition("/")[2]

    pixmill.http.get(url.path).raise_for_status()
    pixmill.http.get(f"{url.path[:-3]}abc")
    pixmill.http.get(url.path.replace("/links/", "//%6cinks/"))
    shared = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id], "password": WORD}).json()["token"]
    pixmill.http.get(f"{FILES}/shared/{shared}")
    pixmill.http.get(f"{FILES}/shared/{shared}/{file_id}", auth=("", WORD)).raise_for_status()
    pixmill.http.get(f"{FILES}/shared/{shared}/{file_id}/thumbnails/128", auth=("", WORD))
    pixmill.http.get(f"{FILES}//%73hared/{shared}/archive")
    pixmill.http.get(f"/s/{shared}").raise_for_status()
    pixmill.http.get(f"{FILES}/?name={WORD}").raise_for_status()
    pixmill.http.get(f"{FILES}/{file_id}/download?x={WORD}")
    pixmill.http.get(f"{TASKS}/nothing?name={WORD}")
    pixmill.http.get(f"{TASKS}/events?id={WORD}")
    pixmill.http.put(f"{FILES}/?name={WORD}.bin", content=b"a").raise_for_status()

    image = httpx2.URL(pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id}).json()["url"])
    signature = image.path.split("/")[2]
    pixmill.http.get(image.path)
    pixmill.http.get(image.path.replace("/img/", "/%69mg/"))

    pixmill.http.get(f"{TASKS}/at-last?name={WORD}")
    wait_until(lambda: f"{TASKS}/at-last" in logs_of(stack), "the requests are logged")
    assert WORD not in logs_of(stack)
    assert token[:20] not in logs_of(stack)
    assert shared not in logs_of(stack)
    assert signature[:20] not in logs_of(stack)


def logs_of(stack: Stack) -> str:
    return "".join(log.read_text(errors="replace") for log in stack.folder.glob("*.log"))
