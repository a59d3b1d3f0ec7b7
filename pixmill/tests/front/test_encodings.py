"""The Accept-Encoding that the front sends to uWSGI."""

import pytest
from pixmill.front.encodings import with_one_encoding


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [
        # The examples of RFC 9110, 12.5.3, but the empty one.
        ("compress, gzip", "gzip"),
        ("*", "gzip"),
        ("compress;q=0.5, gzip;q=1.0", "gzip"),
        ("gzip;q=1.0, identity; q=0.5, *;q=0", "gzip"),
        ("gzip, deflate, br, zstd", "gzip"),
        ("GZIP", "gzip"),
        ("gzip;q=0.001", "gzip"),
        ("", "identity"),
        ("br", "identity"),
        ("gzip;q=0", "identity"),
        ("br, gzip;q=0.000", "identity"),
        ("*;q=0", "identity"),
        ("*, gzip;q=0", "identity"),
        ("identity, gzip;q=0.5", "identity"),
        ("notgzip", "identity"),
    ],
)
def test_the_weights_decide(accepted: str, sent: str) -> None:
    assert with_one_encoding([(b"accept-encoding", accepted.encode())]) == [(b"accept-encoding", sent.encode())]


def test_several_fields_count_as_one() -> None:
    headers = [(b"accept-encoding", b"gzip;q=0.5"), (b"host", b"x"), (b"accept-encoding", b"identity")]

    assert with_one_encoding(headers) == [(b"host", b"x"), (b"accept-encoding", b"identity")]


def test_a_client_that_names_no_encoding_names_none() -> None:
    assert with_one_encoding([(b"host", b"x")]) == [(b"host", b"x")]
