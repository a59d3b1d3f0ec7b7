"""How many processes of a worker a machine, or a container, has room for."""

import os
from pathlib import Path

FEWEST_PROCESSES = 2
"""Beside a long task a short one is done, also where there is one core."""

PROCESS_BYTES = 256 * 1024 * 1024
"""What a process takes while it works on photographs of the usual sizes."""


def processes(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """One for each core that this process may use, as far as memory goes.

    :param cgroup: where the kernel tells the container's limits (cgroups(7)).
    """
    return max(FEWEST_PROCESSES, min(_cores(), _memory_bytes(cgroup) // PROCESS_BYTES))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_bytes(cgroup: Path) -> int:
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(physical, int((cgroup / limit).read_text()))
        except (OSError, ValueError):  # this version of cgroups has another file, or there is no limit
            continue
    return physical
