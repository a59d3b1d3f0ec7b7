"""``python -m bench.files``: the speed of the file server, compared with nginx alone.

Uploads are compared with nginx's DAV PUT, downloads with nginx's static files: the same bytes on the same disk in the
same run, with the same client (curl for large files; wrk or threads of http.client for small ones). DAV PUT does not
make its bytes durable, so uploads are also compared with DAV PUT followed by fsync.
"""

import argparse
import http.client
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.support.client import FILES, Pixmill
from tests.support.environment import ENVIRONMENT
from tests.support.processes import Process, accepts, find_program, free_port
from tests.support.stacks import FullStack

GIB = 1024**3
SECONDS = 5.0
CLIENTS = (1, 8)
ROUNDS = 3

NGINX = """
user root;
worker_processes auto;
pid {folder}/peer.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_max_body_size 0;
    client_body_temp_path {folder}/peer-temp;
    server {{
        listen 127.0.0.1:{port};
        root {folder}/peer;
        location / {{ dav_methods PUT; create_full_put_path on; }}
    }}
}}
"""


@contextmanager
def peer(folder: Path) -> Iterator[str]:
    """Run an nginx without Pixmill: DAV PUT and static files."""
    port = free_port()
    (folder / "peer").mkdir()
    config = folder / "peer.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    command = [find_program("nginx"), "-c", str(config), "-g", "daemon off;", "-e", "stderr"]
    process = Process("peer", command, ENVIRONMENT, folder / "peer.log")
    process.wait_until(accepts(port))
    yield f"http://127.0.0.1:{port}"
    process.stop()


def curl(*arguments: str) -> float:
    """Return the seconds that a run of curl takes."""
    began = time.perf_counter()
    subprocess.run(["curl", "-sS", "--fail", "--output", os.devnull, *arguments], check=True)
    return time.perf_counter() - began


def best(*measures: Callable[[], float]) -> list[float]:
    """Return the fastest of several rounds of each, in turn; each begins with a sync, to flush earlier writes."""
    seconds: list[list[float]] = [[] for _ in measures]
    for _ in range(ROUNDS):
        for measure, taken in zip(measures, seconds, strict=True):
            os.sync()
            taken.append(measure())
    return [min(taken) for taken in seconds]


