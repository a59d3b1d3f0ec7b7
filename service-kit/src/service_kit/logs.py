"""Structured logs: each event is one line of JSON on standard error."""

import logging
import os
import re
from collections.abc import MutableMapping

import structlog

STANDARD_ERROR = 2

_QUERY = re.compile(r"(https?://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^\s/\"'<>@]*@|(?<=/links/)[\w.-]+|(?<=/shared/)[\w.-]+")


class _LineLogger:
    """Writes each line with one system call and without a lock.

    structlog's own loggers hold a lock while they write. A worker forks while its threads log, and a child forked at
    that moment would wait forever for a lock whose holder exists only in the parent.
    """

    def msg(self, line: str) -> None:
        os.write(STANDARD_ERROR, f"{line}\n".encode(errors="backslashreplace"))

    debug = info = warning = error = critical = exception = msg


def _cut_urls(_logger: object, _method: str, event: MutableMapping[str, object]) -> MutableMapping[str, object]:
    """Remove the secret parts of URLs anywhere in an event: error messages may quote URLs as well."""
    for name, value in event.items():
        if isinstance(value, str) and "/" in value:
            event[name] = _CREDENTIALS.sub("", _QUERY.sub(r"\1", value))
    return event


class _Libraries(logging.Handler):
    """Turns log records of libraries into events; they would be plain text otherwise."""

    def emit(self, record: logging.LogRecord) -> None:
        event = record.getMessage()
        structlog.get_logger().log(record.levelno, event, logger=record.name, exc_info=record.exc_info)


def configure(level: str) -> None:
    """Write every event of ``level`` (a name of :mod:`logging`) and above to standard error as JSON.

    Libraries log warnings and above.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _cut_urls,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=lambda *_: _LineLogger(),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries(logging.WARNING)], force=True)
    logging.captureWarnings(capture=True)
    # Some libraries have already installed handlers of their own.
    for name in tuple(logging.root.manager.loggerDict):
        library = logging.getLogger(name)
        library.handlers.clear()
        # uvicorn would still format each line of its access log, which duplicates nginx's.
        library.propagate = name != "uvicorn.access"
