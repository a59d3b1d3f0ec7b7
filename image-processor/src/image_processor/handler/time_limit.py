"""The hard limit on a task's time: the kernel ends the process, however deep in a decoder it is."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Ends the whole process by SIGALRM (POSIX ``setitimer``) when the block takes longer than ``seconds``."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
