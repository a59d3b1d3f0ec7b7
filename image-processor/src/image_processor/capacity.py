"""Chooses the number of worker processes for a machine or container."""

import math
import os
from pathlib import Path

FEWEST_PROCESSES = 2
"""At least two, even with one core, so that a short task does not wait for a long one."""

PROCESS_BYTES = 256 * 1024 * 1024
"""Memory of a process that works on photographs of the usual sizes."""


def processes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return one process for each core that this process may use, limited by memory.

    :param cgroup: the folder of the container's limits (cgroups(7)).
    """
    return max(FEWEST_PROCESSES, min(_cores(cgroup), _memory_bytes(cgroup) // PROCESS_BYTES))


def _cores(cgroup: Path) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _quota(cgroup) or cores)


def _quota(cgroup: Path) -> int | None:
    """Return the number of cores allowed by ``docker run --cpus``, rounded up; None if unlimited."""
    try:
        quota, period = _cpu_times(cgroup)
        return math.ceil(int(quota) / int(period)) if int(quota) > 0 else None
    except (OSError, ValueError):  # "max" means no quota
        return None


def _cpu_times(cgroup: Path) -> list[str]:
    version_2 = cgroup / "cpu.max"
    if version_2.exists():
        return version_2.read_text().split()
    return [(cgroup / "cpu" / name).read_text() for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]


def _memory_bytes(cgroup: Path) -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(physical, int((cgroup / limit).read_text()))
        except (OSError, ValueError):  # another version of cgroups, or no limit
            continue
    return physical
