"""The clients of the tests: the published one, and bare HTTP for what only the wire shows."""

import ssl
from collections.abc import Mapping

import httpx2
from pixmill.client.answers import Task
from pixmill.embedded import READY_SECONDS

from pixmill import Pixmill, Retries
from tests.support.waiting import wait_until

FILES = "/api/file-server"
TASKS = "/api/image-processing"
CERTIFICATES = ssl.create_default_context()
"""The system's certificates, loaded once: loading them for each client takes 0.1 s of CPU time."""
ONCE = Retries(attempts=1)
"""No retries."""
http = httpx2.Client(
    timeout=60, trust_env=False, verify=CERTIFICATES, limits=httpx2.Limits(max_keepalive_connections=0)
)
"""For single requests, each on a new connection, because the server may have restarted since the last request."""


def is_ready(place: str) -> bool:
    """Return whether the server at ``place`` and all its dependencies are ready."""
    try:
        return http.get(f"{place}/readyz", timeout=READY_SECONDS).status_code == 200
    except httpx2.HTTPError:
        return False


class Served(Pixmill):
    """The published client of a server, with a bare HTTP client for tests of the wire.

    By default, neither retries, so that a test sees each failure of the server.
    """

    def __init__(
        self, url: str, *, key: str | None = None, retries: Retries = ONCE, verify: ssl.SSLContext = CERTIFICATES
    ) -> None:
        super().__init__(url, key=key, retries=retries, verify=verify)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self.http = httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=False, verify=verify)

    def close(self) -> None:
        super().close()
        self.http.close()


def new_key(pixmill: Pixmill, owner: str, role: str) -> str:
    """Return the secret of a new key; works only without keys (``auth.mode: local``) or as an admin."""
    secret = pixmill.keys.create(owner, role=role).secret
    assert secret is not None
    return secret


def ended_task(pixmill: Pixmill, task_id: int) -> Task:
    """Wait until a task has ended; return it. Look more often than the published client, which spares the server."""

    def ended() -> Task | None:
        task = pixmill.tasks.get(task_id)
        return task if task.has_ended else None

    return wait_until(ended, f"task {task_id} has ended")


def result_bytes(pixmill: Pixmill, task: Task) -> bytes:
    """Return the bytes of the result of a task."""
    assert task.result_id is not None, task
    return pixmill.files.read(task.result_id)


def processed_bytes(
    pixmill: Pixmill, content: bytes, name: str, algorithm: str, params: Mapping[str, object] | None = None
) -> bytes:
    """Upload an image, process it and return the bytes of the result."""
    file = pixmill.files.upload(content, name=name)
    [task_id] = pixmill.run([file], algorithm, params=params).task_ids
    return result_bytes(pixmill, ended_task(pixmill, task_id))


def stored_so_far(pixmill: Pixmill) -> tuple[int, int]:
    """Return the number of files and the id of the newest task, which a refused request must not change.

    Do not fetch the lists: other tests on this stack make them long, and there are hundreds of refused requests.
    """
    newest = pixmill.request("GET", f"{TASKS}/", query=[("sort", "-id"), ("limit", "1")]).rows()
    return pixmill.files.index().total, Task.of(newest[0]).id if newest else 0


def assert_problem(response: httpx2.Response, status: int, word: str) -> None:
    """Check that the response is a problem document (RFC 9457) with ``status`` whose detail contains ``word``."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status, document
    assert document["type"] and document["title"]
    assert word.lower() in document["detail"].lower(), document
    assert "Traceback" not in response.text
