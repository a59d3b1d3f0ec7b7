"""The render service: what a render needs stays until it ends, and what it leaves behind goes."""

import asyncio
import json
import os
import signal
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
from file_storage.app import create_app as create_file_server
from image_processor.imaging.output import Output
from image_processor.render import app
from image_processor.render.cache import MAKING, ORIGINS, RenderCache
from image_processor.render.config import RenderSettings
from image_processor.render.failures import BUSY, LOST
from image_processor.render.metrics import RenderMetrics
from image_processor.render.plans.plan import ColorSource, Content, Encoding, FileSource, OriginSource, RenderPlan
from image_processor.render.processes.job import LocalFile, Made
from image_processor.render.processes.messages import message_of_answer
from image_processor.render.processes.pool import Pool
from image_processor.render.processes.queue import Ticket
from image_processor.render.removals import Removals
from image_processor.render.service import Found, RenderService, Result
from image_processor.render.sources.file_rows import FileRows
from image_processor.render.sources.origins import Origins
from service_kit.access.principals import READER, Principal
from service_kit.errors import DomainError
from werkzeug.serving import make_server

from tests.support import hostile_renders
from tests.support.applications import configure_applications
from tests.support.environment import WORKER_SECRET
from tests.support.images import photo
from tests.support.origins import Origin

_T = TypeVar("_T")
PLAN = RenderPlan(ColorSource("red"), (), Encoding(Output(format="png")))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    with Origin() as server, server.serving(monkeypatch):
        yield server


def with_service(
    folder: Path,
    work: Callable[[RenderService, Pool], Awaitable[_T]],
    *,
    processes: bool = False,
    max_seconds: float = 60,
    queue: int = 256,
    files: str = "http://localhost:1",
    blobs: str = "",
) -> _T:
    """Return what the work returns.

    :param processes: whether the pool has its process.
    :param files: the URL of the file server.
    :param blobs: the folder of its blobs.
    """
    settings = RenderSettings.model_validate(
        {
            "native": {"keys": []},
            "file_storage": {"url": files, "blobs_folder": blobs, "blobs_url": ""},
            "cache": {"folder": str(folder)},
            "pool": {"processes": 1, "queue": queue},
            "limits": {"max_seconds": max_seconds},
            "origins": {"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"]},
        }
    )

    async def run() -> _T:
        pool, rows = Pool(settings), FileRows(settings.file_storage, 10)
        cache, origins = RenderCache(folder, 2**20), Origins(settings.origins, folder / ORIGINS, 2**20)
        service = RenderService(settings, "engine", cache, pool, rows, origins, RenderMetrics(), Removals())
        if processes:
            await pool.start()
        try:
            return await work(service, pool)
        finally:
            await pool.stop()
            await rows.close()

    return asyncio.run(run())


def found_of(folder: Path, plan: RenderPlan, accept: str = "") -> Found:
    return with_service(folder, lambda service, _pool: service.find(plan, accept))


def test_the_source_of_a_render_outlives_a_fetch_of_the_same_url(origin: Origin, tmp_path: Path) -> None:
    origin.control = "no-cache"
    plan = replace(PLAN, source=OriginSource(origin.url("/counted")))

    async def work(service: RenderService, _pool: Pool) -> tuple[Found, Found]:
        return await service.find(plan), await service.find(plan)

    contents = []
    for found in with_service(tmp_path, work):
        assert isinstance(found.source, LocalFile)
        contents.append(Path(found.source.path).read_bytes())

    assert contents == [b"1", b"2"]


@pytest.mark.parametrize(
    ("path", "negotiated", "output", "accept", "expected"),
    [
        # The size of a fetched image is not known, so it may be too large for AVIF.
        ("/avif", True, "source", "image/avif", ("plain", False)),
        ("/avif", True, "source", "image/avif,image/webp", ("webp", False)),
        ("/avif", False, "source", "", ("source", True)),
        ("/avif", False, "jpeg", "", ("source", False)),
        ("/a.png", False, "source", "", ("source", False)),
        ("/a.png", False, "avif", "", ("source", True)),
        ("/a.png", False, "auto", "", ("source", True)),
    ],
)
def test_a_render_that_writes_avif_is_slow(
    origin: Origin,
    tmp_path: Path,
    path: str,
    negotiated: bool,
    output: str,
    accept: str,
    expected: tuple[str, bool],
) -> None:
    encoding = Encoding(Output.model_validate({"format": output}), negotiated)
    found = found_of(tmp_path, replace(PLAN, source=OriginSource(origin.url(path)), encoding=encoding), accept)

    assert (found.format_name, found.writes_avif) == expected


