"""``python -m bench.client``: uploads of 4 KiB files by the Python client, compared with bare sockets.

Both send the same batches over as many connections in the same run, each in a process of its own. The sockets have
their requests ready before the clock starts; the client also reads and hashes the files, and checks the answers.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from pixmill.client.exchange import Call, Effect, Exchange, Operation, Retries, Work
from pixmill.client.uploads import New, UploadOperations, UploadOutcome

from pixmill import Pixmill
from tests.support.environment import ENVIRONMENT
from tests.support.processes import accepts, free_port
from tests.support.stacks import FullStack

FILES = 4000
FILE_BYTES = 4096
CONNECTIONS = 4
ROUNDS = 3


def by_client(url: str, paths: list[Path]) -> float:
    """Return the seconds that the client takes.

    :raises RuntimeError: a file was not stored.
    """
    with Pixmill(url) as px:
        began = time.perf_counter()
        outcomes = list(px.files.upload_many(paths, parallel=CONNECTIONS))
        seconds = time.perf_counter() - began
    failed = [outcome.error for outcome in outcomes if outcome.error is not None]
    if failed or len(outcomes) != len(paths):
        raise RuntimeError(failed)
    return seconds


def by_sockets(url: str, paths: list[Path]) -> float:
    """Return the seconds that bare sockets take for the requests of the client."""
    address = urlsplit(url)
    host, port = str(address.hostname), address.port or 80
    operations = UploadOperations(Exchange(Retries()), url).many(
        (New(path, path.name) for path in paths), skip_existing=False
    )
    requests = [request_of(operation, f"{host}:{port}") for operation in operations]
    parts = [requests[number::CONNECTIONS] for number in range(CONNECTIONS)]

    def send(part: list[bytes]) -> None:
        with socket.create_connection((host, port)) as connection:
            for request in part:
                connection.sendall(request)
                receive(connection)

    began = time.perf_counter()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(send, parts))
    return time.perf_counter() - began


def request_of(operation: Operation[list[UploadOutcome]], host: str) -> bytes:
    """Return the request of an upload as bytes, without sending it."""
    effect: Effect = next(operation)
    while isinstance(effect, Work):
        effect.work()
        effect = operation.send(None)
    if not isinstance(effect, Call):
        raise TypeError("an upload begins with a pause")
    operation.close()
    body = effect.body or b""
    lines = {"Host": host, "Content-Length": str(len(body)), **effect.headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{effect.method} {effect.path} HTTP/1.1\r\n{head}\r\n".encode() + body


def receive(connection: socket.socket) -> None:
    """Receive a response.

    :raises RuntimeError: it is not a success.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        received += some(connection)
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.lower().split(b"\r\n")
    if status.split()[1][:1] != b"2":
        raise RuntimeError(head)
    [length] = [int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")]
    left = length - len(body)
    while left > 0:
        left -= len(some(connection))


def some(connection: socket.socket) -> bytes:
    received = connection.recv(2**18)
    if not received:
        raise RuntimeError("the server has closed the connection")
    return received


PROGRAMS: dict[str, Callable[[str, list[Path]], float]] = {"client": by_client, "sockets": by_sockets}


def measured(program: str, url: str, folder: Path) -> float:
    """Return the seconds of a program for new files, in a process of its own."""
    folder.mkdir()
    for number in range(FILES):
        (folder / f"{number}.bin").write_bytes(os.urandom(FILE_BYTES))
    os.sync()
    command = [sys.executable, "-m", "bench.client", "--program", program, "--url", url, "--folder", str(folder)]
    return float(subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout)


def rounds(url: str, folder: Path) -> Iterator[tuple[str, float]]:
    for number in range(ROUNDS):
        for program in PROGRAMS:
            yield program, measured(program, url, folder / f"{program}-{number}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.client", description=__doc__)
    parser.add_argument("--program", choices=list(PROGRAMS), help="only run this program, on --url with --folder")
    parser.add_argument("--url")
    parser.add_argument("--folder", type=Path)
    chosen = parser.parse_args()
    if chosen.program is not None:
        print(PROGRAMS[chosen.program](chosen.url, sorted(chosen.folder.iterdir())))
        return
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        folder.chmod(0o755)
        stack = FullStack(folder, {"FILE_STORAGE_LOG__LEVEL": "warning"})
        # The programs have a single address, and send more requests than an address may.
        port = free_port()
        unlimited = {"NGINX_REQUESTS_PER_SECOND": "100000", "NGINX_REQUESTS_AT_ONCE": "100000"}
        nginx = stack.start_nginx("unlimited", port, free_port(), unlimited)
        try:
            nginx.wait_until(accepts(port))
            seconds: dict[str, list[float]] = {program: [] for program in PROGRAMS}
            for program, taken in rounds(f"http://127.0.0.1:{port}", folder):
                seconds[program].append(taken)
        finally:
            nginx.stop()
            stack.stop()
    client, sockets = (min(seconds[program]) for program in ("client", "sockets"))
    print(
        f"upload of {FILES} files of {FILE_BYTES // 1024} KiB, {CONNECTIONS} connections:"
        f" sockets {FILES / sockets:.0f}/s,"
        f" client {FILES / client:.0f}/s: {sockets / client:.2f} (wanted 0.9)",
        flush=True,
    )


if __name__ == "__main__":
    main()
