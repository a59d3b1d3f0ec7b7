"""``python -m bench.files``: the speed of the file server, compared with nginx alone.

Uploads are compared with nginx's DAV PUT, downloads with nginx's static files: the same bytes on the same disk in the
same run, with the same client (curl for large files, wrk for small ones). DAV PUT does not make its bytes durable, so
large uploads are also compared with DAV PUT followed by fsync. Small files also show the processor time that each of
our programs spends on a request: on a machine with other load, this is more meaningful than requests per second.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from tests.support.client import FILES, Served
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
    """Return the fastest of several alternating rounds of each; a sync before each round flushes writes."""
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
            # Each MiB is different, also across rounds.
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

    with Served(ours) as pixmill:
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


class Rate(NamedTuple):
    """Requests per second, and the CPU time in microseconds that each program spends per request."""

    per_second: float
    cost: Mapping[str, float]

    def __str__(self) -> str:
        costs = ", ".join(f"{name} {microseconds:.0f}" for name, microseconds in self.cost.items())
        return f"{self.per_second:.0f}/s ({costs}: {sum(self.cost.values()):.0f} us)"


def spent(programs: Mapping[str, Process]) -> Mapping[str, float]:
    """Return the CPU time in seconds of each program, including all of its processes."""
    ticks: dict[int, int] = {}
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = place.read_text().rpartition(")")[2].split()
            parents[int(place.parent.name)] = int(fields[1])
            ticks[int(place.parent.name)] = sum(map(int, fields[11:13]))

    def total(root: int) -> int:
        return ticks.get(root, 0) + sum(total(process) for process, parent in parents.items() if parent == root)

    return {name: total(program.popen.pid) / os.sysconf("SC_CLK_TCK") for name, program in programs.items()}


def wrk(url: str, clients: int, programs: Mapping[str, Process], script: Path | None = None) -> Rate:
    """Measure with wrk.

    :raises RuntimeError: a request failed.
    """
    command = ["wrk", "--threads", "1", "--connections", str(clients), "--duration", f"{SECONDS:.0f}s"]
    command += ["--script", str(script)] if script else []
    before = spent(programs)
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    after = spent(programs)
    if "Non-2xx" in output or "Socket errors" in output:
        raise RuntimeError(output)
    requests = int(output.split(" requests in ")[0].split()[-1])
    cost = {name: (after[name] - before[name]) * 1e6 / requests for name in programs}
    return Rate(float(output.split("Requests/sec:")[1].split()[0]), cost)


PUT = """
local number = 0
local rest = string.rep("pixmill ", {size} / 8):sub(33)
request = function()
    number = number + 1
    local unique = string.format("{run}%012d", number)
    return wrk.format("PUT", "{path}" .. unique .. ".bin", nil, unique .. rest)
end
"""


def small_uploads(ours: str, theirs: str, folder: Path, programs: Mapping[str, Process], sizes: Sequence[int]) -> None:
    script = folder / "put.lua"

    def put(url: str, path: str, clients: int, size: int, measured: Mapping[str, Process]) -> Rate:
        script.write_text(PUT.format(size=size, path=path, run=f"{time.time_ns():020}"))
        return wrk(url, clients, measured, script)

    for size in sizes:
        for clients in CLIENTS:
            dav = put(theirs, "/small/", clients, size, {})
            stored = put(ours, f"{FILES}/?name=", clients, size, programs)
            print(
                f"upload of {size // 1024} KiB, {clients} clients: DAV PUT {dav.per_second:.0f}/s, ours {stored}:"
                f" {stored.per_second / dav.per_second:.2f}"
                + (" (wanted 1500/s)" if size == 4096 and clients == CLIENTS[-1] else ""),
                flush=True,
            )


def small_downloads(ours: str, theirs: str, folder: Path, programs: Mapping[str, Process]) -> None:
    content = os.urandom(4096)
    (folder / "peer/small.bin").write_bytes(content)
    with Served(ours) as pixmill:
        file_id = pixmill.files.upload(content, name="small.bin").id
    for clients in CLIENTS:
        static = wrk(f"{theirs}/small.bin", clients, {})
        download = wrk(f"{ours}{FILES}/{file_id}/download", clients, programs)
        print(
            f"download of 4 KiB, {clients} clients: static {static.per_second:.0f}/s, ours {download}:"
            f" {download.per_second / static.per_second:.2f}" + (" (wanted 3000/s)" if clients == CLIENTS[-1] else ""),
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.files", description=__doc__)
    parser.add_argument("--size", type=int, default=GIB, help="bytes of the large file (default: 1 GiB)")
    parser.add_argument("--small", action="store_true", help="only small files")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        folder = Path(data)
        folder.chmod(0o755)
        stack = FullStack(
            folder, {"FILE_STORAGE_LOG__LEVEL": "warning", "FILE_STORAGE_UPLOAD__MAX_BYTES": str(8 * GIB)}
        )
        # wrk has a single address, and sends more requests than an address may.
        port = free_port()
        unlimited = {"NGINX_REQUESTS_PER_SECOND": "100000", "NGINX_REQUESTS_AT_ONCE": "100000"}
        nginx = stack.start_nginx("unlimited", port, free_port(), unlimited)
        nginx.wait_until(accepts(port))
        programs = {"nginx": nginx, "uWSGI": stack.file_storage, "PostgreSQL": stack.postgres}
        ours = f"http://127.0.0.1:{port}"
        try:
            with peer(folder) as theirs:
                if not chosen.small:
                    large_files(stack.url, theirs, folder, chosen.size)
                small_uploads(ours, theirs, folder, programs, [4096] if chosen.small else [4096, 2**20])
                small_downloads(ours, theirs, folder, programs)
        finally:
            nginx.stop()
            stack.stop()


if __name__ == "__main__":
    main()
