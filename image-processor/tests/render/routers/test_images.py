"""The file names of images by URL, and the headers of those whose sources come from other servers."""

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from image_processor.render.cache import NGINX_KEEPS, ORIGINS, RenderCache
from image_processor.render.config import RenderSettings
from image_processor.render.metrics import RenderMetrics
from image_processor.render.processes.pool import Pool
from image_processor.render.removals import Removals
from image_processor.render.routers.images import ImageRoutes, with_extension
from image_processor.render.routers.nginx_cache import NginxCache
from image_processor.render.service import RenderService
from image_processor.render.sources.file_rows import FileRows
from image_processor.render.sources.origins import Origins
from image_processor.render.urls.presets import RenderPresets
from image_processor.render.urls.reading import Reader
from starlette.requests import Request
from starlette.responses import Response

from tests.support.origins import Origin
from tests.support.render_service import signed

KEY = "a key of more than sixteen bytes"
MONTH = 30 * 86_400


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXMILL_RENDER_INNER_SECRET", "a secret of at least thirty-two bytes")


@pytest.fixture
def origin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Origin]:
    with Origin() as server, server.serving(monkeypatch):
        yield server


def settings(folder: Path, front: str = "") -> RenderSettings:
    return RenderSettings.model_validate(
        {
            "presets": {},
            "native": {"keys": [KEY]},
            **{dialect: {"unsafe": True} for dialect in ("thumbor", "imagor", "imgproxy")},
            "file_storage": {"url": "http://localhost:1", "blobs_folder": "", "blobs_url": ""},
            "front": {"url": front},
            "cache": {"folder": str(folder)},
            "pool": {"processes": 1},
            "http": {"max_age_seconds": MONTH},
            "origins": {"hosts": ["localhost"], "allow_networks": ["127.0.0.0/8", "::1/128"]},
        }
    )


def headers_of(folder: Path, url: str, front: str = "", **options: object) -> Response:
    """Return the answer to a client that has the image at this URL, so that it need not be rendered."""
    response = answer_to(settings(folder, front), signed(url, KEY, **options).encode())
    assert response.status_code == 304, bytes(response.body)
    return response


def answer_to(chosen: RenderSettings, target: bytes) -> Response:
    """Return the answer to a client that has the image at this path, so that it need not be rendered."""
    folder, removals = Path(chosen.cache.folder), Removals()

    async def connected() -> dict[str, object]:
        await asyncio.Event().wait()
        return {}

    async def run() -> Response:
        pool, rows = Pool(chosen), FileRows(chosen.file_storage, 10)
        cache, origins = RenderCache(folder, 2**20), Origins(chosen.origins, folder / ORIGINS, 2**20)
        service = RenderService(chosen, "engine", cache, pool, rows, origins, RenderMetrics(), removals)
        nginx = NginxCache(chosen.front, folder / NGINX_KEEPS, removals)
        images = ImageRoutes(
            Reader(chosen, RenderPresets({})), service, chosen.http, RenderMetrics(), nginx, closed_paths=[]
        )
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/",
            "raw_path": target,
            "query_string": b"",
            "headers": [(b"if-none-match", b"*")],
        }
        try:
            return await images.image(Request(scope, connected))
        finally:
            await rows.close()
            await nginx.close()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "status"),
    [(b"thumbor/unsafe/\xff", 400), (b"imagor/unsafe/\xff", 400), (b"imgproxy/_/w:\xff/plain/42", 404)],
)
def test_a_url_with_other_bytes_than_utf_8_is_refused(tmp_path: Path, path: bytes, status: int) -> None:
    assert answer_to(settings(tmp_path), b"/img/" + path).status_code == status


def max_age(response: Response) -> int:
    found = re.fullmatch(r"public, max-age=(\d+)", response.headers["Cache-Control"])
    assert found is not None, response.headers["Cache-Control"]
    return int(found[1])


def test_clients_keep_an_image_no_longer_than_its_origin_says(origin: Origin, tmp_path: Path) -> None:
    origin.control = "max-age=600"

    assert 500 < max_age(headers_of(tmp_path, origin.url("/a.png"))) <= 600


def test_the_setting_limits_what_an_origin_says(origin: Origin, tmp_path: Path) -> None:
    origin.control = f"max-age={12 * MONTH}"

    assert max_age(headers_of(tmp_path, origin.url("/a.png"))) == MONTH


def test_the_url_may_only_shorten_what_an_origin_says(origin: Origin, tmp_path: Path) -> None:
    origin.control = "max-age=600"

    assert max_age(headers_of(tmp_path, origin.url("/a.png"), age=60)) == 60
    assert max_age(headers_of(tmp_path, origin.url("/a.png"), age=6000)) <= 600


def test_the_time_that_nginx_may_keep_an_image_counts(origin: Origin, tmp_path: Path) -> None:
    origin.control = "max-age=600"

    found = max_age(headers_of(tmp_path, origin.url("/a.png"), front="http://127.0.0.1:9"))

    # nginx sends it for up to http.lookup_seconds (20).
    assert 480 < found <= 581


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        ("no-store", "no-store"),
        ("private, no-store", "no-store"),
        ("no-cache", "public, no-cache"),
        ("max-age=0", "public, no-cache"),
        ("private, no-cache", "private, no-cache"),
    ],
)
def test_what_an_origin_forbids_is_passed_on(origin: Origin, tmp_path: Path, control: str, expected: str) -> None:
    origin.control = control

    assert headers_of(tmp_path, origin.url("/a.png")).headers["Cache-Control"] == expected


def test_an_image_that_an_origin_calls_private_stays_so(origin: Origin, tmp_path: Path) -> None:
    origin.control = "private, max-age=600"

    control = headers_of(tmp_path, origin.url("/a.png")).headers["Cache-Control"]

    assert re.fullmatch(r"private, max-age=(5\d\d|600)", control)


def test_a_url_that_expires_before_the_origin_s_image_decides(origin: Origin, tmp_path: Path) -> None:
    origin.control = "max-age=6000"

    response = headers_of(tmp_path, origin.url("/a.png"), exp=int(time.time()) + 100)

    assert re.fullmatch(r"private, max-age=(\d\d|100)", response.headers["Cache-Control"])


@pytest.mark.parametrize(
    ("name", "extension", "sent"),
    [
        ("cat", ".jpg", "cat.jpg"),
        ("cat.jpg", ".jpg", "cat.jpg"),
        ("cat.jpeg", ".jpg", "cat.jpeg"),
        ("CAT.JPEG", ".jpg", "CAT.JPEG"),
        ("x.tiff", ".tif", "x.tiff"),
        ("x.tif", ".tif", "x.tif"),
        ("x.tiff", ".jpg", "x.tiff.jpg"),
        ("cat.jpeg", ".webp", "cat.jpeg.webp"),
        ("cat.v1.2", ".png", "cat.v1.2.png"),
    ],
)
def test_a_file_name_has_one_extension_of_its_format(name: str, extension: str, sent: str) -> None:
    assert with_extension(name, extension) == sent
