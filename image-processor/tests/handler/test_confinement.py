"""The places that a worker's process may use."""

from pathlib import Path

import pytest
from image_processor.config import WorkerSettings
from image_processor.handler.confinement import places_of_worker
from service_kit.settings import load

UNUSED_PORT = 9


@pytest.mark.parametrize(
    ("address", "ports"),
    [
        ("@db1/pixmill", {5432}),
        ("@db1:6432/pixmill", {6432}),
        ("@/pixmill?host=db1:5433&host=db2:5434&target_session_attrs=read-write", {5433, 5434}),
        ("@/pixmill?host=db1,db2&port=5433,5434", {5433, 5434}),
        ("@/pixmill?host=db1&host=db2:5434", {5432, 5434}),
    ],
)
def test_a_confined_process_may_connect_to_each_host_of_its_database(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, address: str, ports: set[int]
) -> None:
    (tmp_path / "conf.yml").touch()
    monkeypatch.setenv("WORKER_CONFIG", str(tmp_path / "conf.yml"))
    monkeypatch.setenv("PIXMILL_WORKER_INNER_SECRET", "a-secret-of-inner-calls-in-tests-only")
    monkeypatch.setenv("WORKER_BROKER__URL", "memory://")
    monkeypatch.setenv("WORKER_FILE_STORAGE__URL", f"http://127.0.0.1:{UNUSED_PORT}/api/file-server")
    monkeypatch.setenv("WORKER_FILE_STORAGE__BLOBS_URL", "")
    monkeypatch.setenv("WORKER_SANDBOX_PORTS", "[]")
    monkeypatch.setenv("WORKER_DATABASE__URL", f"postgresql+psycopg://worker{address}")

    places = places_of_worker(load(WorkerSettings))

    assert set(places.ports) == ports | {53, UNUSED_PORT}
