"""The server that sends a file's bytes (nginx, the front, S3 or the application), with the response of RFC 9110."""

import hashlib
import random
import re
from base64 import b64encode
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import pytest
from file_storage.app import create_app
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.support.databases import empty_sqlite
from tests.support.environment import INNER_SECRETS

PROJECT = Path(__file__).parent.parent.parent.parent

SIZE = 1000
CONTENT = random.Random(9110).randbytes(SIZE)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
BLOB = f"{SHA256[:2]}/{SHA256[2:4]}/{SHA256}"
DIGEST = f"sha-256=:{b64encode(hashlib.sha256(CONTENT).digest()).decode()}:"

EARLIER = "Mon, 01 Jan 2001 00:00:00 GMT"
LATER = "Wed, 01 Jan 2098 00:00:00 GMT"

YOUNGER = {"If-Modified-Since": EARLIER}
"""A condition that is true."""

MATCH = {"If-Match": f'"{SHA256}"'}
"""A condition that is true. nginx would compare its own entity tag, so it must repeat the request without this one."""


class Sites(NamedTuple):
    """Applications with different settings over the same blob store."""

    folder: Path
    nginx: FlaskClient
    front: FlaskClient
    """The application behind the front of the embedded stack."""
    full: FlaskClient
    """The application behind the front, with a full disk."""
    s3: FlaskClient
    """The application behind nginx, with its blobs in S3."""
    full_s3: FlaskClient
    """The application behind nginx with S3, with a full disk."""
    redirecting: FlaskClient
    """The application behind nginx, redirecting clients to S3."""


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory, restored_logging: None) -> Sites:
    folder = tmp_path_factory.mktemp("доставка")
    by_front = {"DOWNLOAD__HEADER": "X-Sendfile", "DOWNLOAD__ROOT": f"{folder}/blobs/"}
    in_s3 = {"STORAGE__URL": "s3://pixmill/files"}
    empty_sqlite(folder / "files.db", "file_storage")
    empty_sqlite(folder / "access.db", "service_kit.access")
    return Sites(
        folder,
        nginx=client(folder),
        front=client(folder, by_front),
        full=client(folder, by_front | {"STORAGE__RESERVE_BYTES": str(2**62)}),
        s3=client(folder, in_s3),
        full_s3=client(folder, in_s3 | {"STORAGE__RESERVE_BYTES": str(2**62)}),
        redirecting=client(folder, in_s3 | {"DOWNLOAD__REDIRECT": "true"}),
    )


