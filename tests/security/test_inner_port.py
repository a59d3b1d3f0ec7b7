"""nginx's inner port, where Pixmill's own processes are the clients: without credentials it gives metrics alone."""

import httpx2
import pytest

from tests.support.client import FILES, TASKS
from tests.support.environment import WORKER_SECRET
from tests.support.stacks import FullStack


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/keys"),
        ("POST", "/api/keys"),
        ("GET", "/api/owners"),
        ("GET", "/api/audit"),
        ("GET", f"{FILES}/"),
        ("PUT", f"{FILES}/?name=a.txt"),
        ("POST", f"{FILES}/uploads/"),
        ("GET", f"{FILES}/events"),
        ("GET", f"{TASKS}/"),
        ("GET", f"{TASKS}/events"),
        ("GET", f"{TASKS}/metadata/1"),
        ("POST", f"{TASKS}/render-urls"),
    ],
)
def test_a_request_without_a_key_is_refused(full: FullStack, method: str, path: str) -> None:
    # A client that is not nginx cannot take the mark away, nor pass for one of nginx's own requests.
    pretended = {"Host": "localhost", "X-Pixmill-Inner-Port": "", "X-Unconditional": "1", "Tus-Resumable": "1.0.0"}

    with httpx2.stream(method, f"{full.inner_url}{path}", headers=pretended, trust_env=False) as response:
        assert response.status_code == 401


@pytest.mark.parametrize("base", [FILES, TASKS, f"{TASKS}/renders"])
def test_metrics_need_no_key_where_the_mode_demands_none(full: FullStack, base: str) -> None:
    assert httpx2.get(f"{full.inner_url}{base}/metrics", trust_env=False).status_code == 200


def test_the_published_port_still_needs_no_key(full: FullStack) -> None:
    assert httpx2.get(f"{full.url}{FILES}/", trust_env=False).status_code == 200


@pytest.mark.parametrize("path", ["/api/keys", "/api/owners", "/api/audit"])
def test_the_secret_of_a_worker_opens_no_access_control(full: FullStack, path: str) -> None:
    headers = {"Authorization": f"Bearer {WORKER_SECRET}", "X-Pixmill-Sees": "all", "Host": "localhost"}

    assert httpx2.get(f"{full.inner_url}{path}", headers=headers, trust_env=False).status_code == 401
