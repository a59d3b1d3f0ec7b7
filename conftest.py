"""For every test of the project: how many examples a property is tried with, and what a killed run left behind."""

import sys

import pytest
from hypothesis import settings

import pixmill  # noqa: F401 (before pytest takes the folder of that name, which holds its tests, for the package)
from tests.support import leftovers

# A busy machine is no failure: no example has a deadline.
settings.register_profile("quick", deadline=None, max_examples=100, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=1000)
settings.load_profile("quick")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # one of the runners that the run below starts
    if done := leftovers.end_leftovers():
        print(done, file=sys.stderr)
    leftovers.own()
