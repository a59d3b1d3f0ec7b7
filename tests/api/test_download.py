"""Downloads after RFC 9110 and RFC 6266."""

import hashlib
import re
import time
from base64 import b64encode
from io import BytesIO
from uuid import uuid4
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.client import FILES, Served, assert_problem
from tests.support.images import photo
from tests.support.waiting import wait_until

pytestmark = pytest.mark.both_stacks

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def url(pixmill: Served) -> str:
    return f"{FILES}/{pixmill.files.upload(CONTENT, name='данные.bin').id}/download"


def test_a_download_has_its_name_type_and_digest(pixmill: Served, url: str) -> None:
    headers = pixmill.http.get(url).headers

    assert headers["Content-Length"] == str(len(CONTENT))
    assert "filename*=UTF-8''%D0%B4%D0%B0%D0%BD%D0%BD%D1%8B%D0%B5.bin" in headers["Content-Disposition"]
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Accept-Ranges"] == "bytes"
    assert re.fullmatch(r'"[0-9a-f]{64}"', headers["ETag"])
    digest = f"sha-256=:{b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"
    assert (headers["Repr-Digest"], headers["Content-Digest"]) == (digest, digest)
    assert "X-Accel-Redirect" not in headers and "X-Sendfile" not in headers


def test_head_is_get_without_the_body(pixmill: Served, url: str) -> None:
    head = pixmill.http.head(url)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "ETag", "Content-Type", "Content-Disposition"):
        assert head.headers[name] == pixmill.http.get(url).headers[name]


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=5-9"}, {"If-Match": "*"}])
def test_files_with_shared_bytes_have_their_own_last_modified(pixmill: Served, headers: dict[str, str]) -> None:
    content = uuid4().bytes
    files = [pixmill.files.upload(content, name="first.bin")]
    time.sleep(1.1)
    files += [
        pixmill.files.copy(files[0].id),
        pixmill.files.upload(content, name="third.bin"),
    ]

    answers = [pixmill.http.get(f"{FILES}/{file.id}/download", headers=headers) for file in files]

    assert [answer.headers.get_list("Last-Modified") for answer in answers] == [
        [file.document["created_at"]] for file in files
    ]


@pytest.mark.parametrize(
    ("wanted", "first", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=10000-", 10_000, 10_240),
        ("bytes=-7", 10_233, 10_240),
        ("bytes=0-99999", 0, 10_240),
        ("BYTES=5-9", 5, 10),
        ("bytes= 5-9", 5, 10),
        ("bytes=5 - 9", 5, 10),
        (f"bytes=3-{10**23}", 3, 10_240),
        ("bytes=-10241", 0, 10_240),
        (f"bytes=-{10**23}", 0, 10_240),
    ],
)
def test_a_range_gets_206(pixmill: Served, url: str, wanted: str, first: int, stop: int) -> None:
    response = pixmill.http.get(url, headers={"Range": wanted})

    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{stop - 1}/10240"
    assert response.content == CONTENT[first:stop]


@pytest.mark.parametrize("condition", [None, "If-Match", "If-Range"])
def test_several_ranges_get_multipart(pixmill: Served, url: str, condition: str | None) -> None:
    conditions = {condition: pixmill.http.head(url).headers["ETag"]} if condition else {}

    response = pixmill.http.get(url, headers={"Range": "bytes=0-4,100-109"} | conditions)

    assert response.status_code == 206
    assert re.fullmatch(r"multipart/byteranges; boundary=\w+", response.headers["Content-Type"])
    assert len(response.content) == int(response.headers["Content-Length"])
    for first, stop in ((0, 5), (100, 110)):
        head = f"Content-Range: bytes {first}-{stop - 1}/10240\r\n\r\n".encode()
        assert head + CONTENT[first:stop] + b"\r\n--" in response.content


def test_ranges_outside_the_file_are_ignored(pixmill: Served, url: str) -> None:
    response = pixmill.http.get(url, headers={"Range": "bytes=5-9,10240-"})

    assert (response.status_code, response.content) == (206, CONTENT[5:10])
    assert response.headers["Content-Range"] == "bytes 5-9/10240"


