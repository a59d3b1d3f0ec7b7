"""The places that a worker's process may use."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from image_processor.config import WorkerSettings
from image_processor.handler.confinement import places_of_worker
from service_kit.settings import load

UNUSED_PORT = 9


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "conf.yml").touch()
    monkeypatch.setenv("WORKER_CONFIG", str(tmp_path / "conf.yml"))
    monkeypatch.setenv("PIXMILL_WORKER_INNER_SECRET", "a-secret-of-inner-calls-in-tests-only")
    monkeypatch.setenv("WORKER_BROKER__URL", "memory://")
    monkeypatch.setenv("WORKER_FILE_STORAGE__URL", f"http://127.0.0.1:{UNUSED_PORT}/api/file-server")
    monkeypatch.setenv("WORKER_FILE_STORAGE__BLOBS_URL", "")
    monkeypatch.setenv("WORKER_SANDBOX_PORTS", "[]")


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
    monkeypatch: pytest.MonkeyPatch, address: str, ports: set[int]
) -> None:
    monkeypatch.setenv("WORKER_DATABASE__URL", f"postgresql+psycopg://worker{address}")

    places = places_of_worker(load(WorkerSettings))

    assert set(places.ports) == ports | {53, UNUSED_PORT}


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (False, False)),
        ({"WORKER_DATABASE__URL": "postgresql+psycopg://worker@localhost/pixmill"}, (False, False)),
        ({"WORKER_DATABASE__URL": "postgresql+psycopg://worker@[::1],10.0.0.7/pixmill"}, (False, False)),
        ({"WORKER_DATABASE__URL": "postgresql+psycopg://worker@/pixmill?host=/run/postgresql"}, (False, False)),
        ({"WORKER_DATABASE__URL": "postgresql+psycopg://worker@/pixmill?host=10.0.0.7,db2"}, (True, True)),
        ({"WORKER_FILE_STORAGE__URL": "http://nginx:8080/api/file-server"}, (True, True)),
        ({"WORKER_FILE_STORAGE__BLOBS_URL": "http://nginx:8080/blobs/"}, (True, True)),
        ({"WORKER_SANDBOX_PORTS": "[443]"}, (True, True)),
        ({"WORKER_SANDBOX_PORTS": "[443]", "RES_OPTIONS": "ndots:1 use-vc"}, (True, False)),
    ],
)
def test_a_confined_process_asks_name_servers_only_where_a_server_has_a_name(
    monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str], expected: tuple[bool, bool]
) -> None:
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    monkeypatch.setenv("WORKER_DATABASE__URL", "sqlite:////tasks.db")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    places = places_of_worker(load(WorkerSettings))

    assert (53 in places.ports, places.udp) == expected