def client(folder: Path, changed: dict[str, str] | None = None) -> FlaskClient:
    settings = {
        "DATABASE__URL": f"sqlite:///{folder}/files.db",
        "STORAGE__FOLDER": str(folder),
        "STORAGE__RESERVE_BYTES": "0",
        "UPLOAD__BODY_FOLDER": "",
        "LOG__LEVEL": "error",
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.chdir(PROJECT)
        environment.setenv("PIXMILL_LINK_SECRET", "test-secret of 32 bytes and more.")
        for name, secret in INNER_SECRETS.items():
            environment.setenv(name, secret)
        environment.setenv("ACCESS_DATABASE__URL", f"sqlite:///{folder}/access.db")
        environment.setenv("AWS_ACCESS_KEY_ID", "test-key")
        environment.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
        environment.setenv("AWS_REGION", "us-east-1")
        for name, value in (settings | (changed or {})).items():
            environment.setenv(f"FILE_STORAGE_{name}", value)
        return create_app().test_client()


def added(sites: Sites, content: bytes) -> str:
    """Store a new file and return the URL of its bytes."""
    response = sites.front.put("/?name=a.bin", data=content)
    assert response.status_code == 201
    return f"/{response.json['id']}/download" if response.json else ""


@pytest.fixture(scope="module")
def url(sites: Sites) -> str:
    return added(sites, CONTENT)


@pytest.fixture(scope="module")
def empty(sites: Sites) -> str:
    return added(sites, b"")


def names_no_file(response: TestResponse) -> bool:
    return not {"X-Accel-Redirect", "X-Sendfile"} & set(response.headers.keys())


def sent_by_front(response: TestResponse) -> bytes:
    """Return the bytes that the front sends for a response: those of the file named in its headers."""
    if "X-Sendfile" not in response.headers:
        given: bytes = response.data
        return given
    assert response.data == b""
    first = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    with Path(unquote(response.headers["X-Sendfile"])).open("rb") as file:
        file.seek(int(first[1]) if first else 0)
        return file.read(int(response.headers["Content-Length"]))


def byteranges(response: TestResponse) -> list[tuple[str, bytes]]:
    """Return the position and the bytes of each part of a response, by the grammar of RFC 2046, 5.1.1."""
    assert response.mimetype == "multipart/byteranges"
    boundary = response.mimetype_params["boundary"]
    preamble, *parts, epilogue = response.data.split(f"\r\n--{boundary}".encode())
    assert (preamble, epilogue) == (b"", b"--\r\n")
    split = [part.split(b"\r\n\r\n", 1) for part in parts]
    return [(re.findall("Content-Range: (.+)", head.decode())[0].strip(), content) for head, content in split]


def test_nginx_gets_the_path_of_the_blob_for_a_whole_file(sites: Sites, url: str) -> None:
    response = sites.nginx.get(url)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["X-Accel-Redirect"] == f"/blobs/{BLOB}"


@pytest.mark.parametrize("headers", [{}, YOUNGER, MATCH])
def test_the_front_gets_the_path_and_the_length_of_the_blob_for_a_whole_file(
    sites: Sites, url: str, headers: dict[str, str]
) -> None:
    response = sites.front.get(url, headers=headers)

    assert response.headers["X-Sendfile"] == quote(f"{sites.folder}/blobs/{BLOB}")
    assert (response.status_code, response.headers["Content-Length"]) == (200, "1000")
    assert sent_by_front(response) == CONTENT


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-4"}])
def test_accept_ranges_is_set_for_the_front_but_not_for_nginx(sites: Sites, url: str, headers: dict[str, str]) -> None:
    assert "Accept-Ranges" not in sites.nginx.get(url, headers=headers).headers
    assert sites.front.get(url, headers=headers).headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-4"}, {"Range": "bytes=5000-"}])
def test_head_has_the_size_and_no_file_to_send(sites: Sites, url: str, headers: dict[str, str]) -> None:
    for site in (sites.nginx, sites.front, sites.redirecting):
        response = site.head(url, headers=headers)

        assert (response.status_code, response.headers["Content-Length"], response.data) == (200, "1000", b"")
        assert response.headers["Accept-Ranges"] == "bytes"
        assert names_no_file(response)


@pytest.mark.parametrize(
    "wanted", ["bytes=0-0", "bytes=0-", "bytes=999-", "bytes=999-999", "bytes=0-999", "bytes=-1", "bytes=-1000"]
)
def test_a_single_range_within_the_file_is_left_to_nginx(sites: Sites, url: str, wanted: str) -> None:
    response = sites.nginx.get(url, headers={"Range": wanted})

    assert response.headers["X-Accel-Redirect"] == f"/blobs/{BLOB}"


@pytest.mark.parametrize("wanted", ["bytes=0-4,10-14", "bytes=0-0, -1", "bytes=5-9,1000-", "bytes=990-2000"])
def test_nginx_sends_any_ranges_from_its_own_disk(sites: Sites, url: str, wanted: str) -> None:
    assert sites.nginx.get(url, headers={"Range": wanted}).headers["X-Accel-Redirect"] == f"/blobs/{BLOB}"


EDGES = pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("0-0", 0, 0),
        ("0-", 0, 999),
        ("0-998", 0, 998),
        ("0-999", 0, 999),
        ("0-1000", 0, 999),
        ("1-998", 1, 998),
        ("998-999", 998, 999),
        ("999-", 999, 999),
        ("999-999", 999, 999),
        ("999-1000", 999, 999),
        ("-1", 999, 999),
        ("-999", 1, 999),
        ("-1000", 0, 999),
        ("-1001", 0, 999),
        (f"-{10**30}", 0, 999),
        (f"3-{10**30}", 3, 999),
    ],
)


@EDGES
@pytest.mark.parametrize("conditions", [{}, YOUNGER, MATCH])
def test_the_front_gets_the_bytes_that_a_range_selects(
    sites: Sites, url: str, conditions: dict[str, str], wanted: str, first: int, last: int
) -> None:
    response = sites.front.get(url, headers={"Range": f"bytes={wanted}"} | conditions)

    assert response.headers["X-Sendfile"] == quote(f"{sites.folder}/blobs/{BLOB}")
    assert (response.status_code, response.data) == (206, b"")
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/1000"
    assert response.headers["Content-Length"] == str(last + 1 - first)


