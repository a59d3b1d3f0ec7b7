"""The modules of the client depend on each other in one direction."""

from graphlib import TopologicalSorter
from pathlib import Path

import pixmill.client

from tests.support.imports import imports_within


def test_no_module_imports_one_that_imports_it() -> None:
    modules = imports_within(Path(pixmill.client.__file__).parent, "pixmill.client")

    order = list(TopologicalSorter(modules).static_order())
    assert order.index("problems") < order.index("answers") < order.index("tasks") < order.index("sync")