@pytest.mark.parametrize(
    ("answer", "formats"),
    [
        ("image", ["source", "webp"]),
        ("original", ["source", "source"]),
        ("thumbor meta", ["source", "source"]),
        ("imagor meta", ["source", "source"]),
    ],
)
def test_only_an_image_has_a_result_for_each_format_that_clients_accept(
    tmp_path: Path, answer: Content, formats: list[str]
) -> None:
    plan = replace(PLAN, encoding=Encoding(Output(), negotiated=True), answer=answer)

    found = [found_of(tmp_path, plan, accept) for accept in ("", "image/webp")]

    assert [each.format_name for each in found] == formats
    assert len({each.key for each in found}) == len(set(formats))


def test_the_smallest_of_several_formats_has_a_result_for_each_set_that_clients_accept(tmp_path: Path) -> None:
    plan = replace(PLAN, encoding=Encoding(Output(), negotiated=True, compared=("jpeg", "png")))
    headers = ("", "*/*", "image/webp", "image/png,image/webp;q=0.5,*/*", "image/webp;q=0")

    found = [found_of(tmp_path, plan, accept) for accept in headers]

    assert [each.format_name for each in found] == [
        "jpeg,png",
        "jpeg,png",
        "webp,jpeg,png",
        "webp,jpeg,png",
        "jpeg,png",
    ]
    assert len({each.key for each in found}) == 2


def test_the_keys_of_an_owner_fill_a_third_of_the_queue(tmp_path: Path) -> None:
    first, second = (Principal("reader", READER, key) for key in ("first", "second"))
    clients = [first, second, first, None, Principal("other", READER)]

    async def work(service: RenderService, pool: Pool) -> tuple[list[object], int]:
        finding = [
            service.find(replace(PLAN, source=ColorSource(f"#00000{number}")), principal=client)
            for number, client in enumerate(clients)
        ]
        renders = [asyncio.create_task(service.render_uncached(await found)) for found in finding]
        await asyncio.sleep(0)
        waiting = pool.waiting
        for render in renders:
            render.cancel()
        return await asyncio.gather(*renders, return_exceptions=True), waiting

    # Without processes, every render waits.
    outcomes, waiting = with_service(tmp_path, work, queue=6)

    (refused,) = (outcome for outcome in outcomes if isinstance(outcome, DomainError))
    assert outcomes.index(refused) == 2
    assert (refused.kind, refused.retry_after) == (BUSY, 1)
    assert waiting == 4


@dataclass(frozen=True)
class Gallery:
    """A file server, the folder of its blobs, and the ids of the files of each owner."""

    url: str
    blobs: str
    files: Mapping[str, Sequence[int]]


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    """Serve four files of Ann's and one of Bob's."""
    configure_applications(monkeypatch, "gallery")
    application = create_file_server()
    client, files = application.test_client(), dict[str, list[int]]()
    for number, owner in enumerate(["ann"] * 4 + ["bob"]):
        headers = {"Authorization": f"Bearer {WORKER_SECRET}", "X-Pixmill-Owner": owner}
        stored = client.put("/", query_string={"name": "a.png"}, data=photo(8, 6 + number), headers=headers)
        files.setdefault(owner, []).append(json.loads(stored.data)["id"])
    with make_server("127.0.0.1", 0, application, threaded=True) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield Gallery(f"http://127.0.0.1:{server.port}", f"{os.environ['FILE_STORAGE_STORAGE__FOLDER']}/blobs", files)
        server.shutdown()
        thread.join()


