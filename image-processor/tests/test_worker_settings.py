"""Contradicting settings of the worker."""

from pathlib import Path

import pytest
from image_processor.config import WorkerSettings
from service_kit.settings import SettingsError, load


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Create an empty settings file, and the variables that the defaults need."""
    path = tmp_path / "conf.yml"
    path.touch()
    monkeypatch.setenv("WORKER_CONFIG", str(path))
    monkeypatch.setenv("PIXMILL_WORKER_INNER_SECRET", "a-secret-of-inner-calls-in-tests-only")
    monkeypatch.setenv("WORKER_DATABASE__URL", "sqlite://")
    monkeypatch.setenv("WORKER_BROKER__URL", "memory://")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LEASE__SECONDS", "8", "lease.heartbeat_seconds (3) is more than a third of lease.seconds (8)"),
        ("LEASE__HEARTBEAT_SECONDS", "5.1", "lease.heartbeat_seconds (5.1) is more than a third of lease.seconds (15)"),
        (
            "LIMITS__MAX_TASK_BYTES",
            "536870911",
            "limits.max_task_bytes (536870911) is less than limits.max_file_bytes (536870912)",
        ),
        (
            "RETRY__BASE_DELAY_SECONDS",
            "61",
            "retry.base_delay_seconds (61) is more than retry.max_delay_seconds (60)",
        ),
    ],
)
def test_the_start_is_refused_with_both_names(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, reason: str
) -> None:
    monkeypatch.setenv(f"WORKER_{name}", value)

    with pytest.raises(SettingsError) as raised:
        load(WorkerSettings)

    assert str(raised.value).endswith(f"or the environment: {reason}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LEASE__SECONDS", "9"),
        ("LEASE__HEARTBEAT_SECONDS", "5"),
        ("LIMITS__MAX_TASK_BYTES", "536870912"),
        ("RETRY__BASE_DELAY_SECONDS", "60"),
    ],
)
def test_the_limit_itself_is_possible(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"WORKER_{name}", value)

    load(WorkerSettings)
