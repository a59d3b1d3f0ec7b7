"""The mutations of ``make test-all`` still fit the sources and name tests that exist."""

from pathlib import Path

import pytest

from tests.mutations.rules import MUTATIONS, Mutation
from tests.support.environment import PROJECT


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.rule)
def test_a_mutation_fits_its_source_and_its_test(mutation: Mutation) -> None:
    path, _, name = mutation.caught_by.partition("::")

    assert (PROJECT / mutation.file).read_text("utf-8").count(mutation.before) == 1
    assert not name or f"def {name.partition('[')[0]}(" in Path(PROJECT, path).read_text("utf-8")
