"""Images by URL on a host name of their own, behind nginx with the shipped configuration."""

from collections.abc import Iterator

import httpx2
import pytest
from libthumbor import CryptoURL

from tests.support.client import Served, assert_problem
from tests.support.environment import RENDER_HOST, THUMBOR_KEY
from tests.support.images import opened, photo
from tests.support.processes import accepts, free_port
from tests.support.stacks import FullStack
from tests.support.waiting import wait_until

NAME = "nginx-of-image-hosts"
HOST = {"Host": RENDER_HOST}


@pytest.fixture(scope="module")
def nginx(strict: FullStack) -> Iterator[httpx2.Client]:
    """Return a client of an nginx with two host names for images."""
    port = free_port()
    process = strict.start_nginx(NAME, port, free_port(), {"NGINX_IMAGE_HOSTS": f"other.example|{RENDER_HOST}"})
    process.wait_until(accepts(port))
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield client
    process.stop()


@pytest.fixture(scope="module")
def file_id(strict: FullStack) -> object:
    with Served(strict.url) as client:
        return client.files.upload(photo(640, 480, format="JPEG"), name="photo.jpg").id


def path_of(file_id: object, width: int) -> str:
    """Return a signed path of thumbor."""
    made: str = CryptoURL(key=THUMBOR_KEY).generate(image_url=str(file_id), width=width, height=80)
    return made


def test_an_image_is_at_the_root_of_its_host(nginx: httpx2.Client, file_id: object) -> None:
    response = nginx.get(path_of(file_id, 100), headers=HOST)

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (100, 80)


@pytest.mark.parametrize("headers", [{}, {"Host": f"www.{RENDER_HOST}"}])
def test_another_host_has_no_image_there(nginx: httpx2.Client, file_id: object, headers: dict[str, str]) -> None:
    assert nginx.get(path_of(file_id, 100), headers=headers).status_code == 404


def test_nginx_keeps_images_of_such_a_host(nginx: httpx2.Client, file_id: object) -> None:
    wait_until(
        lambda: nginx.get(path_of(file_id, 101), headers=HOST).headers["Server-Timing"] == "cache;desc=hit",
        "nginx keeps the image",
    )


def test_problems_are_documents_there_too(nginx: httpx2.Client) -> None:
    assert_problem(nginx.get("/wrong/100x80/1", headers=HOST), 400, "signature")
    assert_problem(nginx.get(f"/{'a' * 20_000}", headers=HOST), 414, "too long")


@pytest.mark.parametrize(
    "path",
    [
        "/api/image-processing/renders/metrics",
        "/api/image-processing/renders%2Fmetrics",
        "/x/../api/image-processing/renders/metrics",
        "/problems/404.json",
    ],
)
def test_such_a_host_gives_nothing_that_others_refuse(nginx: httpx2.Client, path: str) -> None:
    request = nginx.build_request("GET", "/", headers=HOST, extensions={"target": path.encode()})

    assert nginx.send(request).status_code == 404


def test_the_log_omits_the_signature(strict: FullStack, nginx: httpx2.Client, file_id: object) -> None:
    path = path_of(file_id, 102)
    _, signature, rest = path.split("/", 2)
    nginx.get(path, headers=HOST).raise_for_status()

    log = strict.folder / f"{NAME}-access.log"
    wait_until(lambda: f'"uri":"/-/{rest}"' in log.read_text(), "nginx has logged the request")
    assert signature not in log.read_text()
