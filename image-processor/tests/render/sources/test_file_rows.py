"""The file server's data about files: looked up in batches, cached, and refreshed in time."""

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler

import pytest
from image_processor.render.config import RenderFileSettings
from image_processor.render.sources.file_rows import AT_ONCE, FileRow, FileRows
from service_kit.access.principals import READER, Principal
from service_kit.errors import DomainError

from tests.support.web_server import WebServer

MOST_ID = 100
EVER = 60.0


def digest_of(file_id: int) -> str:
    return f"{file_id:064x}"


class FileServer(WebServer):
    """Answers lookups like the file server. It has the files 1 to 100, of which 10 and 20 have equal bytes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[list[int | str]] = []
        self.owners: list[str] = []
        self.owner: str | None = "ann"
        self.deleted: set[int] = set()
        self.fails = False
        self.may_answer = threading.Event()
        self.may_answer.set()

    def file(self, file_id: int) -> dict[str, object]:
        return {
            "id": file_id,
            **({} if self.owner is None else {"owner": self.owner}),
            "sha256": digest_of(10 if file_id == 20 else file_id),
            "media_type": "image/jpeg",
            "width": 640,
            "height": 480,
            "created_at": "Tue, 04 Jul 2023 07:43:06 GMT",
        }


class Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        ids, digests = body.get("ids", []), body.get("sha256", [])
        self.server.asked.append([*ids, *digests])
        self.server.owners.append(self.headers.get("X-Pixmill-Owner", ""))
        self.server.may_answer.wait(EVER)
        present = [self.server.file(number) for number in range(1, MOST_ID) if number not in self.server.deleted]
        files = [file for file in present if file["id"] in ids or file["sha256"] in digests]
        content = json.dumps({"files": files}).encode()
        self.send_response(500 if self.server.fails else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()


Work = Callable[[FileRows], Awaitable[None]]


def run(server: FileServer, work: Work, seconds: float = EVER) -> None:
    """Run the work with rows that are cached for this many seconds."""
    url = f"http://127.0.0.1:{server.server_port}"
    settings = RenderFileSettings.model_validate({"url": url, "inner_secret": "s" * 32, "timeout_seconds": EVER})

    async def done() -> None:
        rows = FileRows(settings, seconds)
        try:
            async with asyncio.timeout(EVER):
                await work(rows)
        finally:
            await rows.close()

    asyncio.run(done())


def ids_of(rows: Sequence[FileRow | None]) -> list[int | None]:
    return [None if row is None else row.id for row in rows]


def test_a_file_is_looked_up_once(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        first, second = await rows.find(1), await rows.find(1)

        assert first is second is not None

    run(server, work)

    assert server.asked == [[1]]


def test_questions_during_two_lookups_are_one_lookup(server: FileServer) -> None:
    server.may_answer.clear()

    async def work(rows: FileRows) -> None:
        first = asyncio.create_task(rows.find(1))
        await until(lambda: len(server.asked) == 1)
        second = asyncio.create_task(rows.find(2))
        await until(lambda: len(server.asked) == 2)
        others = [asyncio.create_task(rows.find(number)) for number in (3, 200, 4)]
        await asyncio.sleep(0)
        server.may_answer.set()

        found = await asyncio.gather(first, second, *others)

        assert ids_of(found) == [1, 2, 3, None, 4]

    run(server, work)

    assert server.asked == [[1], [2], [3, 200, 4]]


def test_files_are_found_by_id_and_by_digest_in_one_lookup(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        found = await asyncio.gather(rows.find(20), rows.find(digest_of(5)))

        assert ids_of(found) == [20, 5]

    run(server, work)

    assert server.asked == [[20, digest_of(5)]]


def test_of_files_with_equal_bytes_a_digest_names_the_first(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        found = await asyncio.gather(rows.find(20), rows.find(digest_of(10)))

        assert ids_of(found) == [20, 10]

    run(server, work)


@pytest.mark.parametrize("owner", ["ann", None])
def test_a_row_has_the_owner_that_the_file_server_names(server: FileServer, owner: str | None) -> None:
    server.owner = owner

    async def work(rows: FileRows) -> None:
        found = await rows.find(1)

        assert found is not None
        assert found.owner == owner

    run(server, work)


def test_owners_are_never_asked_for_together(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        owners = [Principal(name, READER) for name in ("ann", "bob")]
        await asyncio.gather(rows.find(1), *(rows.find(1, owner) for owner in owners))

    run(server, work)

    assert sorted(server.owners) == ["", "ann", "bob"]


def test_everybody_learns_that_the_file_server_fails_and_the_next_one_asks_again(server: FileServer) -> None:
    server.fails = True

    async def work(rows: FileRows) -> None:
        failures = await asyncio.gather(rows.find(1), rows.find(2), return_exceptions=True)
        server.fails = False
        found = await rows.find(1)

        assert [getattr(failure, "kind", None) for failure in failures] == ["file-storage-unavailable"] * 2
        assert ids_of([found]) == [1]

    run(server, work)


def test_who_leaves_takes_no_answer_from_others(server: FileServer) -> None:
    server.may_answer.clear()

    async def work(rows: FileRows) -> None:
        leaves, stays = (asyncio.create_task(rows.find(1)) for _ in range(2))
        await until(lambda: len(server.asked) == 1)
        leaves.cancel()
        server.may_answer.set()

        assert ids_of([await stays]) == [1]

    run(server, work)


@pytest.mark.slow
def test_a_file_in_use_is_looked_up_again_without_a_request(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        await rows.find(1)
        await until(lambda: len(server.asked) > 1)

    run(server, work, seconds=1)

    assert server.asked[:2] == [[1], [1]]


@pytest.mark.slow
def test_a_file_in_use_that_is_deleted_is_gone(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        await rows.find(1)
        server.deleted.add(1)
        while await rows.find(1) is not None:
            await asyncio.sleep(0.01)

    run(server, work, seconds=1)

    assert len(server.asked) > 1


@pytest.mark.slow
def test_a_file_that_nobody_asks_for_is_not_looked_up_again(server: FileServer) -> None:
    async def work(rows: FileRows) -> None:
        await rows.find(1)
        while server.asked[-3:] != [[2], [2], [2]]:
            await rows.find(2)
            await asyncio.sleep(0.01)

    run(server, work, seconds=0.2)

    assert [1, 2] in server.asked or [1] in server.asked[1:]


def test_what_was_on_its_way_when_a_file_was_to_be_forgotten_is_not_remembered(server: FileServer) -> None:
    server.may_answer.clear()

    async def work(rows: FileRows) -> None:
        before = asyncio.create_task(rows.find(1))
        await until(lambda: len(server.asked) == 1)
        rows.forget(1)
        server.may_answer.set()
        await before
        await rows.find(1)

    run(server, work)

    assert server.asked == [[1], [1]]


def test_a_file_server_without_an_answer_is_unavailable(server: FileServer) -> None:
    server.shutdown()
    server.server_close()

    async def work(rows: FileRows) -> None:
        with pytest.raises(DomainError) as raised:
            await rows.find(1)

        assert raised.value.kind == "file-storage-unavailable"

    run(server, work)


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0.01)


def test_a_question_that_comes_when_all_lookups_end_is_answered(
    server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = list[asyncio.Future[None]]()

    async def lookup(*_: object) -> Sequence[FileRow]:
        if len(running) < AT_ONCE:
            running.append(asyncio.get_running_loop().create_future())
            await running[-1]
        return ()

    def begun(count: int) -> Callable[[], bool]:
        return lambda: len(running) == count

    monkeypatch.setattr(FileRows, "_lookup", lookup)

    async def work(rows: FileRows) -> None:
        questions = list[asyncio.Task[FileRow | None]]()
        for number in range(AT_ONCE):
            questions.append(asyncio.create_task(rows.find(number)))
            await until(begun(number + 1))
        for each in running:
            each.set_result(None)
        # It asks after both lookups have ended, and before their callbacks run.
        questions.append(asyncio.create_task(rows.find(AT_ONCE)))

        assert ids_of(await asyncio.gather(*questions)) == [None] * len(questions)

    run(server, work)
