"""Reports that a worker's process died (crash, out of memory, time limit) or raised an unexpected error."""

from collections.abc import Callable

from billiard.einfo import ExceptionInfo
from billiard.exceptions import WorkerLostError
from celery.worker.request import Request
from service_kit.texts import counted, sentence

from image_processor.handler.pool_messages import FailedProcessError

CrashReport = Callable[[int, BaseException], None]


def crash_reporting_request(report: CrashReport) -> type[Request]:
    """Return a request class that calls ``report(process, error)`` in the worker's main process."""

    class CrashReportingRequest(Request):
        def on_failure(self, exc_info: ExceptionInfo, send_failed_event: bool = True, return_ok: bool = False) -> None:
            # billiard wraps a process's errors to keep their tracebacks.
            error = exc_info.exception
            if self.worker_pid is not None and error is not None:
                report(int(self.worker_pid), getattr(error, "exc", error))
            super().on_failure(exc_info, send_failed_event, return_ok)

    return CrashReportingRequest


def crash_reason(error: BaseException, max_seconds: float) -> str:
    """Return why a process died, in words for the user who created the task."""
    if not isinstance(error, WorkerLostError):
        name = error.name if isinstance(error, FailedProcessError) else type(error).__name__
        return sentence("an unexpected error ({name})", name=name)
    if overran(error):
        return counted(
            "it took longer than {seconds:g} second",
            "it took longer than {seconds:g} seconds",
            "seconds",
            seconds=max_seconds,
        )
    return sentence("the task crashed its process, perhaps because memory ran out")


def overran(error: BaseException) -> bool:
    """Return whether a process died because it exceeded the time limit."""
    # handler.time_limit uses this signal, which billiard reports only in the error's text.
    return isinstance(error, WorkerLostError) and "SIGALRM" in str(error)
