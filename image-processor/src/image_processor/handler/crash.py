"""Notices that a task's process died (a crash, out of memory, the hard time limit) or met an unexpected error."""

from collections.abc import Callable

from billiard.einfo import ExceptionInfo
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

CrashReport = Callable[[int, str], None]


def crash_reporting_request(report: CrashReport) -> type[Request]:
    """A request class that calls ``report(task_id, reason)`` in the worker's main process."""

    class CrashReportingRequest(Request):
        def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> None:
            super().on_failure(exc_info, send_failed_event, return_ok)
            report(self.args[0], _reason(exc_info.exception))

    return CrashReportingRequest


def _reason(error: BaseException | None) -> str:
    # A process's error comes wrapped, to carry its traceback.
    match getattr(error, "exc", error):
        case TimeLimitExceeded(args=[seconds]):
            return f"it took longer than {seconds:g} seconds"
        case WorkerLostError():
            return "it made its process crash, perhaps for lack of memory"
        case _:
            return f"an unexpected error ({type(error).__name__})"
