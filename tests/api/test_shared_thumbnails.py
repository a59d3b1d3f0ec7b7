"""Thumbnails of a link for a set of files: a guest gets them exactly while the link is open."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.client import CERTIFICATES, FILES, Served, assert_problem
from tests.support.images import opened, photo
from tests.support.stacks import Stack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks

WORD = "saturn five"


@pytest.fixture
def guest(stack: Stack) -> Iterator[httpx2.Client]:
    """Return a client without a key."""
    with httpx2.Client(base_url=stack.url, trust_env=False, timeout=60, verify=CERTIFICATES) as client:
        yield client


@pytest.fixture
def file_id(pixmill: Served) -> int:
    return uploaded(pixmill)


def uploaded(pixmill: Served) -> int:
    """Return the id of a new photograph, of which no thumbnail is in the cache."""
    return pixmill.files.upload(photo(600 + time.time_ns() % 1000, 400, format="JPEG"), name="photo.jpg").id


def shared(pixmill: Served, *file_ids: int, **fields: object) -> str:
    """Create a link; return the path of its API."""
    made = pixmill.http.post(f"{FILES}/links", json={"file_ids": file_ids, **fields})
    assert made.status_code == 201, made.text
    return f"{FILES}/shared/{made.json()['token']}"


def test_a_guest_gets_a_thumbnail_and_asks_for_it_again(pixmill: Served, guest: httpx2.Client, file_id: int) -> None:
    address = f"{shared(pixmill, file_id)}/{file_id}/thumbnails/256"

    first = guest.get(address)
    again = guest.get(address, headers={"If-None-Match": first.headers["ETag"]})

    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/webp")
    assert (opened(first.content).format, opened(first.content).width) == ("WEBP", 256)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert again.status_code == 304


def test_a_shared_thumbnail_takes_no_parameter(pixmill: Served, guest: httpx2.Client, file_id: int) -> None:
    response = guest.get(f"{shared(pixmill, file_id)}/{file_id}/thumbnails/256", params={"size": 1})

    assert_problem(response, 422, "size")


def test_a_link_with_a_password_shows_thumbnails_after_it_was_given(
    pixmill: Served, guest: httpx2.Client, file_id: int
) -> None:
    link = shared(pixmill, file_id, password=WORD)
    address = f"{link}/{file_id}/thumbnails/128"

    without = guest.get(address)
    wrong = guest.get(address, auth=("", "saturn four"))
    right = guest.get(address, auth=("", WORD))
    guest.post(f"{link}/unlock", json={"password": WORD}).raise_for_status()
    with_cookie = guest.get(address)

    assert_problem(without, 401, "password")
    assert_problem(wrong, 401, "wrong")
    assert without.headers["WWW-Authenticate"].startswith("Pixmill-Unlock"), "no browser asks for it"
    assert [right.status_code, with_cookie.status_code] == [200, 200]


def test_wrong_passwords_count_as_those_of_the_link(pixmill: Served, guest: httpx2.Client, file_id: int) -> None:
    link = shared(pixmill, file_id, password=WORD)

    wrong = [guest.get(f"{link}/{file_id}/thumbnails/128", auth=("", "guess")).status_code for _ in range(10)]

    assert wrong == [401] * 10
    refused = guest.get(f"{link}/{file_id}/thumbnails/128", auth=("", "guess"))
    assert_problem(refused, 429, "Too many wrong passwords")
    assert int(refused.headers["Retry-After"]) > 0
    assert guest.get(link, auth=("", "guess")).status_code == 429


def test_a_revoked_link_shows_no_thumbnail_not_even_a_known_one(
    pixmill: Served, guest: httpx2.Client, file_id: int
) -> None:
    made = pixmill.http.post(f"{FILES}/links", json={"file_ids": [file_id]}).json()
    address = f"{FILES}/shared/{made['token']}/{file_id}/thumbnails/128"
    known = guest.get(address)

    pixmill.http.delete(f"{FILES}/links/{made['id']}").raise_for_status()

    assert known.status_code == 200, known.text
    assert_problem(guest.get(address, headers={"If-None-Match": known.headers["ETag"]}), 404, "link")


def test_an_expired_link_shows_no_thumbnail(pixmill: Served, guest: httpx2.Client, file_id: int) -> None:
    address = f"{shared(pixmill, file_id, expires_in=1)}/{file_id}/thumbnails/128"

    wait_until(lambda: guest.get(address).status_code == 404, "the link has expired")

    assert_problem(guest.get(address), 404, "link")


def test_a_link_shows_its_own_files_in_the_sizes_of_thumbnails(
    pixmill: Served, guest: httpx2.Client, file_id: int
) -> None:
    link, other = shared(pixmill, file_id), uploaded(pixmill)
    pixmill.http.get(f"/api/image-processing/thumbnails/{other}/128").raise_for_status()

    assert_problem(guest.get(f"{link}/{other}/thumbnails/128"), 404, str(other))
    assert_problem(guest.get(f"{link}/{file_id}/thumbnails/129"), 404, "128, 256, 512, 1024")
    assert guest.get(f"{FILES}/shared/nothing/{file_id}/thumbnails/128").status_code == 404


def test_a_file_that_is_not_a_picture_has_no_thumbnail(pixmill: Served, guest: httpx2.Client) -> None:
    files = [pixmill.files.upload(content, name=name).id for name, content in (("a.txt", b"text"), ("b.bin", b""))]
    link = shared(pixmill, *files)

    statuses = [guest.get(f"{link}/{number}/thumbnails/128").status_code for number in files]

    assert statuses == [422, 422]