@EDGES
def test_nginx_repeats_the_request_with_the_resolved_range(
    sites: Sites, url: str, wanted: str, first: int, last: int
) -> None:
    response = sites.nginx.get(url, headers={"Range": f"bytes={wanted}"} | MATCH)

    assert (response.status_code, response.data) == (200, b"")
    assert response.headers["X-Accel-Redirect"] == "/unconditional"
    assert response.headers["X-Range"] == f"bytes={first}-{last}"


def test_several_ranges_are_copied_for_the_front(sites: Sites, url: str) -> None:
    response = sites.front.get(url, headers={"Range": "bytes=0-4,10-14"})

    assert response.status_code == 206
    assert names_no_file(response)


@pytest.mark.parametrize("wanted", ["BYTES=5-9", "bytes= 5-9", "bytes=5 - 9", "bytes=5-0000000000000000000009"])
def test_an_unusual_spelling_of_a_range_is_normalized(sites: Sites, url: str, wanted: str) -> None:
    by_nginx = sites.nginx.get(url, headers={"Range": wanted})
    by_front = sites.front.get(url, headers={"Range": wanted})

    assert by_nginx.headers["X-Range"] == "bytes=5-9"
    assert (by_front.status_code, sent_by_front(by_front)) == (206, CONTENT[5:10])


@pytest.mark.parametrize("condition", ["If-Match", "If-Unmodified-Since", "If-Modified-Since"])
def test_the_response_that_makes_nginx_repeat_the_request_has_no_file_headers(
    sites: Sites, url: str, condition: str
) -> None:
    met = {"If-Match": "*", "If-Unmodified-Since": LATER, "If-Modified-Since": EARLIER}[condition]

    response = sites.nginx.get(url, headers={condition: met})

    assert response.headers["X-Accel-Redirect"] == "/unconditional"
    assert not {"X-Range", "Content-Type", "ETag", "Content-Disposition", "Content-Digest"} & set(
        response.headers.keys()
    )


def test_an_entity_tag_that_does_not_match_leaves_the_file_to_nginx(sites: Sites, url: str) -> None:
    response = sites.nginx.get(url, headers={"If-None-Match": '"other"'})

    assert response.headers["X-Accel-Redirect"] == f"/blobs/{BLOB}"


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("0-4,10-14", [(0, 4), (10, 14)]),
        ("0-0,-1", [(0, 0), (999, 999)]),
        ("0-0,1-1,2-", [(0, 0), (1, 1), (2, 999)]),
        ("0-997,998-2000,3000-", [(0, 997), (998, 999)]),
        ("0-0,-2000", [(0, 0), (0, 999)]),
    ],
)
def test_several_ranges_are_sent_as_parts_in_their_order(
    sites: Sites, url: str, wanted: str, expected: list[tuple[int, int]]
) -> None:
    response = sites.front.get(url, headers={"Range": f"bytes={wanted}"})

    assert response.status_code == 206
    assert byteranges(response) == [
        (f"bytes {first}-{last}/1000", CONTENT[first : last + 1]) for first, last in expected
    ]
    assert response.headers["Content-Length"] == str(len(response.data))


def test_the_only_one_of_several_ranges_within_the_file_is_sent_alone(sites: Sites, url: str) -> None:
    response = sites.front.get(url, headers={"Range": "bytes=995-2000,3000-"})

    assert (response.status_code, sent_by_front(response)) == (206, CONTENT[995:])
    assert response.headers["Content-Range"] == "bytes 995-999/1000"


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.integers(0, 400)).map(lambda gap: (gap[0], gap[1])), min_size=1, max_size=6
    )
)
def test_nginx_repeats_the_request_only_for_bytes_within_the_file(
    sites: Sites, url: str, gaps: list[tuple[int, int]]
) -> None:
    """The ranges are in order; a gap is the number of bytes skipped before a range, and the range's length minus 1."""
    wanted, place = [], 0
    for left_out, more in gaps:
        wanted.append((place + left_out, place + left_out + more))
        place += left_out + more + 1
    inside = [(first, min(last, SIZE - 1)) for first, last in wanted if first < SIZE]

    response = sites.nginx.get(url, headers={"Range": "bytes=" + ",".join(f"{a}-{b}" for a, b in wanted)} | MATCH)

    if inside:
        assert response.headers["X-Range"] == "bytes=" + ",".join(f"{first}-{last}" for first, last in inside)
    else:
        assert response.status_code == 416


