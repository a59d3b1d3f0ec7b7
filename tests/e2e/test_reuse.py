"""The result cache: results of identical tasks are copied, many in one request."""

from tests.support.client import ApiClient
from tests.support.images import photo
from tests.support.stacks import FullStack

COUNT = 100


def requests(stack: FullStack, part: str) -> int:
    return len(stack.requests(part))


def results(pixmill: ApiClient, sources: list[object]) -> list[object]:
    tasks = [pixmill.wait_for_task(task_id) for task_id in pixmill.create_tasks(sources, "rotate", {"angle": 90})]
    assert {task["status"] for task in tasks} == {"finished"}
    return [task["result_id"] for task in tasks]


def test_the_results_of_an_equal_batch_are_copied(full: FullStack) -> None:
    with ApiClient(full.url) as pixmill:
        sources = [pixmill.upload(f"{n}.png", photo(90, 20 + n))["id"] for n in range(COUNT)]
        first = results(pixmill, sources)
        stored = requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch")
        copied = requests(full, "/api/file-server/copies")

        second = results(pixmill, sources)

        assert len({*first, *second}) == 2 * COUNT
        assert [pixmill.download(file_id) for file_id in second] == [pixmill.download(file_id) for file_id in first]
    assert requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch") == stored
    assert 0 < requests(full, "/api/file-server/copies") - copied < COUNT / 2


def test_a_deleted_result_is_computed_again(full: FullStack) -> None:
    with ApiClient(full.url) as pixmill:
        sources = [pixmill.upload("gone.png", photo(91, 30))["id"]]
        [first] = results(pixmill, sources)
        before = pixmill.download(first)
        pixmill.http.delete(f"/api/file-server/{first}").raise_for_status()

        [second] = results(pixmill, sources)

        assert second != first
        assert pixmill.download(second) == before