def test_a_comparison_with_avif_is_slow(gallery: Gallery, tmp_path: Path) -> None:
    plan = replace(
        PLAN,
        source=FileSource(gallery.files["bob"][0]),
        encoding=Encoding(Output(), negotiated=True, compared=("jpeg", "png")),
    )

    found = with_service(tmp_path, lambda service, _: service.find(plan, "image/avif,image/webp"), files=gallery.url)

    assert (found.format_name, found.writes_avif) == ("avif,webp,jpeg,png", True)


async def with_images_by_url(
    service: RenderService, files: Iterable[int], work: Callable[[], _T]
) -> tuple[_T, list[object]]:
    """Return what the work returns while images of these files wait, and their outcomes after they were cancelled."""
    found = [await service.find(replace(PLAN, source=FileSource(file_id))) for file_id in files]
    renders = [asyncio.create_task(service.render_uncached(each)) for each in found]
    await asyncio.sleep(0)
    result = work()
    for render in renders:
        render.cancel()
    return result, await asyncio.gather(*renders, return_exceptions=True)


def test_images_by_url_take_turns_by_the_owner_of_the_file(gallery: Gallery, tmp_path: Path) -> None:
    files = [*gallery.files["ann"], *gallery.files["bob"]]

    async def work(service: RenderService, pool: Pool) -> list[str | None]:
        def begun() -> list[str | None]:
            tickets = [pool._waiting.next(slow_too=True) for _ in files]
            return [ticket.owner for ticket in tickets if ticket is not None]

        owners, _ = await with_images_by_url(service, files, begun)
        return owners

    # Without processes, every render waits.
    assert with_service(tmp_path, work, files=gallery.url) == ["ann", "bob", "ann", "ann", "ann"]


def test_the_images_by_url_of_an_owner_fill_a_third_of_the_queue(gallery: Gallery, tmp_path: Path) -> None:
    files = [*gallery.files["ann"], *gallery.files["bob"]]

    async def work(service: RenderService, pool: Pool) -> tuple[int, list[object]]:
        return await with_images_by_url(service, files, lambda: pool.waiting)

    waiting, outcomes = with_service(tmp_path, work, queue=6, files=gallery.url)

    refused = {files[number]: each.kind for number, each in enumerate(outcomes) if isinstance(each, DomainError)}
    assert refused == dict.fromkeys(gallery.files["ann"][2:], BUSY)
    assert waiting == 3


async def stuck_preview(service: RenderService, pool: Pool) -> "asyncio.Task[object]":
    """Begin a preview in a process that stops after it has fetched the source."""
    (process,) = pool.process_ids
    os.kill(process, signal.SIGSTOP)
    preview: asyncio.Task[object] = asyncio.create_task(service.render_uncached(await service.find(PLAN)))
    while not pool.running:
        await asyncio.sleep(0)
    Path(f"{ticket_of(pool).job.result}.source").write_bytes(b"fetched")
    return preview


def ticket_of(pool: Pool) -> Ticket:
    (ticket,) = (each.ticket for each in pool._processes)
    assert ticket is not None
    return ticket


@pytest.mark.slow
def test_a_preview_whose_client_leaves_leaves_no_file(tmp_path: Path) -> None:
    async def work(service: RenderService, pool: Pool) -> list[Path]:
        preview, ticket = await stuck_preview(service, pool), ticket_of(pool)
        preview.cancel()
        await asyncio.gather(preview, ticket.done, return_exceptions=True)
        return list((tmp_path / MAKING).iterdir())

    assert with_service(tmp_path, work, processes=True) == []


@pytest.mark.slow
def test_a_preview_that_takes_too_long_leaves_no_file(tmp_path: Path) -> None:
    async def work(service: RenderService, pool: Pool) -> list[Path]:
        preview = await stuck_preview(service, pool)
        with pytest.raises(DomainError):
            await preview
        return list((tmp_path / MAKING).iterdir())

    assert with_service(tmp_path, work, processes=True, max_seconds=0.2) == []


async def rendered_while(
    service: RenderService, pool: Pool, found: Found, during: Callable[[], Awaitable[object]]
) -> Result:
    """Return the result of a render; call ``during`` after it has begun and before it ends."""
    (process,) = pool.process_ids
    os.kill(process, signal.SIGSTOP)
    render = asyncio.create_task(service.result(found))
    while not pool.running:
        await asyncio.sleep(0)
    await during()
    os.kill(process, signal.SIGCONT)
    return await render


