"""A process of the pool, which keeps nothing of the main process but its own pipes.

The main process is outside the sandbox: through its connection to the broker, a process that a picture has taken over
could send and receive tasks; through its epoll descriptor, it could make the main process deaf; through the pipes of
others, it could write in their name.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from billiard.context import ForkProcess

_STANDARD = (0, 1, 2)


class IsolatedProcess(ForkProcess):
    """A forked process that forgets the descriptors of the main process and cannot feign its end.

    :ivar inq: the pipe from the main process; billiard sets it.
    :ivar outq: the pipe to the main process; billiard sets it.
    """

    inq: Any
    outq: Any
    _popen: Any

    def start(self) -> None:
        """Fork the process."""
        super().start()
        # Billiard waits until the process has closed a pipe, so it could do this early. The kernel knows better.
        # An old kernel does not report it; and another thread may already have waited for a process that has ended.
        with suppress(OSError):
            end = os.pidfd_open(self._popen.pid)
            os.dup2(end, self._popen.sentinel, inheritable=False)
            os.close(end)

    def run(self) -> None:
        """Forget what was inherited, and work; this is the first code of the new process."""
        _forget_descriptors(but=[self.inq._reader.fileno(), self.outq._writer.fileno()])
        super().run()


def _forget_descriptors(but: Collection[int]) -> None:
    """Let each descriptor of this process lead to nothing, except the standard ones and these."""
    if not _kernel_reports_ends():
        # Without billiard's pipe, the process would seem to have ended. Such a kernel has no sandbox for files either.
        return
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor in {int(each.name) for each in Path("/proc/self/fd").iterdir()} - {nothing, *_STANDARD, *but}:
        # Not closed: an object that knows the number would later close what has got it.
        os.dup2(nothing, descriptor, inheritable=False)
    os.close(nothing)


def _kernel_reports_ends() -> bool:
    """Return whether the kernel has pidfd_open (Linux 5.3)."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