def test_a_range_outside_the_file_gets_416(pixmill: Served, url: str) -> None:
    response = pixmill.http.get(url, headers={"Range": "bytes=10240-"})

    assert_problem(response, 416, "10240 bytes")
    assert response.headers["Content-Range"] == "bytes */10240"
    assert "Content-Disposition" not in response.headers


@pytest.mark.parametrize("wanted", ["0-,0-", "-1,0-", "0-9999,9000-", ",".join(f"{n}-{n}" for n in range(0, 99, 3))])
def test_ranges_that_cost_more_than_the_file_get_the_whole_file(pixmill: Served, url: str, wanted: str) -> None:
    response = pixmill.http.get(url, headers={"Range": f"bytes={wanted}"})

    assert (response.status_code, response.content) == (200, CONTENT)
    assert "Content-Range" not in response.headers


@pytest.mark.parametrize("wanted", ["bytes=9-5", "lines=1-2", "bytes=x", "bytes=0x1-0x2"])
def test_an_invalid_range_is_ignored(pixmill: Served, url: str, wanted: str) -> None:
    response = pixmill.http.get(url, headers={"Range": wanted})

    assert (response.status_code, response.content) == (200, CONTENT)


RANGES = st.text("bytesBYTES=-, 0123456789x;*", max_size=30) | st.lists(
    st.sampled_from(["-", ",", " ", "0", "7", "00", "10239", "10240", "9" * 30, "+1", "\t"]), max_size=8
).map(lambda pieces: "bytes=" + "".join(pieces))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RANGES.map(str.strip))
def test_for_any_range_the_bytes_match_content_range(pixmill: Served, url: str, wanted: str) -> None:
    response = pixmill.http.get(url, headers={"Range": wanted})

    content_range = re.fullmatch(r"bytes (\d+)-(\d+)/10240", response.headers.get("Content-Range", ""))
    match response.status_code:
        case 200:
            assert response.content == CONTENT
        case 206 if content_range:
            assert response.content == CONTENT[int(content_range[1]) : int(content_range[2]) + 1]
        case 206:
            assert response.headers["Content-Type"].startswith("multipart/byteranges")
        case _:
            assert_problem(response, 416, "10240 bytes")


def test_if_range_decides_between_a_part_and_the_whole_file(pixmill: Served, url: str) -> None:
    etag = pixmill.http.get(url).headers["ETag"]

    part = pixmill.http.get(url, headers={"Range": "bytes=0-4", "If-Range": etag})
    whole = pixmill.http.get(url, headers={"Range": "bytes=0-4", "If-Range": '"another"'})

    assert (part.status_code, part.content) == (206, CONTENT[:5])
    assert (whole.status_code, whole.content) == (200, CONTENT)


def test_a_cached_file_is_not_sent_again(pixmill: Served, url: str) -> None:
    etag = pixmill.http.get(url).headers["ETag"]

    response = pixmill.http.get(url, headers={"If-None-Match": etag})

    assert (response.status_code, response.content) == (304, b"")
    assert "Content-Type" not in response.headers
    assert response.headers["ETag"] == etag


