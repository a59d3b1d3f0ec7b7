"""The HTTP client of the API tests."""

import ssl
from typing import Self

import httpx2
from pixmill.embedded import READY_SECONDS

from tests.support.waiting import wait_until

FILES = "/api/file-server"
TASKS = "/api/image-processing"
CERTIFICATES = ssl.create_default_context()
"""The system's certificates, loaded once: loading them for each client takes 0.1 s of CPU time."""
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


class ApiClient:
    """A client for both APIs."""

    def __init__(self, url: str, verify: ssl.SSLContext = CERTIFICATES) -> None:
        self.http = httpx2.Client(base_url=url, timeout=60, trust_env=False, verify=verify)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def make_key(self, owner: str, role: str) -> str:
        """Return the secret of a new key; works only without keys (``auth.mode: local``) or as an admin."""
        secret: str = (
            self.http.post("/api/keys", json={"owner": owner, "role": role}).raise_for_status().json()["secret"]
        )
        return secret

    def post_file(self, name: str, content: bytes, **fields: str) -> httpx2.Response:
        return self.http.post(f"{FILES}/", files={"file": (name, content)}, data=fields)

    def upload(self, name: str, content: bytes, **fields: str) -> dict[str, object]:
        response = self.post_file(name, content, **fields)
        assert response.status_code == 201, response.text
        file: dict[str, object] = response.json()
        return file

    def download(self, file_id: object) -> bytes:
        response = self.http.get(f"{FILES}/{file_id}/download")
        assert response.status_code == 200, response.text
        return response.content

    def post_tasks(self, body: object) -> httpx2.Response:
        return self.http.post(f"{TASKS}/", json=body)

    def create_tasks(
        self, file_ids: list[object], algorithm: str, params: dict[str, object] | None = None
    ) -> list[int]:
        response = self.post_tasks({"file_ids": file_ids, "algorithm": algorithm, "params": params})
        assert response.status_code == 201, response.text
        task_ids: list[int] = response.json()["task_ids"]
        return task_ids

    def wait_for_task(self, task_id: int) -> dict[str, object]:
        """Wait until the task is finished or in error; return it."""

        def ended_task() -> dict[str, object]:
            task: dict[str, object] = self.http.get(f"{TASKS}/{task_id}").json()
            return task if task["status"] in ("finished", "error") else {}

        return wait_until(ended_task, f"task {task_id} has ended")

    def process(self, content: bytes, name: str, algorithm: str, params: dict[str, object] | None = None) -> bytes:
        """Upload an image, process it and return the bytes of the result."""
        task = self.wait_for_task(self.create_tasks([self.upload(name, content)["id"]], algorithm, params)[0])
        assert task["status"] == "finished", task
        return self.download(task["result_id"])

    def counts(self) -> tuple[int, int]:
        """Return the number of files and the id of the newest task, which a refused request must not change.

        Do not fetch the lists: other tests on this stack make them long, and there are hundreds of refused requests.
        """
        files = self.http.get(f"{FILES}/index").raise_for_status().json()["total"]
        newest = self.http.get(f"{TASKS}/", params={"sort": "-id", "limit": 1}).raise_for_status().json()
        return files, newest[0]["id"] if newest else 0


def assert_problem(response: httpx2.Response, status: int, word: str) -> None:
    """Check that the response is a problem document (RFC 9457) with ``status`` whose detail contains ``word``."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    document = response.json()
    assert document["status"] == status, document
    assert document["type"] and document["title"]
    assert word.lower() in document["detail"].lower(), document
    assert "Traceback" not in response.text
