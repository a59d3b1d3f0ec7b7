"""Both clients have the same methods."""

import asyncio
import inspect
from http.client import OK
from pathlib import Path

import pytest
from pixmill.client import asynchronous, sync

from pixmill import AsyncPixmill, Pixmill, RunFailedError
from tests.support.answering import Answer, answering

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


def run_of_a_deleted_result(_method: str, path: str, _body: bytes) -> Answer:
    if path.endswith("/lookup"):
        return OK, {"files": []}
    if path.endswith("/batches/7"):
        return OK, {"id": 7, "status": "ended", "algorithm": "flip", "tasks": 1}
    return OK, [{"id": 1, "source_id": 3, "result_id": 5, "status": "finished", "algorithm": "flip"}]


@pytest.mark.parametrize("name", ["wait", "save"])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_run_whose_result_was_deleted_fails(tmp_path: Path, name: str, *, is_async: bool) -> None:
    async def asynchronously(url: str) -> None:
        async with AsyncPixmill(url) as px:
            run = await px.batches.run(7)
            await (run.wait() if name == "wait" else run.save(tmp_path))

    def waiting(url: str) -> None:
        with Pixmill(url) as px:
            run = px.batches.run(7)
            run.wait() if name == "wait" else run.save(tmp_path)

    with answering() as fake_server:
        fake_server.answer = run_of_a_deleted_result
        with pytest.raises(RunFailedError) as failed:
            asyncio.run(asynchronously(fake_server.url)) if is_async else waiting(fake_server.url)

    assert [task.id for task in failed.value.failed] == [1]