TAG, OTHER, EARLIER, LATER = "{etag}", '"other"', "Mon, 01 Jan 2001 00:00:00 GMT", "Wed, 01 Jan 2098 00:00:00 GMT"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        # RFC 9110, 13.1.1
        (200, {"If-Match": TAG}),
        (200, {"If-Match": "*"}),
        (200, {"If-Match": f"{OTHER}, {TAG}"}),
        (412, {"If-Match": OTHER}),
        (412, {"If-Match": f"W/{TAG}"}),
        # 13.1.2
        (304, {"If-None-Match": TAG}),
        (304, {"If-None-Match": "*"}),
        (304, {"If-None-Match": f"W/{TAG}"}),
        (304, {"If-None-Match": f"{OTHER}, {TAG}"}),
        (200, {"If-None-Match": OTHER}),
        # 13.1.3
        (304, {"If-Modified-Since": LATER}),
        (304, {"If-Modified-Since": "{modified}"}),
        (200, {"If-Modified-Since": EARLIER}),
        (200, {"If-Modified-Since": "yesterday"}),
        (200, {"If-Modified-Since": LATER, "If-None-Match": OTHER}),
        (304, {"If-Modified-Since": EARLIER, "If-None-Match": TAG}),
        # 13.1.4
        (200, {"If-Unmodified-Since": LATER}),
        (200, {"If-Unmodified-Since": "{modified}"}),
        (412, {"If-Unmodified-Since": EARLIER}),
        (200, {"If-Unmodified-Since": "yesterday"}),
        (200, {"If-Unmodified-Since": EARLIER, "If-Match": TAG}),
        # 13.2.2: preconditions come before ranges
        (412, {"If-Match": OTHER, "Range": "bytes=0-4"}),
        (304, {"If-None-Match": TAG, "Range": "bytes=0-4"}),
        (412, {"If-Match": OTHER, "If-None-Match": TAG}),
        (304, {"If-Match": TAG, "If-None-Match": TAG}),
        (206, {"If-Match": TAG, "Range": "bytes=0-4"}),
        (206, {"If-Modified-Since": EARLIER, "Range": "bytes=0-4"}),
        # 13.1.5
        (206, {"If-Range": TAG, "Range": "bytes=0-4"}),
        (200, {"If-Range": OTHER, "Range": "bytes=0-4"}),
        (200, {"If-Range": f"W/{TAG}", "Range": "bytes=0-4"}),
        (206, {"If-Range": "{modified}", "Range": "bytes=0-4"}),
        (200, {"If-Range": EARLIER, "Range": "bytes=0-4"}),
        (200, {"If-Range": LATER, "Range": "bytes=0-4"}),
        (200, {"If-Range": TAG}),
        (200, {"If-Range": OTHER, "Range": "bytes=99999-"}),
        # 14.2: an unknown unit is ignored
        (200, {"Range": "seconds=1-2"}),
        (416, {"Range": "bytes=99999-"}),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_follow_rfc_9110(
    pixmill: Served, url: str, method: str, status: int, headers: dict[str, str]
) -> None:
    now = pixmill.http.head(url).headers
    sent = {name: value.format(etag=now["ETag"], modified=now["Last-Modified"]) for name, value in headers.items()}

    response = pixmill.http.request(method, url, headers=sent)

    # Range applies only to GET (14.2).
    assert response.status_code == (200 if method == "HEAD" and status in (206, 416) else status)
    if response.status_code == 200:
        assert response.content == (b"" if method == "HEAD" else CONTENT)
    if response.status_code in (200, 206, 304):
        for name in ("ETag", "Repr-Digest", "Cache-Control"):
            assert response.headers.get_list(name) == [now[name]]
    if response.status_code in (200, 206):
        for name in ("Content-Type", "Content-Disposition", "Last-Modified"):
            assert response.headers.get_list(name) == [now[name]]


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.png", photo(8, 8), "inline"),
        ("a.txt", b"words", "inline"),
        ("a.html", b"<!DOCTYPE html><script>alert(1)</script>", "attachment"),
        ("a.png", b"<html><script>alert(1)</script>", "attachment"),
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"/>', "attachment"),
        ("a.pdf", b"%PDF-1.7", "attachment"),
        ("a.bin", b"\0\1", "attachment"),
    ],
)
def test_only_files_without_scripts_are_shown_inline(pixmill: Served, name: str, content: bytes, kind: str) -> None:
    file_id = pixmill.files.upload(content, name=name).id

    headers = pixmill.http.get(f"{FILES}/{file_id}/download", params={"disposition": "inline"}).headers

    assert headers["Content-Disposition"] == f'{kind}; filename="{name}"'
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_several_files_are_downloaded_as_an_archive(pixmill: Served) -> None:
    first = pixmill.files.upload(CONTENT, name="снимок.bin").id
    second = pixmill.files.upload(b"another", name="снимок.bin").id
    third = pixmill.files.upload(b"", name="Снимок.bin").id

    response = pixmill.http.get(
        f"{FILES}/archive", params=[("id", str(number)) for number in (first, second, third, first)]
    )

    assert response.headers["Content-Type"] == "application/zip"
    assert response.headers["Content-Length"] == str(len(response.content))
    archive = ZipFile(BytesIO(response.content))
    assert archive.testzip() is None
    contents = {name: archive.read(name) for name in archive.namelist()}
    assert contents == {"снимок.bin": CONTENT, "снимок (2).bin": b"another", "Снимок (3).bin": b""}


