"""The result cache: results of identical tasks are copied, many in one request."""

from collections.abc import Sequence

from tests.support.client import Served, ended_task
from tests.support.images import photo
from tests.support.stacks import FullStack

COUNT = 100


def requests(stack: FullStack, part: str) -> int:
    return len(stack.requests(part))


def results(pixmill: Served, sources: Sequence[int]) -> list[int]:
    tasks = [ended_task(pixmill, task_id) for task_id in pixmill.run(sources, "rotate", params={"angle": 90}).task_ids]
    assert {task.status for task in tasks} == {"finished"}
    return [task.result_id for task in tasks if task.result_id is not None]


def test_the_results_of_an_equal_batch_are_copied(full: FullStack) -> None:
    with Served(full.url) as pixmill:
        sources = [pixmill.files.upload(photo(90, 20 + n), name=f"{n}.png").id for n in range(COUNT)]
        first = results(pixmill, sources)
        stored = requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch")
        copied = requests(full, "/api/file-server/copies")

        second = results(pixmill, sources)

        assert len({*first, *second}) == 2 * COUNT
        assert [pixmill.files.read(file_id) for file_id in second] == [pixmill.files.read(file_id) for file_id in first]
    assert requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch") == stored
    assert 0 < requests(full, "/api/file-server/copies") - copied < COUNT / 2


def test_a_deleted_result_is_computed_again(full: FullStack) -> None:
    with Served(full.url) as pixmill:
        sources = [pixmill.files.upload(photo(91, 30), name="gone.png").id]
        [first] = results(pixmill, sources)
        before = pixmill.files.read(first)
        pixmill.http.delete(f"/api/file-server/{first}").raise_for_status()

        [second] = results(pixmill, sources)

        assert second != first
        assert pixmill.files.read(second) == before
