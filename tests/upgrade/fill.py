"""``python fill.py FOLDER``: create an installation with something of everything, through that version's API.

Writes the API's answers to ``FOLDER/answers.json``. The settings come from the environment.
"""

import base64
import json
import os
import sys
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import pyvips
from file_storage.app import create_app as create_file_server
from flask.testing import FlaskClient
from image_processor.app import create_app as create_image_processing
from image_processor.config import RetrySettings
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Ended, Failed, Finished, Holder
from service_kit.access.app import create_app as create_access
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import text
from werkzeug.test import TestResponse

TUS = {"Tus-Resumable": "1.0.0"}
FAR_FUTURE = 4_102_444_800
"""The year 2100, so that nothing has expired when a test runs."""
EXPIRING = [
    f"UPDATE links SET expires_at = {FAR_FUTURE}",
    f"UPDATE uploads SET expires_at = {FAR_FUTURE}",
    f"UPDATE idempotency_keys SET created_at = {FAR_FUTURE}",
]
RETRY = RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3, max_losses=10)


class Service:
    """A service's API in this process."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def send(
        self,
        method: str,
        path: str,
        key: str = "",
        headers: Mapping[str, str] | None = None,
        data: bytes | Mapping[str, object] | None = None,
        json: Mapping[str, object] | None = None,
    ) -> TestResponse:
        named = {**(headers or {}), **({"Authorization": f"Bearer {key}"} if key else {})}
        answer = self._client.open(
            path, method=method, base_url="http://127.0.0.1", headers=named, data=data, json=json
        )
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer


def picture() -> bytes:
    image = pyvips.Image.sines(16, 12, uchar=True).bandjoin([0, 128]).copy(interpretation="srgb")
    return bytes(image.write_to_buffer(".png"))


def upload(files: Service, name: str, content: bytes, key: str = "", once: str = "") -> int:
    headers = {"Idempotency-Key": once} if once else {}
    form = {"file": (BytesIO(content), name), "comment": f"of {name}"}
    return int(files.send("POST", "/", key, headers, form).get_json()["id"])


def fill_files(files: Service, ann: str) -> list[int]:
    """Add files, a copy, an idempotency key, links and uploads; return the ids of the pictures."""
    pictures = [upload(files, f"снимок {number}.png", picture() + bytes(number)) for number in range(8)]
    upload(files, "notes.txt", b"text", once="a key of local's")
    upload(files, "of-ann.txt", b"of Ann", ann, "a key of Ann's")
    files.send("POST", f"/{pictures[0]}/copy", json={"name": "copy.png"})
    files.send("POST", f"/{pictures[0]}/links", json={"note": "for Carol"})
    files.send("POST", f"/{pictures[1]}/links", json={"disposition": "inline"})
    name = base64.b64encode(b"begun.txt").decode()
    begun = files.send(
        "POST", "/uploads/", headers=TUS | {"Upload-Length": "10", "Upload-Metadata": f"filename {name}"}
    )
    place = begun.headers["Location"].rpartition("/")[2]
    received = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    files.send("PATCH", f"/uploads/{place}", data=b"01234", headers=TUS | received)
    (Path(sys.argv[1]) / "upload").write_text(place)
    return pictures


def fill_tasks(files: Service, tasks: Service, pictures: list[int]) -> None:
    """Add a task in each state, with webhooks for those that have ended."""

    def create(file_id: int, priority: int) -> int:
        wanted = {"file_ids": [file_id], "algorithm": "resize", "params": {"width": 8}, "priority": priority}
        body = {**wanted, "callback_url": "http://127.0.0.1:9/hook"}
        return int(tasks.send("POST", "/", json=body).get_json()["task_ids"][0])

    [_finished, _failed, _processing] = [create(file_id, 9) for file_id in pictures[:3]]
    cancelled = create(pictures[3], 0)
    create(pictures[4], 0)
    tasks.send("POST", f"/{cancelled}/cancel")
    claims = ClaimService(Database(os.environ["IMAGE_PROCESSOR_DATABASE__URL"]), RETRY, lease_seconds=60, processes=1)
    finished, failed, _ = claims.claim(Holder("worker", 1), 3)
    result = upload(files, "result.png", picture() + b"result")
    claims.end([Ended(finished, Finished(result)), Ended(failed, Failed("It is not an image."))])


def main(folder: Path) -> None:
    """Fill the databases and the folder of files."""
    for package, variable in (
        ("service_kit.access", "ACCESS_DATABASE__URL"),
        ("file_storage", "FILE_STORAGE_DATABASE__URL"),
        ("image_processor", "IMAGE_PROCESSOR_DATABASE__URL"),
    ):
        migrate(os.environ[variable], package)
    access = Service(create_access().test_client())
    files = Service(create_file_server().test_client())
    tasks = Service(create_image_processing().test_client())
    ann = access.send("POST", "/keys", json={"owner": "ann", "role": "writer", "note": "Ann's"}).get_json()["secret"]
    access.send("PUT", "/owners/ann/limits", json={"files": 5})
    fill_tasks(files, tasks, fill_files(files, str(ann)))
    database = Database(os.environ["FILE_STORAGE_DATABASE__URL"])
    with database.begin() as connection:
        for statement in EXPIRING:
            connection.execute(text(statement))
    asked = {
        "access": (access, ["/keys", "/owners"]),
        "files": (files, ["/", "/links", "/idempotency-keys/a key of local's", *_each(files)]),
        "tasks": (tasks, ["/", *_each(tasks)]),
    }
    answers = {
        f"{name} {path}": service.send("GET", path).get_json()
        for name, (service, paths) in asked.items()
        for path in paths
    }
    facts = {"key": ann, "upload": (folder / "upload").read_text(), "answers": answers}
    (folder / "answers.json").write_text(json.dumps(facts, ensure_ascii=False))
    (folder / "upload").unlink()


def _each(service: Service) -> list[str]:
    return [f"/{row['id']}" for row in service.send("GET", "/").get_json()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
