"""Earlier results are given to tasks that ask for the same: many in one request, and none is made again."""

from tests.support.client import Pixmill
from tests.support.images import photo
from tests.support.stacks import FullStack

COUNT = 100


def requests(stack: FullStack, part: str) -> int:
    return len(stack.requests(part))


def results(pixmill: Pixmill, sources: list[object]) -> list[object]:
    tasks = [pixmill.ended(task_id) for task_id in pixmill.create_tasks(sources, "rotate", {"angle": 90})]
    assert {task["status"] for task in tasks} == {"finished"}
    return [task["result_id"] for task in tasks]


def test_a_batch_that_was_made_before_is_copied(full: FullStack) -> None:
    with Pixmill(full.url) as pixmill:
        sources = [pixmill.upload(f"{n}.png", photo(90, 20 + n))["id"] for n in range(COUNT)]
        first = results(pixmill, sources)
        stored = requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch")
        copied = requests(full, "/api/file-server/copies")

        second = results(pixmill, sources)

        assert len({*first, *second}) == 2 * COUNT
        assert [pixmill.download(one) for one in second] == [pixmill.download(one) for one in first]
    assert requests(full, '"method":"PUT"') + requests(full, "/api/file-server/batch") == stored
    assert 0 < requests(full, "/api/file-server/copies") - copied < COUNT / 2


def test_a_result_that_was_deleted_is_made_again(full: FullStack) -> None:
    with Pixmill(full.url) as pixmill:
        sources = [pixmill.upload("gone.png", photo(91, 30))["id"]]
        [first] = results(pixmill, sources)
        before = pixmill.download(first)
        pixmill.http.delete(f"/api/file-server/{first}").raise_for_status()

        [second] = results(pixmill, sources)

        assert second != first
        assert pixmill.download(second) == before
