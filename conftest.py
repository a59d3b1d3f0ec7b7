"""For every test of the project: examples of a property, failures at once, and what a killed run left behind."""

import sys

import pytest
from hypothesis import settings

import pixmill  # noqa: F401 (before pytest takes the folder of that name, which holds its tests, for the package)
from tests.support import leftovers

# A busy machine is no failure: no example has a deadline.
settings.register_profile("quick", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("quick")


class FailuresAtOnce:
    """Names each failure when it happens; pytest itself shows them all at the end, which may be an hour away."""

    def __init__(self, terminal: pytest.TerminalReporter) -> None:
        self._terminal = terminal

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._terminal.ensure_newline()
            self._terminal.write_line(
                f"FAILED {report.nodeid}: {report.longreprtext.strip().splitlines()[-1].removeprefix('E').strip()}"
            )


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # one of the runners that the run below starts
    terminal = config.pluginmanager.get_plugin("terminalreporter")
    if terminal is not None:
        config.pluginmanager.register(FailuresAtOnce(terminal))
    if done := leftovers.end_leftovers():
        print(done, file=sys.stderr)
    leftovers.own()
