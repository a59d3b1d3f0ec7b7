"""Which tests a test runner gets together: those of a module, or all that share a stack."""

import re
from functools import cache

from xdist.scheduler.loadscope import LoadScopeScheduling

from tests.support.environment import PROJECT

SHARED = ("full", "embedded", "strict", "tuned")
"""The fixtures of tests/conftest.py that start a stack, once for each runner that asks for it."""
_PARAMETER = re.compile(rf"\[({'|'.join(SHARED)})\b")
_FIXTURE = re.compile(rf"\b({'|'.join(SHARED)}): \w*Stack\b")


class ByStack(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Give all tests that share a stack to one runner, so that only one starts it."""

    def _split_scope(self, nodeid: str) -> str:
        return unit_of(nodeid)


def unit_of(test: str) -> str:
    """Return the name of the unit that pytest's name of a test belongs to; a runner gets whole units.

    Most tests run on the full stack; those of ``tests/e2e`` have one of their own, so that two runners share the work.
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
    """Return the stack that functions of the module ask for by the name of its fixture."""
    found = _FIXTURE.search((PROJECT / module).read_text("utf-8"))
    return found[1] if found else None
