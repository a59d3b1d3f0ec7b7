"""Setup for every test: hypothesis profiles, immediate reports of failures, removal of a killed run's leftovers."""

import fcntl
import functools
import gc
import os
import signal
import sys
from collections.abc import Callable, Generator

import pytest
import structlog
from _pytest._code.code import ExceptionRepr
from hypothesis import settings

import pixmill  # noqa: F401 (first, or pytest would import the folder of that name, which has the tests, as the package)
from tests.support import databases, leftovers
from tests.support.distribution import ByStack

# No deadlines: tests must not fail on a busy machine.
settings.register_profile("quick", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("unit", deadline=None, max_examples=20, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("quick")


def reason_of(report: pytest.TestReport) -> str:
    """Return the first line of the error, such as a comparison; what follows it explains the line."""
    if isinstance(report.longrepr, ExceptionRepr) and report.longrepr.reprcrash is not None:
        return report.longrepr.reprcrash.message.partition("\n")[0]
    return report.longreprtext.strip().splitlines()[-1]


class ImmediateFailures:
    """Prints each failure immediately; pytest reports failures only at the end, which may be an hour later."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.ensure_newline()
            self._terminal.write_line(f"FAILED {report.nodeid}: {reason_of(report)}")


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Return the number of cores, plus two with tests of servers: they spend half of their time waiting."""
    without_servers = "not server" in config.getoption("markexpr")
    return (os.cpu_count() or 1) + (0 if without_servers else 2)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByStack | None:
    return ByStack(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let one test runner collect first: it saves the compiled tests, which otherwise every runner would compile."""
    # All objects of the collected tests stay, so that looking for garbage among them only takes time.
    gc.disable()
    try:
        if not hasattr(session.config, "workerinput"):
            return (yield)
        with open(__file__) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fcntl.flock(lock, fcntl.LOCK_SH)
            return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    # A shell starts background jobs with SIGINT ignored, and so would every program that a test interrupts.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A logger that kept the configuration of one test's application would hide its lines from tests that capture them.
    structlog.configure = functools.partial(_configure_uncached, structlog.configure)
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist; only the main process continues
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        config.pluginmanager.register(ImmediateFailures(terminal))
    if done := leftovers.end_leftovers():
        print(done, file=sys.stderr)
    leftovers.own()


def _configure_uncached(configure: Callable[..., None], **options: object) -> None:
    configure(**(options | {"cache_logger_on_first_use": False}))


def pytest_unconfigure() -> None:
    databases.stop_postgres()
