"""Collects the judgment of facts only where there are facts, because nothing is skipped in continuous integration."""

from collections.abc import Sequence

from tests.conformance.folder import MISSING, files

collect_ignore = [] if files() else ["test_conformance.py"]


def pytest_report_header() -> Sequence[str]:
    """Say in one line that there are no facts."""
    return [] if files() else [MISSING]
