"""Links are built from the server's own settings, not from a client's headers."""

import httpx2
import pytest

from tests.support.client import FILES, TASKS, Served, new_key
from tests.support.environment import TRUSTED_PROXY
from tests.support.stacks import Stack

pytestmark = pytest.mark.both_stacks


@pytest.mark.parametrize("scheme", ["https", "javascript", "http, https", ""])
def test_the_scheme_that_a_stranger_forwards_does_not_count(pixmill: Served, scheme: str) -> None:
    file_id = pixmill.files.upload(b"a", name="a.bin").id
    said = {"X-Forwarded-Proto": scheme, "X-Peer-Address": TRUSTED_PROXY, "X-Forwarded-Host": "evil.example"}
    said |= {"Authorization": f"Bearer {new_key(pixmill, 'ann', 'admin')}"}

    link = pixmill.http.post(f"{FILES}/{file_id}/links", json={}, headers=said)

    assert link.json()["url"].startswith(f"{str(pixmill.http.base_url).rstrip('/')}{FILES}/links/")
    assert link.headers["Location"] == link.json()["url"]
    image = pixmill.http.post(f"{TASKS}/render-urls", json={"file_id": file_id}, headers=said)
    assert image.json()["url"].startswith(f"{str(pixmill.http.base_url).rstrip('/')}/img/")


@pytest.mark.parametrize(("scheme", "expected"), [("https", "https"), ("javascript", "http")])
def test_a_trusted_proxy_says_whether_links_begin_with_https(stack: Stack, scheme: str, expected: str) -> None:
    transport = httpx2.HTTPTransport(local_address=TRUSTED_PROXY)
    with Served(stack.url) as client, httpx2.Client(base_url=stack.url, transport=transport) as proxy:
        file_id = client.files.upload(b"a", name="a.bin").id

        said = {"X-Forwarded-Proto": scheme, "Authorization": f"Bearer {new_key(client, 'ann', 'admin')}"}
        link = proxy.post(f"{FILES}/{file_id}/links", json={}, headers=said)
        image = proxy.post(f"{TASKS}/render-urls", json={"file_id": file_id}, headers=said)

    assert link.json()["url"].startswith(f"{expected}://127.0.0.1:")
    assert image.json()["url"].startswith(f"{expected}://127.0.0.1:")