def large_files(ours: str, theirs: str, folder: Path, size: int) -> None:
    source = folder / "large.bin"
    stored = folder / "peer/large.bin"
    with source.open("wb") as file:
        for number in range(size // 2**20):
            # Each MiB differs, also from those of other rounds.
            file.write((number.to_bytes(8, "big") + os.urandom(1024) * 1024)[: 2**20])
    megabytes = size / 1e6

    def dav() -> float:
        return curl("-T", str(source), f"{theirs}/large.bin")

    def dav_synced() -> float:
        began = time.perf_counter()
        curl("-T", str(source), f"{theirs}/large.bin")
        with stored.open("rb") as file:
            os.fsync(file.fileno())
        return time.perf_counter() - began

    def raw() -> float:
        return curl("-T", str(source), f"{ours}{FILES}/?name=large.bin")

    def form() -> float:
        return curl("-F", f"file=@{source}", f"{ours}{FILES}/")

    def with_new_bytes(upload: Callable[[], float]) -> Callable[[], float]:
        """Delete the previous upload and change the bytes, so that nothing is deduplicated; then measure."""

        def measure() -> float:
            stored.unlink(missing_ok=True)
            for former in pixmill.http.get(f"{FILES}/").json():
                pixmill.http.delete(f"{FILES}/{former['id']}")
            with source.open("r+b") as file:
                file.write(os.urandom(16))
            os.sync()
            return upload()

        return measure

    with Pixmill(ours) as pixmill:
        plain, durable, as_body, as_form = best(*map(with_new_bytes, (dav, dav_synced, raw, form)))
        file_id = pixmill.http.get(f"{FILES}/").json()[0]["id"]
    print(f"upload of {size / GIB:.2f} GiB: DAV PUT {megabytes / plain:.0f} MB/s,", end=" ")
    print(f"with fsync {megabytes / durable:.0f} MB/s")
    for name, seconds, wanted in (("raw", as_body, "0.80"), ("form", as_form, "0.50")):
        print(
            f"  {name} {megabytes / seconds:.0f} MB/s: {plain / seconds:.2f} of DAV PUT (wanted {wanted}),"
            f" {durable / seconds:.2f} with fsync"
        )
    dav()
    static, download = best(lambda: curl(f"{theirs}/large.bin"), lambda: curl(f"{ours}{FILES}/{file_id}/download"))
    print(f"download: static {megabytes / static:.0f} MB/s, ours {megabytes / download:.0f} MB/s:", end=" ")
    print(f"{static / download:.2f} (wanted 0.95)", flush=True)


def requests_per_second(
    url: str, clients: int, request: Callable[[http.client.HTTPConnection, int, int], None]
) -> float:
    """Return the requests per second of several clients, each a thread with a persistent connection."""
    counts = [0] * clients
    deadline = time.perf_counter() + SECONDS
    place = urlsplit(url)

    def run(client: int) -> None:
        connection = http.client.HTTPConnection(str(place.hostname), place.port)
        while time.perf_counter() < deadline:
            request(connection, client, counts[client])
            counts[client] += 1
        connection.close()

    threads = [threading.Thread(target=run, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / SECONDS


def put_to(path: str, size: int) -> Callable[[http.client.HTTPConnection, int, int], None]:
    rest = os.urandom(size)

    def request(connection: http.client.HTTPConnection, client: int, number: int) -> None:
        body = f"{client:08}{number:012}{time.time_ns():024}".encode() + rest[44:]
        connection.request("PUT", path.format(name=f"{client}-{number}-{time.time_ns()}.bin"), body)
        response = connection.getresponse()
        response.read()
        assert response.status in (201, 204), response.status

    return request


def small_files(ours: str, theirs: str, sizes: Sequence[int]) -> None:
    for size in sizes:
        for clients in CLIENTS:
            dav = requests_per_second(theirs, clients, put_to("/small/{name}", size))
            put = requests_per_second(ours, clients, put_to(f"{FILES}/?name={{name}}", size))
            print(
                f"upload of {size // 1024} KiB, {clients} clients: DAV PUT {dav:.0f}/s, ours {put:.0f}/s:"
                f" {put / dav:.2f}" + (" (wanted 1500/s)" if size == 4096 and clients == 8 else ""),
                flush=True,
            )


def wrk_requests_per_second(url: str, clients: int) -> float:
    """Return the requests per second that wrk measures."""
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{SECONDS:.0f}s", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return float(output.split("Requests/sec:")[1].split()[0])


def small_downloads(ours: str, theirs: str, folder: Path) -> None:
    content = os.urandom(4096)
    (folder / "peer/small.bin").write_bytes(content)
    with Pixmill(ours) as pixmill:
        file_id = pixmill.upload("small.bin", content)["id"]
    for clients in CLIENTS:
        static = wrk_requests_per_second(f"{theirs}/small.bin", clients)
        download = wrk_requests_per_second(f"{ours}{FILES}/{file_id}/download", clients)
        print(
            f"download of 4 KiB, {clients} clients: static {static:.0f}/s, ours {download:.0f}/s:"
            f" {download / static:.2f}" + (" (wanted 3000/s)" if clients == CLIENTS[-1] else ""),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__)
    parser.add_argument("--size", type=int, default=GIB, help="bytes of the large file (default: 1 GiB)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        folder.chmod(0o755)
        stack = FullStack(
            folder, {"FILE_STORAGE_LOG__LEVEL": "warning", "FILE_STORAGE_UPLOAD__MAX_BYTES": str(8 * GIB)}
        )
        try:
            with peer(folder) as theirs:
                large_files(stack.url, theirs, folder, chosen.size)
                small_files(stack.url, theirs, [4096, 2**20])
                small_downloads(stack.url, theirs, folder)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
