"""The render service with an operator's settings: dialects by path and host, fallback, hints, and its own crash."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from image_processor.render.signing import ImgproxySigner, ThumborSigner

from tests.support.client import TASKS, Served, assert_problem, http
from tests.support.environment import IMGPROXY_KEY, IMGPROXY_SALT, RENDER_HOST, THUMBOR_KEY
from tests.support.images import FALLBACK_SIZE, opened, photo
from tests.support.processes import processes_of
from tests.support.render_service import metric, render_processes, signed
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import wait_until

SIZE = (640, 480)


@pytest.fixture
def stack(tuned: EmbeddedStack) -> EmbeddedStack:
    return tuned


@pytest.fixture
def file_id(pixmill: Served) -> object:
    return pixmill.files.upload(photo(*SIZE, format="JPEG"), name="photo.jpg").id


def thumbor(path: str) -> str:
    return f"{ThumborSigner([THUMBOR_KEY.encode()]).sign(path.encode())}/{path}"


def test_a_host_name_of_its_own_understands_thumbor(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(f"/{thumbor(f'100x80/smart/{file_id}')}", headers={"Host": RENDER_HOST})

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (100, 80)


def test_thumbor_answers_on_its_path_too(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(f"/img/thumbor/{thumbor(f'fit-in/100x100/filters:grayscale()/{file_id}')}")

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (100, 75)


def test_a_wrong_signature_has_the_status_of_the_peer(pixmill: Served, file_id: object) -> None:
    of_thumbor = pixmill.http.get(f"/img/thumbor/{'0' * 27}=/100x80/{file_id}")
    of_imgproxy = pixmill.http.get(f"/img/imgproxy/{'0' * 43}/w:100/plain/{file_id}")

    assert_problem(of_thumbor, 400, "signature")
    assert_problem(of_imgproxy, 403, "signature")


def test_a_slash_and_an_escape_reach_the_signature_unchanged(pixmill: Served, file_id: object) -> None:
    path = f"/rs:fill:64:48/plain/pixmill%3A%2F%2F%2F{file_id}@png"
    signature = ImgproxySigner([(bytes.fromhex(IMGPROXY_KEY), bytes.fromhex(IMGPROXY_SALT))]).sign(path.encode())

    response = pixmill.http.get(f"/img/imgproxy/{signature}{path}")

    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "image/png"
    assert opened(response.content).size == (64, 48)


def test_unsigned_urls_are_served_where_a_setting_says_so(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(f"/img/imagor/unsafe/50x40/{file_id}")

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (50, 40)


def test_what_is_known_of_a_picture_is_json(pixmill: Served, file_id: object) -> None:
    response = pixmill.http.get(f"/img/imagor/unsafe/meta/{file_id}")

    assert response.headers["Content-Type"] == "application/json"
    assert (response.json()["width"], response.json()["height"]) == SIZE


def test_a_color_is_a_picture(pixmill: Served) -> None:
    response = pixmill.http.get("/img/imagor/unsafe/30x20/color:ff0000")

    assert response.status_code == 200, response.text
    image = opened(response.content).convert("RGB")
    assert image.size == (30, 20)
    assert image.getpixel((10, 10)) == (255, 0, 0)


def test_a_missing_file_is_replaced_by_the_fallback_which_no_cache_keeps(pixmill: Served) -> None:
    response = pixmill.http.get(signed("987654321.png"))

    assert response.status_code == 200
    assert opened(response.content).size == FALLBACK_SIZE
    assert response.headers["Cache-Control"] == "no-store"


def test_save_data_makes_a_smaller_picture_of_its_own(pixmill: Served, file_id: object) -> None:
    usual = pixmill.http.get(signed(file_id, q=80))
    saving = pixmill.http.get(signed(file_id, q=80), headers={"Save-Data": "on"})

    assert len(saving.content) < len(usual.content)
    assert saving.headers["ETag"] != usual.headers["ETag"]
    assert "Save-Data" in saving.headers["Vary"]


def test_other_servers_are_refused_by_default(pixmill: Served) -> None:
    response = pixmill.http.get("/img/imagor/unsafe/50x40/http%3A%2F%2F127.0.0.1%2Fa.png")

    assert_problem(response, 403, "127.0.0.1")


def test_used_up_processes_are_replaced_and_nothing_is_lost(
    pixmill: Served, stack: EmbeddedStack, file_id: object
) -> None:
    before = render_processes(stack)

    statuses = [pixmill.http.get(signed(file_id, w=width)).status_code for width in range(100, 110)]

    assert statuses == [200] * 10
    assert set(render_processes(stack)) != set(before)


@pytest.mark.thorough
def test_results_survive_a_crash_of_the_service(pixmill: Served, stack: EmbeddedStack, file_id: object) -> None:
    url = signed(file_id, w=123)
    content = pixmill.http.get(url).content
    wait_until(lambda: _index_is_complete(stack.data / "renders"), "the index has the result")
    (service,) = [number for number, command in processes_of(stack.folder).items() if "render.app" in command]

    os.kill(service, signal.SIGKILL)

    again = wait_until(lambda: _answer(f"{stack.url}{url}"), "the service is back")
    assert again == content
    assert metric(stack, "pixmill_renders_total") == 0
    assert _halves(stack.data / "renders") == []


def test_thumbnails_need_no_key_for_urls(pixmill: Served, file_id: object) -> None:
    assert pixmill.http.get(f"{TASKS}/thumbnails/{file_id}/128").status_code == 200


def _answer(url: str) -> bytes | None:
    response = http.get(url)
    return response.content if response.status_code == 200 else None


def _index_is_complete(folder: Path) -> bool:
    """Return whether the index of the cache has each result; it is written for several results at once."""
    with closing(sqlite3.connect(folder / "index.db")) as index:
        [(indexed,)] = index.execute("SELECT count(*) FROM results").fetchall()
    return bool(indexed == sum(path.is_file() for path in (folder / "results").rglob("*")))


def _halves(folder: Path) -> list[Path]:
    return list((folder / "making").iterdir())
