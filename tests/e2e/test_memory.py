"""Large uploads and downloads need little memory."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.client import FILES, Served
from tests.support.environment import MAX_UPLOAD
from tests.support.processes import memory_of, processes_of
from tests.support.stacks import Stack

pytestmark = pytest.mark.both_stacks

CHUNK = bytes(range(256)) * 4096
CHUNKS = MAX_UPLOAD // len(CHUNK) - 2
ALLOWED_GROWTH = 64 * 1024 * 1024


@contextmanager
def growth_of(stack: Stack) -> Iterator[dict[str, int]]:
    """Return the peak memory growth of each process through which files pass, by its command.

    The result is filled when the block ends. Other processes may still be loading their code.
    """
    commands = {
        number: command
        for number, command in processes_of(stack.folder).items()
        if any(program in command for program in ("nginx", "uwsgi", "pixmill.front"))
    }
    before = {number: memory_of(number) for number in commands}
    peak = dict(before)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            for number in commands:
                peak[number] = max(peak[number], memory_of(number))

    watcher = threading.Thread(target=watch)
    watcher.start()
    growth: dict[str, int] = {}
    try:
        yield growth
    finally:
        ended.set()
        watcher.join()
        growth.update({f"{number} {commands[number]}": peak[number] - before[number] for number in commands})


def test_a_large_file_needs_little_memory(stack: Stack, pixmill: Served) -> None:
    begun, ended = b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n\r\n', b"\r\n--b--\r\n"

    def body() -> Iterator[bytes]:
        yield begun
        for _ in range(CHUNKS):
            yield CHUNK
        yield ended

    length = len(begun) + CHUNKS * len(CHUNK) + len(ended)
    with growth_of(stack) as growth:
        headers = {"Content-Type": "multipart/form-data; boundary=b", "Content-Length": str(length)}
        answer = pixmill.http.post(f"{FILES}/", content=body(), headers=headers)
        assert answer.status_code == 201, answer.text
        file = answer.json()
        with pixmill.http.stream("GET", f"{FILES}/{file['id']}/download") as response:
            received = sum(len(chunk) for chunk in response.iter_raw(len(CHUNK)))

    assert received == file["size"] == CHUNKS * len(CHUNK)
    assert growth
    assert max(growth.values()) < ALLOWED_GROWTH, growth
