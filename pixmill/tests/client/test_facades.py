"""Both clients have the same methods."""

import inspect

import pytest
from pixmill.client import asynchronous, sync

PAIRS = [
    (sync.Pixmill, asynchronous.AsyncPixmill),
    (sync.Files, asynchronous.AsyncFiles),
    (sync.Tasks, asynchronous.AsyncTasks),
    (sync.Batches, asynchronous.AsyncBatches),
    (sync.Presets, asynchronous.AsyncPresets),
    (sync.Links, asynchronous.AsyncLinks),
    (sync.Images, asynchronous.AsyncImages),
    (sync.Run, asynchronous.AsyncRun),
    (sync.Keys, asynchronous.AsyncKeys),
    (sync.Owners, asynchronous.AsyncOwners),
]


def methods(model: type) -> dict[str, list[tuple[str, object]]]:
    found = {
        name: member for name, member in vars(model).items() if inspect.isfunction(member) and not name.startswith("_")
    }
    return {
        name: [(parameter.name, parameter.default) for parameter in inspect.signature(member).parameters.values()]
        for name, member in found.items()
    }


@pytest.mark.parametrize(("waiting", "asynchronously"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
def test_both_clients_have_the_same_methods_and_parameters(waiting: type, asynchronously: type) -> None:
    assert methods(waiting) == methods(asynchronously)
    assert methods(waiting)