@pytest.mark.slow
@pytest.mark.parametrize("is_same_file", [True, False])
def test_a_render_during_which_its_file_is_forgotten_is_sent_but_not_kept(
    gallery: Gallery, tmp_path: Path, is_same_file: bool
) -> None:
    ours, other = gallery.files["ann"][:2]
    plan = replace(PLAN, source=FileSource(ours))

    async def work(service: RenderService, pool: Pool) -> tuple[bytes, bool]:
        found = await service.find(plan)
        forgotten = ours if is_same_file else other
        result = await rendered_while(service, pool, found, lambda: service.forget_file(forgotten, None))
        return result.stored.path.read_bytes(), service.cached(found) is not None

    content, is_kept = with_service(tmp_path, work, processes=True, files=gallery.url, blobs=gallery.blobs)

    assert content.startswith(b"\x89PNG")
    assert is_kept is not is_same_file
    # The file of a result that is not kept goes with the response.
    assert list((tmp_path / MAKING).iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("control", "expected"), [("no-store", False), ("private", False), ("max-age=600", True)])
def test_a_render_is_kept_only_if_its_origin_allows_it(
    origin: Origin, tmp_path: Path, control: str, expected: bool
) -> None:
    origin.control = control
    plan = replace(PLAN, source=OriginSource(origin.url("/real.png")))

    async def work(service: RenderService, _pool: Pool) -> tuple[bytes, bool]:
        found = await service.find(plan)
        result = await service.result(found)
        return result.stored.path.read_bytes(), service.cached(found) is not None

    content, is_kept = with_service(tmp_path, work, processes=True)

    assert content.startswith(b"\x89PNG")
    assert is_kept is expected
    assert list((tmp_path / MAKING).iterdir()) == []


@pytest.mark.slow
def test_a_render_for_which_the_cache_has_no_folder_is_sent(tmp_path: Path) -> None:
    async def work(service: RenderService, _pool: Pool) -> bytes:
        found = await service.find(PLAN)
        (tmp_path / "results" / found.key[:2]).write_bytes(b"")
        result = await service.result(found)
        return result.stored.path.read_bytes()

    assert with_service(tmp_path, work, processes=True).startswith(b"\x89PNG")


@pytest.mark.slow
@pytest.mark.parametrize("what", ["nothing", "a folder", "a link"])
def test_only_a_file_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    serve = partial(hostile_renders.answering, message_of_answer(Made(".png", 1, ())))
    monkeypatch.setattr("image_processor.render.processes.pool.serve", serve)

    async def work(service: RenderService, pool: Pool) -> str:
        result = asyncio.create_task(service.result(await service.find(PLAN)))
        while not pool.running:
            await asyncio.sleep(0)
        place = Path(ticket_of(pool).job.result)
        if what == "a folder":
            place.mkdir()
        elif what == "a link":
            place.symlink_to("/etc/hostname")
        with pytest.raises(DomainError) as error:
            await result
        return error.value.kind

    assert with_service(tmp_path, work, processes=True) == LOST


def test_a_sweep_that_fails_does_not_end_the_sweeper(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(app, "SWEEP_SECONDS", 0)

    async def work(service: RenderService, _pool: Pool) -> bool:
        # Each sweep raises a `sqlite3.Error`.
        service._cache.close()
        sweeper = asyncio.create_task(app._sweep(service))
        await asyncio.wait({sweeper}, timeout=0.1)
        is_running = not sweeper.done()
        sweeper.cancel()
        return is_running

    assert with_service(tmp_path, work)


def test_a_sweep_removes_the_results_of_files_that_are_gone(gallery: Gallery, tmp_path: Path) -> None:
    async def work(service: RenderService, _pool: Pool) -> tuple[int, list[int]]:
        cache = service._cache
        for number, file_id in enumerate((gallery.files["bob"][0], 987_654)):
            made = cache.temporary()
            made.write_bytes(b"pixels")
            cache.keep(f"{number:064x}", made, ".png", [(file_id, "")])
        return await service.sweep(), cache.file_ids(0, 10)

    assert with_service(tmp_path, work, files=gallery.url) == (1, list(gallery.files["bob"]))
