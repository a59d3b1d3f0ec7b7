"""``python -m bench.access``: the cost of a key, as the ratio of the CPU time of requests with and without one.

Both kinds of requests run in this process, without a web server and alternating, so that other load on the machine
affects both equally. Exits with 1 above the limit.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from file_storage.app import create_app
from flask.testing import FlaskClient
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.principals import READER
from service_kit.database import Database
from service_kit.migrations import migrate

from tests.support.environment import ENVIRONMENT, PROJECT

MAX_RATIO = 1.05
"""Maximum CPU time of a request with a key, as a multiple of one without."""
ROUNDS = 30
REQUESTS = 200
"""Requests of each kind per round."""


def main() -> int:
    """Measure and print the ratio; return 1 if it exceeds the limit."""
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-") as folder:
        client, secret = _served(Path(folder))
        path = f"/{client.put('/?name=a.bin', data=b'bytes').get_json()['id']}"
        headers = {"Authorization": f"Bearer {secret}"}
        ratios = []
        for _ in range(ROUNDS):
            without, with_key = _seconds(client, path, {}), _seconds(client, path, headers)
            ratios.append(with_key / without)
    ratio = statistics.median(ratios)
    is_costly = ratio > MAX_RATIO
    note = "  TOO MUCH" if is_costly else ""
    print(f"a request with a key, times one without: {ratio:.3f} (at most {MAX_RATIO}){note}")
    return int(is_costly)


def _served(folder: Path) -> tuple[FlaskClient, str]:
    access = f"sqlite:///{folder}/access.db"
    os.environ.update(
        ENVIRONMENT
        | {
            "ACCESS_DATABASE__URL": access,
            "FILE_STORAGE_DATABASE__URL": f"sqlite:///{folder}/files.db",
            "FILE_STORAGE_STORAGE__FOLDER": str(folder),
            "FILE_STORAGE_UPLOAD__BODY_FOLDER": "",
            "FILE_STORAGE_LOG__LEVEL": "error",
        }
    )
    os.chdir(PROJECT)
    migrate(access, "service_kit.access")
    migrate(f"sqlite:///{folder}/files.db", "file_storage")
    secret = KeyService(Database(access)).create(KeyRequest("local", READER)).secret
    return create_app().test_client(), secret


def _seconds(client: FlaskClient, path: str, headers: dict[str, str]) -> float:
    start = time.process_time()
    for _ in range(REQUESTS):
        assert client.get(path, headers=headers).status_code == 200
    return time.process_time() - start


if __name__ == "__main__":
    sys.exit(main())
