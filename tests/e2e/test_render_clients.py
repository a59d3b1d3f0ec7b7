"""The client libraries of thumbor and imgproxy, with only the host name changed."""

import subprocess
from pathlib import Path

import pytest
from imgproxy import ImgProxy
from libthumbor import CryptoURL

from tests.support.client import Served, assert_problem
from tests.support.environment import ENVIRONMENT, IMGPROXY_KEY, IMGPROXY_SALT, THUMBOR_KEY
from tests.support.folders import temporary_folder
from tests.support.images import opened, photo
from tests.support.processes import find_program, skip_where_missing
from tests.support.stacks import EmbeddedStack, start

SCRIPT = Path(__file__).parent / "clients/imgproxy.mjs"


@pytest.fixture
def stack(tuned: EmbeddedStack) -> EmbeddedStack:
    return tuned


@pytest.fixture
def file_id(pixmill: Served) -> object:
    return pixmill.files.upload(photo(640, 480, format="JPEG"), name="photo.jpg").id


@pytest.mark.parametrize("unsafe", [False, True])
def test_libthumbor(pixmill: Served, file_id: object, unsafe: bool) -> None:
    options = {"width": 100, "height": 80, "smart": True, "filters": ["grayscale()"]}
    url = CryptoURL(key=THUMBOR_KEY).generate(image_url=str(file_id), unsafe=unsafe, **options)

    response = pixmill.http.get(f"/img/thumbor{url if url.startswith('/') else f'/{url}'}")

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (100, 80)
    assert response.headers["Content-Type"] == "image/jpeg"


def test_the_python_client_of_imgproxy(pixmill: Served, stack: EmbeddedStack, file_id: object) -> None:
    proxy, secrets = f"{stack.url}/img/imgproxy", {"key": IMGPROXY_KEY, "salt": IMGPROXY_SALT}
    url = ImgProxy(f"local:///{file_id}", proxy, **secrets, resizing_type="fill", width=64, height=48)

    response = pixmill.http.get(str(url))

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (64, 48)


def test_the_node_client_of_imgproxy(pixmill: Served, stack: EmbeddedStack, file_id: object, tmp_path: Path) -> None:
    with skip_where_missing():
        npm = find_program("npm")
    package = "@imgproxy/imgproxy-node@1.1.0"
    command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", package]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    arguments = [f"{stack.url}/img/imgproxy", f"local:///{file_id}", IMGPROXY_KEY, IMGPROXY_SALT]

    made = subprocess.run(
        ["node", str(SCRIPT), str(tmp_path / "node_modules"), *arguments],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )

    signed, unsigned = made.stdout.split()
    response = pixmill.http.get(signed)
    assert response.status_code == 200, response.text
    assert opened(response.content).size == (64, 48)
    assert response.headers["Content-Type"] == "image/png"
    assert "/insecure/" in unsigned
    assert_problem(pixmill.http.get(unsigned), 403, "signature")


@pytest.mark.thorough
def test_the_python_client_of_imgproxy_without_a_key() -> None:
    stack = start("embedded", temporary_folder("unsigned"), {"RENDER_IMGPROXY__UNSAFE": "true"})
    with Served(stack.url) as pixmill:
        file_id = pixmill.files.upload(photo(640, 480, format="JPEG"), name="photo.jpg").id
        url = ImgProxy(f"local:///{file_id}", f"{stack.url}/img/imgproxy", resizing_type="fill", width=64, height=48)

        response = pixmill.http.get(str(url))
    stack.stop()

    assert response.status_code == 200, response.text
    assert opened(response.content).size == (64, 48)