@given(
    st.one_of(
        st.tuples(st.integers(0, 1100), st.integers(0, 1100)).map(lambda ends: f"{min(ends)}-{max(ends)}"),
        st.integers(0, 1100).map(lambda first: f"{first}-"),
        st.integers(1, 1100).map(lambda length: f"-{length}"),
    )
)
def test_the_bytes_of_a_206_match_its_content_range(sites: Sites, url: str, wanted: str) -> None:
    response = sites.front.get(url, headers={"Range": f"bytes={wanted}"} | YOUNGER)

    if response.status_code == 416:
        assert int(wanted.partition("-")[0]) >= SIZE
    else:
        named = re.fullmatch(r"bytes (\d+)-(\d+)/1000", response.headers["Content-Range"])
        assert named
        assert sent_by_front(response) == CONTENT[int(named[1]) : int(named[2]) + 1]


@pytest.mark.parametrize("wanted", ["1000-", "1000-1000", "1001-", "1000-1001,2000-", f"{10**30}-"])
@pytest.mark.parametrize("conditions", [{}, YOUNGER, MATCH])
def test_ranges_after_the_last_byte_get_416_with_the_size(
    sites: Sites, url: str, wanted: str, conditions: dict[str, str]
) -> None:
    for site in (sites.nginx, sites.front, sites.s3):
        response = site.get(url, headers={"Range": f"bytes={wanted}"} | conditions)

        assert (response.status_code, response.mimetype) == (416, "application/problem+json")
        assert response.headers["Content-Range"] == "bytes */1000"
        assert names_no_file(response)


@pytest.mark.parametrize("wanted", ["0-", "0-0", "1-"])
def test_a_range_of_an_empty_file_gets_416(sites: Sites, empty: str, wanted: str) -> None:
    response = sites.front.get(empty, headers={"Range": f"bytes={wanted}"})

    assert response.status_code == 416
    assert response.headers["Content-Range"] == "bytes */0"


def test_an_empty_file_is_sent_whole(sites: Sites, empty: str) -> None:
    response = sites.front.get(empty, headers=YOUNGER)

    assert (response.status_code, sent_by_front(response), response.headers["Content-Length"]) == (200, b"", "0")


@pytest.mark.parametrize("wanted", ["bytes=9-5", "bytes=x", "bytes", "lines=1-2", "bytes=0x1-0x2", "bytes=1-2,3"])
def test_an_invalid_range_is_ignored(sites: Sites, url: str, wanted: str) -> None:
    by_nginx = sites.nginx.get(url, headers={"Range": wanted})
    by_front = sites.front.get(url, headers={"Range": wanted})

    assert (by_front.status_code, sent_by_front(by_front)) == (200, CONTENT)
    assert by_nginx.headers["X-Accel-Redirect"] == "/unconditional"
    assert "X-Range" not in by_nginx.headers


@pytest.mark.parametrize(("count", "status"), [(32, 206), (33, 200)])
def test_more_than_32_ranges_get_the_whole_file(sites: Sites, url: str, count: int, status: int) -> None:
    wanted = ",".join(f"{first}-{first}" for first in range(0, 2 * count, 2))

    response = sites.front.get(url, headers={"Range": f"bytes={wanted}"})

    assert response.status_code == status
    assert ("Content-Range" in response.headers, sent_by_front(response) == CONTENT) == (False, status == 200)


def test_ranges_that_do_not_fit_on_the_disk_get_the_whole_file(sites: Sites, url: str) -> None:
    response = sites.full.get(url, headers={"Range": "bytes=0-4,10-14"})

    assert (response.status_code, sent_by_front(response)) == (200, CONTENT)


def test_nginx_repeats_a_request_without_ranges_if_they_do_not_fit_on_the_disk(sites: Sites, url: str) -> None:
    response = sites.full_s3.get(url, headers={"Range": "bytes=0-4,10-14"})

    assert response.headers["X-Accel-Redirect"] == "/unconditional"
    assert "X-Range" not in response.headers


@pytest.mark.parametrize("value", [f'"{SHA256}"', "{modified}"])
def test_a_range_applies_if_if_range_matches_the_file(sites: Sites, url: str, value: str) -> None:
    modified = sites.front.head(url).headers["Last-Modified"]

    response = sites.front.get(url, headers={"Range": "bytes=-5000", "If-Range": value.format(modified=modified)})

    assert (response.status_code, sent_by_front(response)) == (206, CONTENT)


