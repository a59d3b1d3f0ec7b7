"""Distributes tests to test runners: by module, or together with all tests that share a stack."""

import re
from functools import cache

from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.environment import PROJECT

SHARED = ("full", "embedded", "strict", "tuned")
"""The fixtures of tests/conftest.py that start a stack, once per runner that uses it."""
_PARAMETER = re.compile(rf"\[({'|'.join(SHARED)})\b")
_FIXTURE = re.compile(rf"\b({'|'.join(SHARED)}): \w*Stack\b")


class ByStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives all tests that share a stack to one runner, so that only one runner starts the stack."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(test: str) -> str:
    """Return the unit of a test, given pytest's name of the test; a runner gets whole units.

    Most tests use the full stack; those of ``tests/e2e`` form a unit of their own, so that two runners share the work.
    """
    module, _, function = test.partition("::")
    if not module.startswith("tests/"):
        return module
    parameter = _PARAMETER.search(function)
    stack = parameter[1] if parameter else _stack_in(module)
    if stack is None:
        return module
    return f"{stack} of tests/e2e" if stack == "full" and module.startswith("tests/e2e/") else stack


@cache
def _stack_in(module: str) -> str | None:
    """Return the stack that the module's functions request by fixture name."""
    found = _FIXTURE.search((PROJECT / module).read_text("utf-8"))
    return found[1] if found else None
