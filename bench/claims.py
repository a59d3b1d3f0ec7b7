"""``python -m bench.claims``: the time of a claim in large tables, compared with that in an empty one.

Runs on PostgreSQL, first with a million finished tasks, then while a snapshot is held (as by a running ``pg_dump``) and
200,000 tasks are added and finished: VACUUM cannot remove their dead rows. They have the priority and the owner of the
tasks that are claimed, then a higher priority, then twenty owners.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import psycopg
from image_processor.config import RetrySettings
from image_processor.models import Task
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.outcomes import Ended, Finished, Holder
from service_kit import logs
from service_kit.database import Database
from service_kit.migrations import migrate
from sqlalchemy import insert

from tests.support.environment import ENVIRONMENT
from tests.support.processes import free_port
from tests.support.servers import create_roles, start_postgres

WANTED = 2
"""Maximum p95 of a claim, as a multiple of that in an empty table."""
CLAIMS = 200
TOGETHER = 8
"""Number of tasks per claim."""
HOLDER = Holder("bench", 1)

FINISHED = """
INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                   restarts, attempt, crashes, due_at, created_at, updated_at)
SELECT 'owner-' || n %% %(owners)s, n, 'a', '.jpg', 'finished', 'flip', %(priority)s, true, md5(n::text),
       0, 1, 0, 0, n, n
FROM generate_series(1, %(count)s) n
"""
PENDING = FINISHED.replace("'finished'", "'pending'").replace("0, 1, 0, 0", "0, 0, 0, 0")
"""Adds pending tasks …"""
TAKEN = "UPDATE tasks SET status = 'processing', attempt = attempt + 1 WHERE status = 'pending'"
ENDED = "UPDATE tasks SET status = 'finished' WHERE status = 'processing'"
"""… and finishes them, after they are taken."""


def p95(database: Database, owners: int = 1) -> float:
    """Return the 95th percentile of the milliseconds of sequential claims of tasks of this many owners."""
    claims = ClaimService(database, RetrySettings.model_validate({}), lease_seconds=60, processes=2)
    with database.begin() as connection:
        rows = [{"owner": f"owner-{n % owners}", "source_id": 1, "algorithm": "flip"} for n in range(CLAIMS * TOGETHER)]
        connection.execute(insert(Task), rows)
    samples = []
    for _ in range(CLAIMS):
        began = time.perf_counter()
        claimed = claims.claim(HOLDER, TOGETHER)
        samples.append((time.perf_counter() - began) * 1000)
        claims.end([Ended(claim, Finished(1)) for claim in claimed])
    return statistics.quantiles(samples, n=20)[-1]


def come_and_go(operator: "psycopg.Connection[tuple[object, ...]]", rows: dict[str, int]) -> None:
    """Add and finish tasks, and let VACUUM remove what it can."""
    operator.execute(PENDING, rows)
    operator.execute(TAKEN)
    operator.execute(ENDED)
    operator.execute("VACUUM ANALYZE tasks")


def _rows(count: int, priority: int = 0, owners: int = 1) -> dict[str, int]:
    return {"owners": owners, "priority": priority, "count": count}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.claims", description=__doc__)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--gone", type=int, default=200_000, help="tasks that come and go while a snapshot is held")
    chosen = parser.parse_args()
    logs.configure("warning")
    with tempfile.TemporaryDirectory(prefix="pixmill-bench-") as data:
        folder = Path(data)
        folder.chmod(0o755)
        port = free_port()
        server = start_postgres(folder, port, ENVIRONMENT)
        try:
            url = create_roles(folder, port)["image_processor"]
            migrate(url, "image_processor")
            database = Database(url)
            address = f"postgresql://pixmill@127.0.0.1:{port}/pixmill"
            with psycopg.connect(address, autocommit=True) as operator, psycopg.connect(address) as dump:
                # Events and counters for these tasks would only take time.
                operator.execute("SET session_replication_role = replica")
                empty = p95(database)
                empty_of_owners = p95(database, owners=20)
                print(f"an empty table: p95 {empty:.1f} ms; with 20 owners {empty_of_owners:.1f} ms", flush=True)
                operator.execute(FINISHED, _rows(chosen.finished))
                operator.execute("VACUUM ANALYZE tasks")
                _print(f"{chosen.finished:,} finished tasks", p95(database), empty)
                dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                dump.execute("SELECT count(*) FROM tasks WHERE false")
                gone = f"a snapshot held over {chosen.gone:,} tasks"
                come_and_go(operator, _rows(chosen.gone))
                _print(gone, p95(database), empty)
                come_and_go(operator, _rows(chosen.gone, priority=9))
                _print(f"{gone} of a higher priority", p95(database), empty)
                come_and_go(operator, _rows(chosen.gone, owners=20))
                _print(f"{gone} of 20 owners", p95(database, owners=20), empty_of_owners)
        finally:
            server.stop()


def _print(what: str, milliseconds: float, empty: float) -> None:
    print(f"{what}: p95 {milliseconds:.1f} ms, times empty {milliseconds / empty:.2f} (at most {WANTED})", flush=True)


if __name__ == "__main__":
    main()
