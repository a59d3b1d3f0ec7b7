"""How h11 reads the chunks of a body, once the front's protocol is loaded."""

import h11
import pixmill.front.protocol  # noqa: F401 (it narrows the grammar of h11, which is under test)
import pytest

HEAD = b"PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def events_of(body: bytes) -> list[object]:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(HEAD + body)
    return [connection.next_event() for _ in range(3)]


@pytest.mark.parametrize("head", [b"5", b"000005", b"5;name=value", b"5 ; a", b'5;a="\xc3\xa4\t"', b"5  "])
def test_a_chunk_is_as_long_as_its_head_says(head: bytes) -> None:
    _, data, end = events_of(head + b"\r\nhello\r\n0\r\n\r\n")

    assert isinstance(data, h11.Data)
    assert data.data == b"hello"
    assert isinstance(end, h11.EndOfMessage)


@pytest.mark.parametrize(
    "head",
    [b"f" * 16, b"f" * 18, b"1" + b"0" * 15, b"0" * 30 + b"5", b"5;a\0b", b"5;a\x1b", b"5;a\rb", b"+5"],
)
def test_a_chunk_that_no_body_can_have_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(h11.RemoteProtocolError):
        events_of(head + b"\r\nhello\r\n0\r\n\r\n")