def test_an_archive_of_a_missing_file_is_refused(pixmill: Served) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id

    assert_problem(pixmill.http.get(f"{FILES}/archive", params={"id": [str(file_id), "999999999"]}), 404, "999999999")
    assert_problem(pixmill.http.get(f"{FILES}/archive"), 422, "id")


def test_a_signed_link_downloads_until_it_expires(pixmill: Served) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id

    long, short = (pixmill.http.post(f"{FILES}/{file_id}/links", json={"expires_in": seconds}) for seconds in (3600, 1))

    assert (long.status_code, short.status_code) == (201, 201)
    assert pixmill.http.get(long.json()["url"]).content == CONTENT
    assert pixmill.http.get(long.json()["url"], headers={"Range": "bytes=0-4"}).content == CONTENT[:5]
    wait_until(lambda: pixmill.http.get(short.json()["url"]).status_code == 410, "the link has expired")
    assert_problem(pixmill.http.get(short.json()["url"]), 410, "expired")


def test_a_link_has_the_host_of_the_request(pixmill: Served) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id

    link = pixmill.http.post(f"{FILES}/{file_id}/links", json={}, headers={"Host": "photos.example"})

    assert link.json()["url"].startswith(f"http://photos.example{FILES}/links/")
    assert link.headers["Location"] == link.json()["url"]


def test_a_changed_link_is_refused(pixmill: Served) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id
    url = pixmill.http.post(f"{FILES}/{file_id}/links", json={}).json()["url"]

    for changed in (url[:-1] + ("A" if url[-1] != "A" else "B"), url.replace("links/", "links/9"), url[:-10]):
        assert_problem(pixmill.http.get(changed), 403, "not created")


@pytest.mark.parametrize("seconds", [0, -1, 604_801, "1", None])
def test_a_link_is_valid_for_at_most_a_week(pixmill: Served, seconds: object) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id

    assert_problem(pixmill.http.post(f"{FILES}/{file_id}/links", json={"expires_in": seconds}), 422, "expires_in")


def test_a_link_to_a_deleted_file_gets_404(pixmill: Served) -> None:
    file_id = pixmill.files.upload(CONTENT, name="a.bin").id
    url = pixmill.http.post(f"{FILES}/{file_id}/links", json={}).json()["url"]
    pixmill.http.delete(f"{FILES}/{file_id}")

    assert_problem(pixmill.http.get(url), 404, "deleted")


def test_a_file_of_a_set_is_sent_like_a_download(pixmill: Served) -> None:
    file = pixmill.files.upload(CONTENT, name="a.bin")
    wanted = {"file_ids": [file.id], "password": "a password"}
    link = pixmill.http.post(f"{FILES}/links", json=wanted).raise_for_status().json()
    [shown] = pixmill.http.get(link["api_url"], auth=("", "a password")).json()["files"]
    asked = [{}, {"Range": "bytes=5-9"}, {"Range": "bytes=0-1,5-9"}, {"If-None-Match": f'"{file.sha256}"'}]

    for headers in asked:
        by_link = pixmill.http.get(shown["download_url"], headers=headers, auth=("", "a password"))
        by_id = pixmill.http.get(f"{FILES}/{file.id}/download", headers=headers)
        assert (by_link.status_code, len(by_link.content)) == (by_id.status_code, len(by_id.content))
        assert by_link.headers.get("ETag") == by_id.headers.get("ETag")
    head = pixmill.http.head(shown["download_url"], auth=("", "a password"))
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(CONTENT)))
    archive = pixmill.http.get(f"{link['api_url']}/archive", auth=("", "a password"))
    with ZipFile(BytesIO(archive.content)) as zipped:
        assert zipped.read("a.bin") == CONTENT


def test_a_download_of_a_missing_file_gets_404(pixmill: Served) -> None:
    assert_problem(pixmill.http.get(f"{FILES}/999999999/download"), 404, "999999999")
