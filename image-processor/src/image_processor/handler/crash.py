"""Notices that a worker's process died (a crash, out of memory, the time limit) or met an unexpected error."""

from collections.abc import Callable

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.worker.request import Request

CrashReport = Callable[[int, BaseException], None]


def crash_reporting_request(report: CrashReport) -> type[Request]:
    """A request class that calls ``report(process, error)`` in the worker's main process."""

    class CrashReportingRequest(Request):
        def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> None:
            # Before Celery's own part, which raises a MemoryError again instead of returning.
            # A process's error comes wrapped, to carry its traceback.
            error = exc_info.exception
            if self.worker_pid is not None and error is not None:
                report(int(self.worker_pid), getattr(error, "exc", error))
            super().on_failure(exc_info, send_failed_event, return_ok)

    return CrashReportingRequest


def crash_reason(error: BaseException, max_seconds: float) -> str:
    """Why a process is gone, in words for the person who made the task."""
    if not isinstance(error, WorkerLostError):
        return f"an unexpected error ({type(error).__name__})"
    if overran(error):
        return f"it took longer than {max_seconds:g} seconds"
    return "it made its process crash, perhaps for lack of memory"


def overran(error: BaseException) -> bool:
    """Whether a process is gone as it exceeded the time limit."""
    # The signal of handler.time_limit; billiard tells a process's end in this text only.
    return isinstance(error, WorkerLostError) and "SIGALRM" in str(error)
