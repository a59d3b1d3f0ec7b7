"""Limits of the resources of a process that decodes images."""

import os
import resource
from typing import Protocol

NICE = 10
"""Such processes have a lower priority than the services, which still respond while all cores compute pixels."""


class ProcessLimits(Protocol):
    """The settings of these limits."""

    @property
    def max_memory_bytes(self) -> int: ...

    @property
    def max_written_bytes(self) -> int: ...


def limit_process(limits: ProcessLimits) -> None:
    """Limit the priority and the memory of this process, and the size of each file that it writes, for good."""
    os.nice(NICE)
    memory, written = limits.max_memory_bytes, limits.max_written_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
