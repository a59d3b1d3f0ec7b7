"""The number of worker processes that a machine or a container has room for."""

import os
from pathlib import Path

MIN_PROCESSES = 2
"""Also on one core, so that a long task does not block short ones."""

PROCESS_BYTES = 256 * 1024 * 1024
"""Memory of a process while it works on photographs of usual sizes."""


def processes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return one process for each core that this process may use, at most as many as fit into memory.

    :param cgroup: the folder with the container's limits (cgroups(7)).
    """
    return max(MIN_PROCESSES, min(_cores(), _memory_bytes(cgroup) // PROCESS_BYTES))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes(cgroup: Path) -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(physical, int((cgroup / limit).read_text()))
        except (OSError, ValueError):  # another version of cgroups, or no limit
            continue
    return physical