@pytest.mark.parametrize("value", ['"other"', f'W/"{SHA256}"', EARLIER, LATER])
@pytest.mark.parametrize("wanted", ["0-4", "1000-"])
def test_a_range_is_ignored_if_if_range_does_not_match_the_file(
    sites: Sites, url: str, value: str, wanted: str
) -> None:
    response = sites.front.get(url, headers={"Range": f"bytes={wanted}", "If-Range": value})

    assert (response.status_code, sent_by_front(response)) == (200, CONTENT)


@pytest.mark.parametrize(
    ("status", "conditions"),
    [
        (412, {"If-Match": '"other"'}),
        (412, {"If-Unmodified-Since": EARLIER}),
        (304, {"If-None-Match": f'"{SHA256}"'}),
        (304, {"If-Modified-Since": LATER}),
    ],
)
@pytest.mark.parametrize("wanted", ["0-4", "1000-"])
def test_conditions_are_evaluated_before_ranges(
    sites: Sites, url: str, wanted: str, status: int, conditions: dict[str, str]
) -> None:
    for site in (sites.nginx, sites.front, sites.redirecting):
        response = site.get(url, headers={"Range": f"bytes={wanted}"} | conditions)

        assert response.status_code == status
        assert names_no_file(response)


@pytest.mark.parametrize("headers", [{}, YOUNGER, {"Range": "bytes=9-5"}])
def test_a_whole_file_has_the_digest_of_its_bytes(sites: Sites, url: str, headers: dict[str, str]) -> None:
    response = sites.front.get(url, headers=headers)

    assert (response.headers["Repr-Digest"], response.headers["Content-Digest"]) == (DIGEST, DIGEST)


@pytest.mark.parametrize("wanted", ["0-4", "0-4,10-14", "990-1000"])
def test_a_part_of_a_file_has_only_the_digest_of_the_whole(sites: Sites, url: str, wanted: str) -> None:
    response = sites.front.get(url, headers={"Range": f"bytes={wanted}"})

    assert response.headers["Repr-Digest"] == DIGEST
    assert "Content-Digest" not in response.headers


def test_a_client_is_redirected_to_s3(sites: Sites, url: str) -> None:
    response = sites.redirecting.get(url)

    assert (response.status_code, response.headers["Cache-Control"]) == (307, "no-cache")
    assert re.match(rf"https://[^?]*pixmill[^?]*/files/{BLOB}\?.*X-Amz-Signature=", response.headers["Location"])
    assert not {"Content-Type", "ETag", "Repr-Digest", "Content-Digest"} & set(response.headers.keys())


@pytest.mark.parametrize("headers", [MATCH, {"Range": "bytes=-1001"}, {"Range": "bytes=990-1000"}, {"Range": "b=1"}])
def test_nginx_repeats_requests_that_s3_would_answer_differently(
    sites: Sites, url: str, headers: dict[str, str]
) -> None:
    for site in (sites.s3, sites.redirecting):
        assert site.get(url, headers=headers).headers["X-Accel-Redirect"] == "/unconditional"


@pytest.mark.parametrize("headers", [{}, {"Range": "bytes=0-4"}])
def test_a_request_repeated_by_nginx_gets_the_blob_and_no_redirect(
    sites: Sites, url: str, headers: dict[str, str]
) -> None:
    response = sites.redirecting.get(url, headers={"X-Unconditional": "1"} | headers)

    assert response.status_code == 200
    assert re.match(rf"/s3/https://[^?]*/files/{BLOB}\?", response.headers["X-Accel-Redirect"])


def test_nginx_repeats_the_request_for_the_only_range_within_the_file_in_s3(sites: Sites, url: str) -> None:
    response = sites.s3.get(url, headers={"Range": "bytes=5-9,1000-"})

    assert response.headers["X-Accel-Redirect"] == "/unconditional"
    assert response.headers["X-Range"] == "bytes=5-9"


@pytest.mark.parametrize("headers", [{}, YOUNGER, {"Range": "bytes=0-4"}, {"Range": "bytes=0-4,6-7"}])
@pytest.mark.parametrize("left", [None, 0, 999, 1001])
def test_a_file_whose_bytes_are_lost_gets_404(sites: Sites, headers: dict[str, str], left: int | None) -> None:
    content = random.Random(f"{headers} {left}").randbytes(SIZE)
    lost = added(sites, content)
    name = hashlib.sha256(content).hexdigest()
    blob = sites.folder / "blobs" / name[:2] / name[2:4] / name
    blob.unlink()
    if left is not None:
        blob.write_bytes((content + b"more")[:left])

    response = sites.front.get(lost, headers=headers)

    assert (response.status_code, response.mimetype) == (404, "application/problem+json")
    assert names_no_file(response)
