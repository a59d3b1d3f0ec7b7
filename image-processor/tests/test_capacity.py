"""The number of processes depends on cores and memory."""

import os
from pathlib import Path

import pytest
from image_processor.capacity import processes

GIB = 1024**3


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Emulate a machine with 64 cores and 256 GiB."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 256 * GIB // 4096}.__getitem__)


@pytest.mark.parametrize(
    ("file", "limit", "expected"),
    [
        ("memory.max", str(4 * GIB), 16),
        ("memory.max", "max", 64),
        ("memory.max", str(100 * 1024**2), 2),
        ("memory/memory.limit_in_bytes", str(8 * GIB), 32),
        ("memory/memory.limit_in_bytes", "9223372036854771712", 64),
    ],
)
def test_the_memory_of_a_container_limits_its_processes(tmp_path: Path, file: str, limit: str, expected: int) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{limit}\n")

    assert processes(tmp_path) == expected


def test_a_machine_has_one_process_for_each_core(tmp_path: Path) -> None:
    assert processes(tmp_path) == 64


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu.max": "200000 100000"}, 2),
        ({"cpu.max": "350000 100000"}, 4),
        ({"cpu.max": "max 100000"}, 64),
        ({"cpu.max": "9000000 100000"}, 64),
        ({"cpu.max": "800000 100000", "memory.max": str(GIB)}, 4),
        ({"cpu/cpu.cfs_quota_us": "600000", "cpu/cpu.cfs_period_us": "100000"}, 6),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 64),
    ],
)
def test_a_container_has_one_for_each_core_of_its_quota(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{text}\n")

    assert processes(tmp_path) == expected


def test_a_process_that_may_use_one_core_has_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {7})

    assert processes(tmp_path) == 2
