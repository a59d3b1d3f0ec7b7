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


@pytest.mark.parametrize("period", ["30s", "0m30s", "0.5m", "30000ms", "0h0m29.5s500ms"])
def test_a_worker_must_stop_before_it_is_killed(monkeypatch: pytest.MonkeyPatch, period: str) -> None:
    monkeypatch.setenv("PIXMILL_STOP_GRACE_PERIOD", period)
    monkeypatch.setenv("WORKER_SHUTDOWN_SECONDS", "29")
    assert load(WorkerSettings).shutdown_seconds == 29

    monkeypatch.setenv("WORKER_SHUTDOWN_SECONDS", "30")

    with pytest.raises(SettingsError, match=rf"shutdown_seconds .*: 30 seconds .* stop_grace_period, {period}"):
        load(WorkerSettings)


@pytest.mark.parametrize("period", ["1h", "1h30m"])
def test_a_worker_may_have_hours_to_stop(monkeypatch: pytest.MonkeyPatch, period: str) -> None:
    monkeypatch.setenv("PIXMILL_STOP_GRACE_PERIOD", period)
    monkeypatch.setenv("WORKER_SHUTDOWN_SECONDS", "3599")

    assert load(WorkerSettings).shutdown_seconds == 3599


def test_a_grace_period_that_docker_cannot_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_STOP_GRACE_PERIOD", "30 seconds")

    with pytest.raises(SettingsError, match=r"PIXMILL_STOP_GRACE_PERIOD \(30 seconds\) is not a duration"):
        load(WorkerSettings)


def test_the_main_process_has_a_connection_for_each_of_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKER_DATABASE__POOL_SIZE", "2")

    with pytest.raises(SettingsError, match=r"database\.pool_size .* greater than or equal to 3"):
        load(WorkerSettings)
