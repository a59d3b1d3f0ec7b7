"""``python -m bench.listing``: the response time of a page from a list of a million files, on PostgreSQL.

The database itself generates the rows; then the service receives each query over HTTP many times.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import sqlalchemy

from tests.support.client import FILES, Served
from tests.support.processes import memory_of, processes_of
from tests.support.stacks import FullStack

WANTED_MS = 50
TIMES = 20

ROWS = """
INSERT INTO files (name, extension, comment, size, sha256, media_type, width, height, search_name, created_at,
    updated_at)
SELECT name, extension, '', size, :sha256, media_type, width, height, lower(name || extension), created_at, created_at
FROM (
    SELECT (ARRAY['IMG_', 'Отчёт ', 'scan-', 'photo of Anna ', '截图'])[1 + n % 5] || n || ' ' || md5(n::text) AS name,
        (ARRAY['.jpg', '.jpg', '.jpg', '.png', '.pdf', '.txt'])[1 + n % 6] AS extension,
        (ARRAY['image/jpeg', 'image/jpeg', 'image/jpeg', 'image/png', 'application/pdf', 'text/plain'])[1 + n % 6]
            AS media_type,
        (n::bigint * 7919) % 50000000 AS size,
        (ARRAY[3, 4, 2, 3, 16, 9, 1, 8])[1 + (hashint4(n) & 7)] * 100 AS width,
        (ARRAY[2, 3, 3, 4, 9, 16, 1, 5])[1 + (hashint4(n) & 7)] * 100 AS height,
        1700000000 + n * 30.0 AS created_at
    FROM generate_series(:first, :last) AS n
) AS made
"""

BLOB = """
INSERT INTO blobs (sha256, size, file_count) VALUES (:sha256, 1, :last)
ON CONFLICT (sha256) DO UPDATE SET file_count = excluded.file_count
"""

QUERIES = {
    "first page": "",
    "deep page": "after=900000",
    "newest": "sort=-created_at",
    "largest": "sort=-size",
    "by name": "sort=name",
    "name, common": "name=photo",
    "name, rare": "name=c81e728d9d4c2f636f067f89cc14862c",
    "name, absent": "name=nothing-like-this",
    "name, Cyrillic, other case": "name=ОТЧЁТ 12345",
    "name, Chinese, two letters": "name=截图",
    "name, two letters, absent": "name=zq",
    "name and order": "name=anna&sort=-size",
    "extension": "extension=pdf",
    "extension, absent": "extension=xyz",
    "media type": "media_type=image/png&sort=-created_at",
    "any image": "media_type=image/*&sort=size",
    "size": "size_min=49999000",
    "size and order": "size_min=25000000&size_max=25001000&sort=name",
    "time": "created_after=2024-08-01T00:00:00Z&created_before=2024-08-01T01:00:00Z",
    "everything": "name=anna&extension=jpg&size_min=1000000&created_after=2024-01-01T00:00:00Z&sort=-size",
}

INDEXED = 100_000
"""Number of files in an index, each of one of eight shapes."""
INDEX_ORDERS = ("id", "-id", "-created_at", "name", "-size")
INDEX_WANTED_MS, INDEX_WANTED_BYTES = 300, 250_000


def fill(url: str, first: int, last: int) -> None:
    """Make files with these numbers and all between them."""
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        values = {"sha256": "0" * 64, "first": first, "last": last}
        connection.execute(sqlalchemy.text(BLOB), values)
        connection.execute(sqlalchemy.text(ROWS), values)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sqlalchemy.text("VACUUM ANALYZE files"))
    engine.dispose()


def milliseconds(pixmill: Served, query: str) -> list[float]:
    samples = []
    for _ in range(TIMES):
        began = time.perf_counter()
        pixmill.http.get(f"{FILES}/?limit=100&{query}").raise_for_status()
        samples.append((time.perf_counter() - began) * 1000)
    return samples


def index_of(pixmill: Served, sort: str) -> str:
    """Request the index of all files many times; return its size and times."""
    samples, size = [], 0
    for _ in range(TIMES):
        began = time.perf_counter()
        url = f"{FILES}/index?sort={sort}"
        with pixmill.http.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as response:
            size = sum(map(len, response.iter_raw()))
        samples.append((time.perf_counter() - began) * 1000)
    return f"{size / 1000:.0f} kB, p50 {statistics.median(samples):.0f} ms, max {max(samples):.0f} ms"


def unlimited(stack: FullStack, pixmill: Served) -> str:
    """Stream the whole list; return its size, its time, and the growth of the service's memory."""
    workers = [number for number, command in processes_of(stack.folder).items() if "file-storage/wsgi" in command]
    before = {number: memory_of(number) for number in workers}
    began, size, peak = time.perf_counter(), 0, 0
    with pixmill.http.stream("GET", f"{FILES}/") as response:
        for number, piece in enumerate(response.iter_raw(2**20)):
            size += len(piece)
            if number % 20 == 0:
                peak = max(peak, *(memory_of(worker) - before[worker] for worker in workers))
    seconds = time.perf_counter() - began
    return f"{size / 1e6:.0f} MB in {seconds:.1f} s, memory grew by at most {peak / 1e6:.1f} MB"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.listing", description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="files in the list (default: a million)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        Path(data).chmod(0o755)
        stack = FullStack(Path(data))
        try:
            url = stack.environment["FILE_STORAGE_DATABASE__URL"]
            with Served(stack.url) as pixmill:
                fill(url, 1, INDEXED)
                wanted = f"wanted {INDEX_WANTED_BYTES / 1000:.0f} kB and {INDEX_WANTED_MS} ms"
                for sort in INDEX_ORDERS:
                    print(f"index of {INDEXED:,} by {sort}: {index_of(pixmill, sort)} ({wanted})", flush=True)
                fill(url, INDEXED + 1, chosen.count)
                for name, query in QUERIES.items():
                    samples = milliseconds(pixmill, query)
                    slow = "" if max(samples[1:]) < WANTED_MS else f"  (wanted {WANTED_MS} ms)"
                    print(
                        f"{name:28} p50 {statistics.median(samples):6.1f} ms  max {max(samples):6.1f} ms{slow}",
                        flush=True,
                    )
                print(f"the whole list: {unlimited(stack, pixmill)}", flush=True)
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
