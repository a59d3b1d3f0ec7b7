"""On a PostgreSQL with many rows per table, no statement scans a whole table or index, or rejects many rows.

PostgreSQL's auto_explain reports the plan of each executed statement, also of those inside triggers and foreign keys.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import islice
from typing import NamedTuple, get_args

import psycopg
import pytest
import svcs
from file_storage.config import Settings as FileSettings
from file_storage.injectors import create_registry
from file_storage.models import FileEvent, Upload
from file_storage.services.blobs import BlobService
from file_storage.services.events import FileChoice
from file_storage.services.expiry import ExpiryService
from file_storage.services.file_rows import SENT_FILE, SENT_OWNED_FILE
from file_storage.services.files import FileService
from file_storage.services.fsck import BlobState, Finding, Fsck
from file_storage.services.idempotency import IdempotencyKeys, KeyUse
from file_storage.services.links import SENT_LINK, LinkService, NewLink
from file_storage.services.links import forget_expired as forget_expired_links
from file_storage.services.listing import FileFilter, Sort
from file_storage.services.names import FileName
from file_storage.services.promises import Promises
from file_storage.services.shared_sets import NewSet, SharedSets
from file_storage.services.stats import FileStats
from file_storage.services.storing import Details, NewCopy, NewFile, StoringService
from file_storage.services.totals import fold
from file_storage.services.trash import TrashService
from file_storage.services.upload_expiry import UploadExpiry
from file_storage.services.uploads import NewUpload, UploadService
from file_storage.storage import BlobStore, Staging
from file_storage.storage.blob_store import blob_path
from file_storage.storage.partial import PartialFiles
from image_processor.config import ApiSettings, RetrySettings
from image_processor.injectors import create_api_registry
from image_processor.models import TaskEvent, TaskStatus
from image_processor.services.files.client import FileStorage
from image_processor.services.jobs.claims import ClaimService
from image_processor.services.jobs.discarded_results import DiscardedResults
from image_processor.services.jobs.leases import LeaseService
from image_processor.services.jobs.outcomes import Crashed, Ended, Failed, Finished, Holder, Outcome, Postponed
from image_processor.services.jobs.result_cache import CacheHit, ResultCache
from image_processor.services.presets.presets import PresetService
from image_processor.services.tasks.batches import BatchService
from image_processor.services.tasks.bulk import BulkService
from image_processor.services.tasks.ended import fold as fold_ended
from image_processor.services.tasks.event_choice import TaskChoice
from image_processor.services.tasks.filters import ENDED, TaskFilter
from image_processor.services.tasks.forgetting import Retention
from image_processor.services.tasks.idempotency import forget_expired
from image_processor.services.tasks.stats import TaskStats
from image_processor.services.tasks.tasks import NewBatch, TaskService
from image_processor.services.tasks.unended import fold as fold_tasks
from image_processor.services.tasks.webhooks import WebhookService
from PIL import ExifTags, Image
from prometheus_client.registry import Collector
from psycopg.errors import Diagnostic
from service_kit.access.audit import AuditFilter, AuditTrail, Change
from service_kit.access.keys import KeyRequest, KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import ALL_SCOPES, LOCAL, WRITER, Limits, Principal
from service_kit.access.wrong_keys import FAILURES_PER_MINUTE, WrongKeys
from service_kit.database import Database
from service_kit.errors import DomainError
from service_kit.events.rows import Events, Position
from service_kit.migrations import migrate
from service_kit.problems import Problem
from service_kit.settings import load
from sqlalchemy import Engine, event, text

from tests.support.databases import libpq_url
from tests.support.environment import INNER_SECRETS, WORKER_SECRET
from tests.support.object_store import ObjectStore
from tests.support.pages_read import PagesRead
from tests.support.servers import started_postgres
from tests.support.statement_sites import Site, executing_lines, sites
from tests.support.stored import stored, unlimited

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(3600)]

LARGE = {"tasks", "task_events", "callbacks", "batches", "batch_keys", "files", "file_events", "blobs", "links"}
LARGE |= {"idempotency_keys", "presets", "uploads", "cached_results", "discarded_results"}
LARGE |= {"stored_objects", "callback_hosts"}
LARGE |= {"access_owners", "access_keys", "access_sessions", "access_audit", "access_wrong_keys"}
# Not large: the counters in storage_totals, owner_totals, file_counts, unended_tasks and ended_tasks. A chore folds the
# rows that triggers add, so their number depends on owners, connections, kinds of files and days, and on the changes
# since the chore last ran, but not on the number of files and tasks.
UNTOUCHED = [700_001, 700_002, 700_003]
"""Files that no test deletes: the tests of the trash delete the oldest."""
HOLDER = Holder("worker", 1)
OWNER = Principal("owner-5", WRITER)
ADMIN = Principal("owner-5", ALL_SCOPES)
"""Sees the files of all owners, as ``LOCAL`` does, which has as many unfinished uploads as it may have."""
LIMITED = replace(OWNER, limits=Limits(bytes=2**60, files=2**60))

# What expires does so long after the tests: how many rows have expired does not depend on how fast they are inserted.
ROWS = [
    "SET session_replication_role = replica",
    """
    INSERT INTO blobs (sha256, size, file_count)
    SELECT encode(sha256(n::text::bytea), 'hex'), n, 1 FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO files (owner, name, extension, search_name, comment, size, sha256, media_type, folder,
                       created_at, updated_at)
    SELECT CASE WHEN n % 3 = 0 THEN 'local' ELSE 'owner-' || n % 100 END,
           'name ' || md5(n::text), '.jpg', 'name ' || md5(n::text) || '.jpg', '', n,
           encode(sha256(n::text::bytea), 'hex'), CASE WHEN n % 100 = 0 THEN 'image/png' ELSE 'image/jpeg' END,
           CASE WHEN n % 2 = 0 THEN 'folder ' || n % 5000 ELSE '' END, n, n
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO stored_objects (name, sha256, state, created_at)
    SELECT 'object-' || n, encode(sha256(n::text::bytea), 'hex'),
           CASE n % 100000 WHEN 1 THEN 'pending' WHEN 2 THEN 'unused' WHEN 3 THEN 'damaged' ELSE 'used' END, n
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO idempotency_keys (owner, key, fingerprint, file_id, created_at)
    SELECT 'local', 'key-' || n, '', n, extract(epoch from now()) - n % 80000 FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO uploads (id, length, metadata_header, name, extension, comment, expires_at, finished)
    SELECT md5(n::text), 1, '', 'a', '', '', extract(epoch from now()) + 86400 + n, n % 100 <> 0
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO links (file_id, owner, created_at, expires_at, note, token_digest)
    SELECT n, 'owner-' || n % 100, n, extract(epoch from now()) + 86400 + n, '', md5(n::text)
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO batches (owner, algorithm, priority, cache, tasks, created_at)
    SELECT CASE WHEN n % 3 = 0 THEN 'local' ELSE 'owner-' || n % 100 END, 'flip', 0, true, 10, n
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO batch_keys (owner, key, fingerprint, batch_id, task_ids, created_at)
    SELECT 'local', 'key-' || n, '', n, '[[1, 2]]', extract(epoch from now()) - n % 80000
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO tasks (batch_id, source_id, source_name, source_extension, status, algorithm, priority, cache,
                       result_key, restarts, attempt, crashes, due_at, lease_until, claimed_by, process, created_at,
                       updated_at)
    SELECT CASE WHEN n > 500000 THEN n / 10 END, n, 'a', '.jpg', status, 'flip', n % 10, true, md5(n::text), 0, 1, 0, 0,
           CASE WHEN status = 'processing' THEN extract(epoch from now()) + 60 END,
           CASE WHEN status = 'processing' THEN 'another' END, CASE WHEN status = 'processing' THEN 7 END, n, n
    FROM (SELECT n, CASE WHEN n % 1000 = 1 THEN 'error' WHEN n % 5000 = 2 THEN 'cancelled'
                         WHEN n % 10000 = 3 THEN 'processing' WHEN n > 999000 THEN 'pending'
                         ELSE 'finished' END AS status
          FROM generate_series(1, 1000000) n) AS made
    """,
    """
    INSERT INTO task_events (transaction_id, task_id, owner, status, created_at)
    SELECT n / 3, n, CASE WHEN n % 3 = 0 THEN 'local' ELSE 'owner-' || n % 100 END, 'finished',
           extract(epoch from now()) - 80000 + n / 20
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO file_events (transaction_id, file_id, owner, change, created_at)
    SELECT n / 3, n, 'owner-' || n % 100, 'created', extract(epoch from now()) - 80000 + n / 20
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO callbacks (task_id, owner, url, status, tries, due_at, created_at)
    SELECT n, 'owner-' || n % 7, 'http://host-' || n % 999 || '.example/', 'finished', 1,
           extract(epoch from now()) + n % 40, extract(epoch from now())
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO callback_hosts (host, failures, due_at, changed_at)
    SELECT 'host-' || n || '.example', 0, 0, extract(epoch from now()) - n % 3000 FROM generate_series(1, 200000) n
    """,
    """
    INSERT INTO cached_results (key, result_id, created_at)
    SELECT encode(sha256(n::text::bytea), 'hex'), n, extract(epoch from now()) FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO discarded_results (key, due_at)
    SELECT 'discarded-' || n, extract(epoch from now()) + 3 FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT 'many', n, 'a', '.jpg', 'finished', 'flip', 0, true, md5(n::text), 0, 1, 0, 0, n, n
    FROM generate_series(1, 100) n
    """,
    """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT CASE WHEN n < 4 THEN 'few' ELSE 'many' END, n, 'a', '.jpg', 'pending', 'flip', 0, true, md5(n::text),
           0, 0, 0, 0, n, n
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO presets (owner, name, params, created_at, updated_at)
    SELECT 'owner-' || n / 100, 'preset-' || n, '{}', n, n FROM generate_series(1, 100000) n
    """,
    """
    INSERT INTO access_owners (name, created_at) SELECT 'owner-' || n, n FROM generate_series(1, 100000) n
    """,
    """
    INSERT INTO access_keys (id, owner, note, sha256, scopes, created_at)
    SELECT lpad(to_hex(n), 12, '0'), 'owner-' || 1 + n % 100000, '', md5(n::text), '["read"]', n
    FROM generate_series(1, 200000) n
    """,
    """
    INSERT INTO access_sessions (sha256, key_id, expires_at)
    SELECT encode(sha256(n::text::bytea), 'hex'), lpad(to_hex(n), 12, '0'), extract(epoch from now()) + 86400 + n
    FROM generate_series(1, 200000) n
    """,
    """
    INSERT INTO access_audit (time, owner, key_id, address, action, object, status, request_id)
    SELECT extract(epoch from now()) - 31536000 - 100000 + n, 'owner-' || n % 1000,
           lpad(to_hex(n % 10000), 12, '0'), '192.0.2.1', 'PUT', '/', 200, md5(n::text)
    FROM generate_series(1, 1000000) n
    """,
    """
    INSERT INTO access_wrong_keys (address, failures, until)
    SELECT 'address-' || n, 1, extract(epoch from now()) + 86400 + n FROM generate_series(1, 200000) n
    """,
    "SET session_replication_role = DEFAULT",
]


COME_AND_GONE = [
    "SET session_replication_role = replica",
    """
    INSERT INTO tasks (owner, source_id, source_name, source_extension, status, algorithm, priority, cache, result_key,
                       restarts, attempt, crashes, due_at, created_at, updated_at)
    SELECT 'local', n, 'a', '.jpg', 'pending', 'flip', 10, true, md5(n::text), 0, 0, 0, 0, n, n
    FROM generate_series(1, 20100) n
    """,
    """
    UPDATE tasks SET status = 'processing', lease_until = 1
    WHERE priority = 10 AND id IN (SELECT id FROM tasks WHERE priority = 10 ORDER BY id LIMIT 20000)
    """,
    "UPDATE tasks SET status = 'finished', lease_until = NULL WHERE priority = 10 AND status = 'processing'",
    "VACUUM ANALYZE tasks",
]


PARTS = [
    "INSERT INTO unended_tasks (owner, part, tasks) SELECT 'folded', -n, 1 FROM generate_series(1, 300) n",
    """
    INSERT INTO ended_tasks (owner, status, day, part, tasks)
    SELECT 'folded', 'finished', '2026-01-01', -n, 1 FROM generate_series(1, 300) n
    """,
]


READS_ALL_FIRST = {"Sort", "Aggregate", "Hash", "WindowAgg", "Bitmap Heap Scan"}
"""Nodes that read their whole input before they return a row: a limit above them does not stop the scan below."""
MAX_REJECTED, MAX_REJECTED_PER_ROW = 1000, 20
"""A part of a plan may reject as many rows, or as many times the rows that it returns, whichever is more."""
AUTO_EXPLAIN = b"""
    LOAD 'auto_explain';
    SET auto_explain.log_min_duration = 0;
    SET auto_explain.log_nested_statements = on;
    SET auto_explain.log_analyze = on;
    SET auto_explain.log_timing = off;
    SET auto_explain.log_format = json;
    SET auto_explain.log_level = notice;
    SET client_min_messages = notice;
    SET plan_cache_mode = force_custom_plan
"""
"""The last setting is that of the services' roles."""
INDEX_SCANS = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}


class Scan(NamedTuple):
    """A statement that reads a whole table or all entries of an index, or rejects many of the rows that it reads.

    :ivar index_name: ``None`` if it reads the table.
    :ivar rejected: the number of rejected rows; 0 if the plan reads everything.
    """

    table: str
    index_name: str | None
    rejected: int
    statement: str


class WithoutPlan(NamedTuple):
    """Calls whose statements need no plan, with the reason.

    :param function: as in :class:`Site`; empty for the whole file.
    :param words: a part of the call's source; empty for all calls of the function.
    """

    module: str
    function: str
    words: str
    reason: str

    def includes(self, site: Site) -> bool:
        return self.module == site.module and self.function in ("", site.function) and self.words in site.source


class Exempt(NamedTuple):
    """A statement that may read a whole table or all entries of an index, or reject many rows, with the reason.

    :param index_name: ``None`` if it reads the table.
    :param words: a part of the statement as PostgreSQL gets it, with single spaces.
    """

    index_name: str | None
    words: str
    reason: str


EXEMPT: Sequence[Exempt] = (
    Exempt(
        "ix_files_folders",
        "GROUP BY files.folder ORDER BY files.folder LIMIT",
        "the list of folders counts the files of each, by the index alone",
    ),
    Exempt("tasks_leased", "ORDER BY tasks.id + 0 ", "the workers hold a limited number of tasks"),
    Exempt("tasks_leased", "ORDER BY tasks.lease_until LIMIT", "the workers hold a limited number of tasks"),
    Exempt(
        "tasks_leased",
        "SELECT tasks.process FROM tasks WHERE tasks.claimed_by =",
        "a worker's processes hold some of that limited number",
    ),
    Exempt(
        "tasks_leased",
        "SELECT anon_1.claimed_by, count(DISTINCT anon_1.process) AS count_1, count(*) AS count_2",
        "the list of workers counts the tasks that each holds, which are a limited number",
    ),
    Exempt(
        "tasks_leased",
        "UPDATE tasks SET lease_until=",
        "all leases are renewed after the database's clock was set",
    ),
    Exempt(
        None,
        "SELECT blobs.sha256 FROM blobs WHERE blobs.file_count = ",
        "gc looks for blobs without files; an index of these would change with every count of files",
    ),
    Exempt(
        None,
        "WHERE stored_objects.state = 'used' AND NOT (EXISTS (SELECT * FROM blobs",
        "gc compares all objects with all blobs, because an earlier build removes a blob without its object's row",
    ),
    Exempt(
        "ix_stored_objects_loose",
        "SELECT stored_objects.name FROM stored_objects WHERE stored_objects.state != 'used' AND",
        "gc reads all loose objects, each of which an interrupted request has left",
    ),
)

CHORES = "its table has a row for each chore"
SQLITE = "PostgreSQL never gets it"

WITHOUT_PLAN: Sequence[WithoutPlan] = (
    WithoutPlan("image_processor/background/clock_watch.py", "ClockWatch.check", "", "it reads the clock and no table"),
    WithoutPlan("image_processor/handler/confinement.py", "_keep_write_ahead_log", "", SQLITE),
    WithoutPlan(
        "image_processor/render/cache.py", "", "", "the index of the render cache is an SQLite file of its own"
    ),
    WithoutPlan("image_processor/services/tasks/ended.py", "_fold", "'part': 0", SQLITE),
    WithoutPlan("service_kit/access/retention.py", "keep_entries", "TRIGGER", SQLITE),
    WithoutPlan("service_kit/database.py", "Database.ping", "SELECT 1", "it reads no table"),
    WithoutPlan(
        "service_kit/database.py", "_first_row", "", "test_usual_downloads_scan_no_table explains its statements"
    ),
    WithoutPlan("service_kit/database.py", "_prepare_sqlite", "PRAGMA", SQLITE),
    WithoutPlan("service_kit/database.py", "_begin_sqlite", "BEGIN", SQLITE),
    WithoutPlan("service_kit/grants.py", "grant", "", "it reads the catalog of PostgreSQL"),
    WithoutPlan("service_kit/housekeeping.py", "Housekeeping._read", "", CHORES),
    WithoutPlan("service_kit/housekeeping.py", "Housekeeping._set_due", "", CHORES),
    WithoutPlan("service_kit/migrations.py", "migrate", "pg_advisory_xact_lock", "it reads no table"),
)


EXPLAINED: set[tuple[str, int]] = set()
"""The files and lines of the sources whose statements these tests have explained."""


class Scanned(NamedTuple):
    """A part of a plan that :class:`Scan` describes."""

    table: str
    index_name: str | None
    rejected: int


class Explained:
    """Examines the plan of every statement that an engine executes, and of those in triggers and foreign keys.

    :ivar statements: the number of statements of the engine.
    :ivar indexes: the names of the indexes that their plans use.
    """

    def __init__(self, engine: Engine) -> None:
        self.statements = 0
        self.scans: list[Scan] = []
        self.indexes: set[str] = set()
        self._engine = engine
        self._connections: list[psycopg.Connection[object]] = []
        self._plans = 0
        self._errors: list[Exception] = []
        event.listen(engine, "checkout", self._watch)
        event.listen(engine, "before_cursor_execute", self._count)

    def _watch(self, connection: "psycopg.Connection[object]", _entry: object, _proxy: object) -> None:
        if connection in self._connections:
            return
        connection.autocommit = True
        connection.execute(AUTO_EXPLAIN)
        connection.autocommit = False
        connection.add_notice_handler(self._examine)
        self._connections.append(connection)

    def _count(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        EXPLAINED.update(executing_lines())
        self.statements += statement.lstrip().upper().startswith(("SELECT", "INSERT", "UPDATE", "DELETE", "WITH"))

    def _examine(self, notice: Diagnostic) -> None:
        _, found, explanation = (notice.message_primary or "").partition("plan:\n")
        if not found:
            return
        self._plans += 1
        try:
            self._examine_plan(explanation)
        except Exception as error:  # noqa: BLE001 (psycopg would only log it; :meth:`close` raises it)
            self._errors.append(error)

    def _examine_plan(self, explanation: str) -> None:
        explained = json.loads(explanation)
        plan, statement = explained["Plan"], explained["Query Text"]
        self.indexes |= {str(node["Index Name"]) for node in nodes(plan) if "Index Name" in node}
        self.scans += [
            Scan(table, index, rejected, statement)
            for table, index, rejected in (*scanned(plan), *rejecting(plan))
            if table in LARGE and not is_exempt(index, statement)
        ]

    def close(self) -> None:
        event.remove(self._engine, "checkout", self._watch)
        event.remove(self._engine, "before_cursor_execute", self._count)
        for connection in self._connections:
            connection.remove_notice_handler(self._examine)
        if self._errors:
            raise self._errors[0]
        assert self._plans >= self.statements, "each statement has a plan"


def is_exempt(index_name: str | None, statement: str) -> bool:
    """Return whether a statement may read all entries of the index, or the whole table."""
    words = " ".join(statement.split())
    return any(index_name == exempt.index_name and exempt.words in words for exempt in EXEMPT)


def scanned(node: dict[str, object], table: object = None, *, limited: bool = False) -> Iterator[Scanned]:
    """Yield what a plan reads from the first to the last row or entry.

    :param table: the table of the bitmap scan that the node belongs to.
    :param limited: whether a limit above the node stops it early.
    """
    kind, table = node["Node Type"], node.get("Relation Name", table)
    if kind == "Seq Scan":
        yield Scanned(str(table), None, 0)
    if kind in INDEX_SCANS and "Index Cond" not in node and not limited:
        yield Scanned(str(table), str(node["Index Name"]), 0)
    limited = kind == "Limit" or (limited and kind not in READS_ALL_FIRST)
    for child in children(node):
        yield from scanned(child, table, limited=limited)


def rejecting(plan: dict[str, object]) -> Iterator[Scanned]:
    """Yield what an executed plan reads if it rejects many more rows than it returns."""
    for node in nodes(plan):
        times = _number(node, "Actual Loops")
        rejected = times * (_number(node, "Rows Removed by Filter") + _number(node, "Rows Removed by Index Recheck"))
        if rejected > max(MAX_REJECTED, MAX_REJECTED_PER_ROW * times * _number(node, "Actual Rows")):
            index = node.get("Index Name")
            yield Scanned(str(node.get("Relation Name")), None if index is None else str(index), rejected)


def _number(node: dict[str, object], name: str) -> int:
    number = node.get(name, 0)
    return round(number) if isinstance(number, int | float) else 0


def nodes(node: dict[str, object]) -> Iterator[dict[str, object]]:
    """Yield a node of a plan and all its descendants."""
    yield node
    for child in children(node):
        yield from nodes(child)


def children(node: dict[str, object]) -> Sequence[dict[str, object]]:
    """Return the nodes of a plan whose rows this node reads."""
    below = node.get("Plans", [])
    return below if isinstance(below, list) else []


@pytest.fixture(scope="module")
def large() -> Iterator[str]:
    """Return the URL of a database with up to a million rows per table."""
    with started_postgres("plans") as url:
        migrate(url, "service_kit.access")
        migrate(url, "file_storage")
        migrate(url, "image_processor")
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            # Building the indexes last takes a fraction of the time.
            found = connection.execute(
                "SELECT indexname, indexdef FROM pg_indexes WHERE indexdef LIKE 'CREATE INDEX %public.%'"
            )
            indexes: dict[str, str] = dict(found.fetchall())
            before = [f"DROP INDEX {name}" for name in indexes]
            # Only a vacuumed table can be read by its indexes alone, as the list of folders does.
            for statement in [*before, *ROWS, *indexes.values(), "VACUUM files", "ANALYZE"]:
                connection.execute(statement.encode())
        yield url


@pytest.fixture(scope="module", autouse=True)
def _every_statement_is_explained(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check, when all tests of this file have run, that they have explained each statement of the sources."""
    yield
    run = {item.originalname for item in request.session.items if isinstance(item, pytest.Function)}
    if any(name.startswith("test_") and name not in run for name in globals()):
        return
    unexplained = [
        site
        for site in sites()
        if all((site.module, line) not in EXPLAINED for line in range(site.first_line, site.last_line + 1))
    ]
    missing = [site for site in unexplained if not any(without.includes(site) for without in WITHOUT_PLAN)]
    needless = [without for without in WITHOUT_PLAN if not any(without.includes(site) for site in unexplained)]
    assert not missing, "\n".join(f"{site.module}:{site.first_line} {site.function}" for site in missing)
    assert not needless, f"these calls are explained, or do not exist: {needless}"


@pytest.fixture
def environment(large: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("PIXMILL_LINK_SECRET", "test-secret of 32 bytes and more.")
    for name, secret in INNER_SECRETS.items():
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("PIXMILL_CALLBACK_SECRET", "a-secret-of-webhooks-in-these-tests-only")
    monkeypatch.setenv("ACCESS_DATABASE__URL", large)
    monkeypatch.setenv("FILE_STORAGE_DATABASE__URL", large)
    monkeypatch.setenv("FILE_STORAGE_STORAGE__FOLDER", str(tmp_path_factory.mktemp("files")))
    monkeypatch.setenv("FILE_STORAGE_STORAGE__RESERVE_BYTES", "0")
    monkeypatch.setenv("FILE_STORAGE_STORAGE__QUOTA_BYTES", str(2**60))
    monkeypatch.setenv("FILE_STORAGE_UPLOAD__BODY_FOLDER", "")
    monkeypatch.setenv("IMAGE_PROCESSOR_DATABASE__URL", large)
    monkeypatch.setenv("IMAGE_PROCESSOR_BROKER__URL", "memory://")
    monkeypatch.setenv("IMAGE_PROCESSOR_FILE_STORAGE__URL", "wsgi://file_storage.app/api/file-server")


@pytest.fixture
def files(environment: None) -> svcs.Container:
    return svcs.Container(create_registry(load(FileSettings)))


@pytest.fixture
def jobs(environment: None) -> svcs.Container:
    return svcs.Container(create_api_registry(load(ApiSettings)))


def dated_photo() -> bytes:
    exif, content = Image.Exif(), BytesIO()
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:07:01 12:03:06"
    Image.new("RGB", (3, 2)).save(content, "JPEG", exif=exif)
    return content.getvalue()


def assert_no_scan(explained: Explained, at_least: int) -> None:
    explained.close()
    assert explained.scans == []
    assert explained.statements >= at_least


@pytest.mark.parametrize(
    ("statement", "indexes"),
    [
        ("SELECT id FROM files ORDER BY id", ["files_pkey"]),
        ("SELECT id FROM files ORDER BY id LIMIT 5", []),
        ("SELECT id FROM files WHERE id < 5 ORDER BY id", []),
        ("SELECT count(*) FROM (SELECT id FROM files ORDER BY id OFFSET 0) AS found LIMIT 1", ["files_pkey"]),
        ("SELECT max(comment) FROM files", [None]),
        ("SELECT count(*) FROM tasks WHERE status = 'processing'", ["tasks_leased"]),
        ("SELECT id FROM tasks WHERE id < 900000 AND attempt = 0 ORDER BY id LIMIT 5", ["tasks_pkey"]),
        ("SELECT id FROM tasks WHERE id < 900000 AND attempt = 1 ORDER BY id LIMIT 5", []),
        ("DO $$ BEGIN PERFORM max(comment) FROM files; END $$", [None]),
    ],
)
def test_a_statement_that_reads_much_is_found(large: str, statement: str, indexes: list[str | None]) -> None:
    database = Database(large)
    explained = Explained(database.engine)

    with database.connect() as connection:
        connection.execute(text(statement))

    explained.close()
    assert [scan.index_name for scan in explained.scans] == indexes


def test_each_foreign_key_has_an_index_by_which_a_deletion_finds_its_rows(large: str) -> None:
    with psycopg.connect(libpq_url(large)) as connection:
        keys = connection.execute("""
            SELECT conrelid::regclass::text, EXISTS (
                SELECT FROM pg_index WHERE indrelid = conrelid AND indpred IS NULL AND indkey[0] = conkey[1]
            )
            FROM pg_constraint WHERE contype = 'f' AND cardinality(conkey) = 1
        """).fetchall()

    assert {table for table, _ in keys} >= {"files", "idempotency_keys", "uploads", "links", "access_keys"}
    assert [table for table, has_index in keys if not has_index] == []


def test_finding_files_scans_no_table(files: svcs.Container) -> None:
    explained, service = Explained(files.get(Database).engine), files.get(FileService)
    filters = [
        {"name": "abcdef"},
        {"name": "zq"},
        {"q": "abcdef"},
        {"q": "zq"},
        {"extension": ["png"]},
        {"extension": ["png", "gif"]},
        {"media_type": ["image/png"]},
        {"media_type": ["video/*", "text/plain"]},
        {"origin": ["result"]},
        {"source_id": 7},
        {"task_id": [7]},
        {"folder": "holiday/2026"},
        {"taken_after": 999_990.0},
        {"taken_before": 10.0},
        {"created_after": 999_990.0},
        {"created_before": 10.0},
        {"size_min": 999_990},
        {"size_max": 10},
    ]

    files.get(IdempotencyKeys).file(LOCAL, "key-7")
    for principal in (LOCAL, OWNER):
        service.get(principal, 700_105)
        service.existing(principal, [1, 2, 3])
        service.with_digests(principal, ["0" * 64, "1" * 64])
        service.folders(principal, "", 100)
        service.folders(principal, "holiday", 100)
        for wanted in filters:
            service.page(principal, FileFilter(**wanted), "", 100)  # type: ignore[arg-type]  # each has its own type
        for sort in get_args(Sort):
            found = service.page(principal, FileFilter(sort=sort), "", 100)
            service.page(principal, FileFilter(sort=sort), FileFilter(sort=sort).cursor(found[-1]), 100)
        assert list(islice(service.index(principal, FileFilter(sort="-taken_at")), 2))

    assert_no_scan(explained, 60)


@pytest.mark.parametrize("sort", get_args(Sort))
def test_a_page_of_an_owner_reads_no_file_of_another(files: svcs.Container, sort: Sort) -> None:
    service, wanted = files.get(FileService), FileFilter(sort=sort)
    cursor = wanted.cursor(service.page(OWNER, wanted, "", 100)[-1])
    explained = Explained(files.get(Database).engine)

    page = service.page(OWNER, wanted, cursor, 100)

    explained.close()
    assert {file.owner for file in page} == {OWNER.owner}
    [index] = explained.indexes
    assert index.startswith("ix_files_owner_")


def test_links_scan_no_table(files: svcs.Container) -> None:
    explained, service = Explained(files.get(Database).engine), files.get(LinkService)
    file = files.get(FileService).get(OWNER, 700_105)

    link, token = service.create(OWNER, file, NewLink(60))
    service.file(token)
    for principal in (LOCAL, OWNER):
        service.page(principal, 0, 100)
    service.revoke(OWNER, str(link.id))
    forget_expired_links(files.get(Database))

    assert_no_scan(explained, 8)


def test_usual_downloads_scan_no_table(files: svcs.Container) -> None:
    database = files.get(Database)
    explained = Explained(database.engine)

    # Executed by SQLAlchemy, because nobody sees what the driver alone executes.
    with database.connect() as connection:
        for query in (SENT_FILE, SENT_OWNED_FILE, SENT_LINK):
            connection.execute(query.statement, {"id": 700_105, "owner": OWNER.owner, "link_id": 1})

    assert_no_scan(explained, 3)


def test_links_for_sets_scan_no_table(files: svcs.Container) -> None:
    explained, sets, links = Explained(files.get(Database).engine), *files.get(SharedSets, LinkService)

    token = ""
    for principal in (LOCAL, OWNER):
        link, token = sets.create(principal, NewSet([700_105, 700_205], 60, password="right"))
        found = sets.find(token)
        sets.files(found)
        sets.file(found, 700_105)
        sets.is_opened_by("wrong", found)
        sets.is_opened_by("right", found)
        links.change(principal, str(link.id), "a note", 120)
    links.revoke(OWNER, token)

    assert_no_scan(explained, 22)


def test_changing_files_scans_no_table(files: svcs.Container) -> None:
    explained = Explained(files.get(Database).engine)
    service, storing, uploads = files.get(FileService, StoringService, UploadService)

    new = stored(files, b"content", "a key")
    storing.copy(LOCAL, NewCopy(new, FileName("copy", ".bin"), KeyUse("another key", "a fingerprint")))
    service.change(LOCAL, new.id, "renamed", "a comment", "holiday")
    service.revoke(LOCAL, "another key")
    service.revoke(LOCAL, "an unused key")
    storing.copy_all(LOCAL, [NewCopy(new, FileName(f"copy {number}", ".bin"), None) for number in range(3)])
    service.delete(LOCAL, new.id)
    begun = uploads.create(LIMITED, NewUpload(3, FileName("a", ".bin"), "", "", partial=False)).upload
    uploads.get(LIMITED, begun.id)
    uploads.terminate(LIMITED, begun.id)
    files.get(UploadExpiry).expire(unlimited)
    stored(files, b"fills most of its owner's room", principal=replace(OWNER, owner="near", limits=Limits(bytes=40)))
    stored(files, b"expires", details=Details(expires_in=1))
    files.get(ExpiryService).expire()

    assert_no_scan(explained, 20)


def test_objects_in_s3_scan_no_table(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    s3 = ObjectStore()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    files = svcs.Container(create_registry(load(FileSettings)))
    explained, service = Explained(files.get(Database).engine), files.get(FileService)

    file = stored(files, b"content in S3")
    assert service.open(file).read() == b"content in S3"
    copy = stored(files, b"content in S3")
    service.delete(LOCAL, file.id)
    service.delete(LOCAL, copy.id)
    files.get(TrashService).empty(LOCAL, [file.id, copy.id])
    s3.close()

    assert s3.objects == {}
    assert_no_scan(explained, 15)


def test_objects_of_interrupted_uploads_scan_no_table(
    environment: None, large: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = ObjectStore()
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    files = svcs.Container(create_registry(load(FileSettings)))
    database, store = files.get(Database), files.get(BlobStore)
    explained, service = Explained(database.engine), files.get(FileService)

    with files.get(Staging).stage() as staged:
        staged.write(b"stored twice at once")
        staged.seal()
        second = store.prepare(staged)
        file = stored(files, b"stored twice at once")
        with database.begin() as connection:
            assert len(store.publish(connection, [second])) == 1, "the object of the first is used"
    s3.objects.clear()
    assert stored(files, b"stored twice at once").sha256 == file.sha256, "its object is written again"
    assert service.open(file).read() == b"stored twice at once"
    s3.objects[blob_path("7" * 64)] = b"without a blob"
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        operator.execute("INSERT INTO blobs (sha256, size, file_count) VALUES (%s, 7, 0)", ["8" * 64])
    assert files.get(BlobService).collect_garbage(0) > 0
    s3.close()

    assert len(s3.objects) == 1
    assert_no_scan(explained, 30)


def test_a_new_upload_counts_only_the_unfinished_ones_of_its_owner(files: svcs.Container, large: str) -> None:
    engine, uploads = files.get(Database).engine, files.get(UploadService)
    explained, pages = Explained(engine), PagesRead(engine, large)

    uploads.create(OWNER, NewUpload(None, FileName("a", ".bin"), "", "", partial=False))
    pages.close()

    assert "ix_uploads_unfinished_owner" in explained.indexes
    assert 0 < pages.most < 30, "the unfinished ones of another owner have hundreds of pages"
    assert_no_scan(explained, 2)


@pytest.mark.parametrize("principal", [ADMIN, LIMITED], ids=["an admin", "an owner"])
def test_resumable_uploads_scan_no_table(files: svcs.Container, principal: Principal) -> None:
    explained, uploads = Explained(files.get(Database).engine), files.get(UploadService)

    def sent(length: int | None, *, partial: bool) -> Upload:
        new = NewUpload(length, FileName("a", ".bin"), "", "", partial=partial)
        begun = uploads.create(principal, new).upload
        uploads.append(principal, begun.id, 0, None, BytesIO(b"so"), None)
        return uploads.append(principal, begun.id, 2, 4, BytesIO(b"me"), None).upload

    # The client of the second one sends the length only with the last bytes.
    for length in (4, None):
        assert sent(length, partial=False).finished
    parts = [sent(4, partial=True).id for _ in range(2)]
    whole = NewUpload(None, FileName("a", ".bin"), "", "", partial=False)
    joined = uploads.concatenate(principal, parts, whole, "final;parts")

    assert joined.length == 8
    assert_no_scan(explained, 80)


def test_an_expired_upload_scans_no_table_although_its_owner_has_no_room(files: svcs.Container, large: str) -> None:
    explained, uploads = Explained(files.get(Database).engine), files.get(UploadService)
    stored(files, b"the only file", principal=OWNER)
    begun = uploads.create(OWNER, NewUpload(4, FileName("a", ".bin"), "", "", partial=False)).upload
    with files.get(PartialFiles).hold(begun.id) as partial:
        partial.append(b"some")
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        operator.execute("UPDATE uploads SET expires_at = 1 WHERE id = %s", [begun.id])

    files.get(UploadExpiry).expire(lambda _owner: Limits(files=1))

    assert uploads.get(OWNER, begun.id).offset == 4, "it expires again later"
    assert_no_scan(explained, 20)


@pytest.mark.parametrize(("size", "statements"), [(2**20, 8), (2**24, 11)], ids=["small", "large"])
def test_promises_of_room_scan_no_table(files: svcs.Container, large: str, size: int, statements: int) -> None:
    explained, promises = Explained(files.get(Database).engine), files.get(Promises)

    with promises.promised(LIMITED, size) as promise:
        promises.holds(promise)
    promises.make(LIMITED, "7" * 32, size)
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        operator.execute("UPDATE uploads SET expires_at = expires_at - 100 WHERE id = %s", ["7" * 32])
    assert promises.expire() == 1, "its body has not begun in time"

    # Only a large body takes the lock of the free space and adds up what others were promised.
    assert_no_scan(explained, statements)


@pytest.mark.parametrize("principal", [LOCAL, OWNER])
def test_the_trash_scans_no_table(files: svcs.Container, principal: Principal) -> None:
    service, trash = files.get(FileService), files.get(TrashService)
    ids = [file.id for file in service.page(principal, FileFilter(), "", 5)]
    explained = Explained(files.get(Database).engine)

    trash.delete(principal, ids[0])
    trash.delete_all(principal, ids[1:3])
    trash.delete_matching(principal, FileFilter(size_min=999_990))
    page = trash.page(principal, "", 2)
    trash.page(principal, trash.cursor(page[-1]), 2)
    trash.restore(principal, ids)
    trash.delete_all(principal, ids)
    trash.empty(principal, ids[:1])
    trash.empty(principal, None)
    trash.collect_garbage()

    assert_no_scan(explained, 30)


def test_maintaining_files_scans_no_table(files: svcs.Container, large: str) -> None:
    with files.get(Staging).stage() as staged:
        staged.write(b"kept")
        files.get(StoringService).store(LIMITED, NewFile(staged, FileName("a", ".bin"), "", None))
    files.get(PartialFiles).create("7" * 32)
    photo = stored(files, dated_photo())
    store = files.get(BlobStore)
    with files.get(Staging).stage() as left, files.get(Database).begin() as connection:
        left.write(b"left without a file")
        left.seal()
        store.publish(connection, [store.prepare(left)])
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        operator.execute("UPDATE files SET taken_at = NULL WHERE id = %s", [photo.id])
        operator.execute("UPDATE blobs SET file_count = 7 WHERE sha256 = %s", [photo.sha256])
    explained = Explained(files.get(Database).engine)

    assert files.get(BlobService).collect_garbage(0) == 1
    files.get(UploadExpiry).collect_garbage(0, unlimited)
    list(files.get(Collector).collect())
    for principal in (LOCAL, LIMITED):
        files.get(FileStats).of(principal)
    fold(files.get(Database))
    fsck, sha256 = files.get(Fsck), hashlib.sha256(b"kept").hexdigest()
    fsck._page("")
    assert fsck._recount(photo.sha256)
    assert fsck._date(photo.sha256) == 1
    with files.get(Database).connect() as connection:
        version = store.version(connection, sha256)
    fsck._confirm(sha256, version, Finding(BlobState.UNREADABLE, "a test"))
    with files.get(Database).begin() as connection:
        files.get(IdempotencyKeys).made_earlier(connection, "local", [KeyUse("key-7", "")])
    files.get(IdempotencyKeys).forget_expired()

    assert_no_scan(explained, 8)


def test_requests_for_tasks_scan_no_table(jobs: svcs.Container) -> None:
    explained, service = Explained(jobs.get(Database).engine), jobs.get(TaskService)

    created = service.create(LOCAL, NewBatch(file_ids=UNTOUCHED, algorithm="flip", params={}), "a key").task_ids
    service.get(LOCAL, created[0])
    service.page(LOCAL, 0, 100, TaskFilter())
    service.page(LOCAL, 0, 100, TaskFilter(ids=created))
    service.page(LOCAL, 0, 100, TaskFilter(source_ids=[3, 4]))
    for algorithms in (["sepia"], ["sepia", "crop"]):
        service.page(LOCAL, 0, 100, TaskFilter(algorithms=algorithms))
        service.page(OWNER, 0, 100, TaskFilter(algorithms=algorithms), newest_first=True)
        jobs.get(BulkService).forget(LOCAL, TaskFilter(algorithms=algorithms))
    service.page(LOCAL, 0, 100, TaskFilter(statuses=[TaskStatus.PENDING, TaskStatus.ERROR]))
    service.page(LOCAL, 0, 100, TaskFilter(), newest_first=True)
    for status in TaskStatus:
        service.page(LOCAL, 0, 100, TaskFilter(statuses=[status]))
    service.cancel(LOCAL, created[0])
    service.restart(LOCAL, created[0])
    service.cancel(LOCAL, created[0])
    service.delete(LOCAL, created[0])
    list(jobs.get(Collector).collect())
    jobs.get(TaskStats).of(LOCAL)

    assert_no_scan(explained, 27)


@pytest.fixture(params=["fresh", "none", "reversed"])
def statistics(request: pytest.FixtureRequest, large: str) -> Iterator[None]:
    """Let PostgreSQL know nothing about the values of tasks, or take the rarest for the most frequent."""
    reversed_numbers = "SELECT array_agg(number ORDER BY place DESC) FROM unnest(stanumbers1) WITH ORDINALITY AS each"
    statements = {
        "fresh": "SELECT",
        "none": "DELETE FROM pg_statistic WHERE starelid = 'tasks'::regclass",
        "reversed": f"UPDATE pg_statistic SET stanumbers1 = ({reversed_numbers} (number, place))"
        " WHERE starelid IN ('tasks'::regclass, 'files'::regclass) AND stakind1 = 1",
    }
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        operator.execute(statements[request.param].encode())
        yield
        operator.execute("ANALYZE tasks, files")


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("principal", [LOCAL, Principal("few", WRITER), Principal("many", WRITER)])
def test_a_page_of_tasks_rejects_few_rows(
    jobs: svcs.Container, statistics: None, principal: Principal, *, newest_first: bool
) -> None:
    explained, service = Explained(jobs.get(Database).engine), jobs.get(TaskService)

    for statuses in ([], *([status] for status in TaskStatus), [TaskStatus.PENDING, TaskStatus.ERROR]):
        wanted = TaskFilter(statuses=statuses)
        page = service.page(principal, 0, 100, wanted, newest_first=newest_first)
        if page:
            service.page(principal, page[-1].id, 100, wanted, newest_first=newest_first)
    for status in ENDED:
        next(jobs.get(BulkService)._found(principal, TaskFilter(), [status], None), None)

    assert_no_scan(explained, 10)


@pytest.mark.parametrize("sort", ["id", "-id"])
@pytest.mark.parametrize("principal", [ADMIN, OWNER, Principal("local", WRITER)])
def test_a_page_of_files_rejects_few_rows(
    files: svcs.Container, statistics: None, principal: Principal, sort: Sort
) -> None:
    explained, service = Explained(files.get(Database).engine), files.get(FileService)

    for after, before in ((None, None), (999_990.0, None), (900_000.0, None), (None, 10_000.0), (5e5, 501_000.0)):
        wanted = FileFilter(created_after=after, created_before=before, sort=sort)
        page = service.page(principal, wanted, "", 100)
        if page:
            service.page(principal, wanted, wanted.cursor(page[-1]), 100)

    assert_no_scan(explained, 9)


def test_the_age_of_the_oldest_pending_task_is_found_without_the_ended_tasks(jobs: svcs.Container, large: str) -> None:
    pages = PagesRead(jobs.get(Database).engine, large)

    list(jobs.get(Collector).collect())
    pages.close()

    assert pages.statements >= 4
    assert pages.most < 5000, "the ended tasks have tens of thousands of pages"


def test_presets_scan_no_table(jobs: svcs.Container) -> None:
    explained, service = Explained(jobs.get(Database).engine), jobs.get(PresetService)
    params = {"steps": [{"algorithm": "flip"}]}

    service.put(OWNER, "mine", params)
    service.put(OWNER, "mine", params)
    service.all(OWNER)
    service.get(OWNER, "mine")
    service.delete(OWNER, "mine")
    with pytest.raises(DomainError, match="mine"):
        service.get(OWNER, "mine")

    assert_no_scan(explained, 8)


def test_batches_scan_no_table(jobs: svcs.Container) -> None:
    explained, service = Explained(jobs.get(Database).engine), jobs.get(TaskService)
    batches, bulk = jobs.get(BatchService, BulkService)
    ids = service.create(LOCAL, NewBatch(file_ids=UNTOUCHED, algorithm="flip")).task_ids

    batches.page(LOCAL, 0, 20, newest_first=True)
    batches.page(LOCAL, 500, 20, newest_first=False)
    batches.get(LOCAL, 50)
    [cause, *_] = batches.get(LOCAL, 61_000).causes
    service.page(LOCAL, 0, 100, TaskFilter(batch_id=50))
    service.page(LOCAL, 0, 100, TaskFilter(batch_id=50, statuses=[TaskStatus.ERROR]), newest_first=True)
    assert service.page(LOCAL, 0, 100, TaskFilter(cause=cause.key_in(61_000)))
    bulk.cancel(LOCAL, TaskFilter(ids=ids))
    bulk.restart(LOCAL, TaskFilter(ids=ids))
    bulk.cancel(LOCAL, TaskFilter(batch_id=50))
    bulk.restart(LOCAL, TaskFilter(batch_id=50, statuses=[TaskStatus.ERROR]))
    bulk.cancel(LOCAL, TaskFilter(batch_id=50, statuses=[TaskStatus.PENDING]))
    bulk.forget(LOCAL, TaskFilter(batch_id=51))
    assert bulk.forget_batch(LOCAL, 60_000).forgotten
    bulk.forget_batch(OWNER, 60_005)
    forget_expired(jobs.get(Database))
    # Of the oldest tasks, which ended in the first second of 1970, only one step's worth is examined.
    Retention(jobs.get(Database), 3600)._step()

    assert_no_scan(explained, 50)


def test_working_on_tasks_scans_no_table(environment: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGE_PROCESSOR_FILE_STORAGE__INNER_SECRET", WORKER_SECRET)
    jobs = svcs.Container(create_api_registry(load(ApiSettings)))
    database = jobs.get(Database)
    explained = Explained(database.engine)
    retry = RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3, max_losses=10)
    claims = ClaimService(database, retry, lease_seconds=60, processes=1)
    leases = LeaseService(database, retry, lease_seconds=60)
    cache, discarded = ResultCache(database), DiscardedResults(database, jobs.get(FileStorage))

    assert claims.claimable(32) == 32
    claims.is_pending_above(5)
    outcomes: list[Outcome] = [Finished(1), Failed("no"), Postponed("later"), Crashed("crash")]
    taken = claims.claim(HOLDER, len(outcomes))
    claims.end([Ended(claim, outcome) for claim, outcome in zip(taken, outcomes, strict=True)])
    [claim] = claims.claim(HOLDER)
    leases.heartbeat(HOLDER.worker, leases.holding_processes(HOLDER.worker))
    claims.give_up(claim, HOLDER)
    claims.hand_back([claim])
    [cancelled] = claims.claim(HOLDER)
    jobs.get(TaskService).cancel(LOCAL, cancelled.task_id)
    assert leases.take_cancelled(HOLDER.worker) == [(cancelled.task_id, HOLDER.process)]
    claims.claim(HOLDER, 2)
    leases.crashed(HOLDER, "crash")
    [slow] = claims.claim(HOLDER)
    leases.overran(HOLDER, slow.task_id, slow.attempt, "slow")
    claims.claim(HOLDER)
    leases.release(HOLDER.worker, HOLDER.process)
    leases.release(HOLDER.worker)
    leases.expire_leases(0)
    leases.renew_all_leases()
    cache.find(["0" * 64])
    cache.remember({"1" * 64: CacheHit(1, None)})
    cache.forget_older_than(30 * 86_400)
    discarded.revoke_due()

    assert_no_scan(explained, 45)


def test_requests_of_one_owner_scan_no_table(jobs: svcs.Container) -> None:
    explained, service = Explained(jobs.get(Database).engine), jobs.get(TaskService)
    few = Principal("few", WRITER, limits=Limits(pending_tasks=1000))

    listed = service.page(few, 0, 100, TaskFilter())
    for status in TaskStatus:
        service.page(few, 0, 100, TaskFilter(statuses=[status]))
    service.cancel(few, listed[0].id)
    service.restart(few, listed[0].id)
    jobs.get(BulkService).restart(few, TaskFilter(statuses=[TaskStatus.CANCELLED]))
    jobs.get(BatchService).page(few, 0, 20, newest_first=True)
    jobs.get(TaskStats).of(few)

    assert len(listed) == 3
    assert_no_scan(explained, 18)


def test_folding_the_counters_of_tasks_scans_no_table(jobs: svcs.Container, large: str) -> None:
    with psycopg.connect(libpq_url(large), autocommit=True) as operator:
        for statement in PARTS:
            operator.execute(statement)
    explained = Explained(jobs.get(Database).engine)

    assert fold_tasks(jobs.get(Database)) >= 1
    assert fold_ended(jobs.get(Database)) >= 1

    assert_no_scan(explained, 7)


@pytest.mark.parametrize("principal", [LOCAL, Principal("many", WRITER)])
def test_the_newest_finished_tasks_are_found_below_a_million_newer_pending_ones(
    jobs: svcs.Container, large: str, principal: Principal
) -> None:
    pages = PagesRead(jobs.get(Database).engine, large)

    listed = jobs.get(TaskService).page(principal, 0, 20, TaskFilter(statuses=[TaskStatus.FINISHED]), newest_first=True)
    pages.close()

    assert len(listed) == 20
    assert pages.most < 100


def test_a_claim_reads_few_pages_although_an_owner_has_a_million_pending_tasks(
    jobs: svcs.Container, large: str
) -> None:
    database = jobs.get(Database)
    retry = RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3, max_losses=10)
    claims = ClaimService(database, retry, lease_seconds=60, processes=1)
    with psycopg.connect(libpq_url(large), autocommit=True) as connection:
        # A task that another test has postponed would be due during VACUUM, and the claim would return it alone.
        connection.execute("UPDATE tasks SET due_at = 0 WHERE status = 'pending' AND priority > 0")
        while claims.is_pending_above(0):
            claims.claim(HOLDER, 1000)
        connection.execute("VACUUM tasks")  # the index entries of claimed tasks are irrelevant here
    explained, pages = Explained(database.engine), PagesRead(database.engine, large)

    claimed = claims.claim(HOLDER, 8)
    pages.close()

    assert {claim.owner for claim in claimed} == {"few", "local", "many"}
    assert pages.statements >= 5
    assert pages.most < 400
    assert_no_scan(explained, 6)


def test_a_claim_reads_few_pages_while_a_snapshot_is_held_over_many_claimed_tasks(
    jobs: svcs.Container, large: str
) -> None:
    database = jobs.get(Database)
    retry = RetrySettings(max_seconds=900, base_delay_seconds=1, max_delay_seconds=60, max_crashes=3, max_losses=10)
    claims = ClaimService(database, retry, lease_seconds=60, processes=1)
    address = libpq_url(large)
    with psycopg.connect(address) as dump, psycopg.connect(address, autocommit=True) as operator:
        dump.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        dump.execute("SELECT FROM tasks LIMIT 1")
        for statement in COME_AND_GONE:
            operator.execute(statement)
        for _ in range(2):
            claims.end([Ended(claim, Finished(1)) for claim in claims.claim(HOLDER, 8)])
        pages = PagesRead(database.engine, large)

        claims.end([Ended(claim, Finished(1)) for claim in claims.claim(HOLDER, 8)])
        pages.close()

    assert pages.statements == 3, "the first tasks, the lock of these, the lock of those that end"
    assert pages.most < 200, "the tasks that have come and gone have more than 400 pages of each index"


def test_events_and_webhooks_scan_no_table(jobs: svcs.Container) -> None:
    database = jobs.get(Database)
    explained = Explained(database.engine)
    events, callbacks = Events(database, TaskEvent), WebhookService(database, 10, 86_400, 3600)

    position = events.latest()
    events.after(position, 1000)
    events.after(Position(position.transaction_id - 1000, 0), 1000, TaskChoice([1, 2, 3]))
    events.after(Position(position.transaction_id - 1000, 0), 1000, TaskChoice(batch_id=5))
    events.forget_older_than(86_400)
    for answer in (callbacks.delivered, partial(callbacks.undeliverable, reason="no")):
        [taken] = callbacks.take_due(1, 1)
        answer(taken.callback)
    [taken] = callbacks.take_due(1, 1)
    callbacks.failed(taken.callback, "no", answered=False)
    WebhookService(database, 10, -1, 3600).failed(taken.callback, "no", answered=True)
    callbacks.release([taken.callback])
    callbacks.forget_hosts(86_400)

    assert_no_scan(explained, 25)


def test_only_a_step_of_the_clock_reads_all_hosts_of_webhooks(jobs: svcs.Container) -> None:
    explained = Explained(jobs.get(Database).engine)

    WebhookService(jobs.get(Database), 10, 86_400, 3600).reset_delays()

    explained.close()
    # An index of the hosts that wait would change with every failed delivery; the clock is rarely set.
    assert {scan.table for scan in explained.scans} == {"callback_hosts"}
    assert explained.statements == 2


def test_events_of_files_scan_no_table(files: svcs.Container) -> None:
    database = files.get(Database)
    explained = Explained(database.engine)
    events = Events(database, FileEvent)

    position = events.latest()
    events.after(position, 1000)
    events.after(Position(position.transaction_id - 1000, 0), 1000, FileChoice([1, 2, 3]))
    events.after(Position(position.transaction_id - 1000, 0), 1000, owner=OWNER.owner)
    events.forget_older_than(86_400)

    # Include the statements that read the files of the events.
    assert_no_scan(explained, 6)


@pytest.mark.parametrize("model", [TaskEvent, FileEvent])
@pytest.mark.parametrize("owner", ["nobody", OWNER.owner])
def test_a_listener_who_comes_back_reads_no_events_of_other_owners(
    large: str, model: type[TaskEvent | FileEvent], owner: str
) -> None:
    database = Database(large)
    explained, pages = Explained(database.engine), PagesRead(database.engine, large)
    events = Events[TaskEvent | FileEvent](database, model)

    read = events.after(Position(0, 0), 1, owner=owner)
    pages.close()

    assert [found.owner for found in read] == [owner] * (owner != "nobody")
    assert f"{model.__tablename__}_owner" in explained.indexes
    assert 0 < pages.most < 30, "the events of others have thousands of pages"
    assert_no_scan(explained, 1)


def test_access_scans_no_table(large: str) -> None:
    database = Database(large)
    explained = Explained(database.engine)
    keys, owners, wrong = KeyService(database), OwnerService(database), WrongKeys(database)

    new = keys.create(KeyRequest("owner-5", WRITER))
    keys.page("", 100)
    keys.page(f"{100_000:012x}", 100)
    principal = keys.recognize(new.secret)
    assert principal is not None
    token = keys.sign_in(principal, 60)
    keys.recognize_session(token)
    keys.sign_out(token)
    keys.limits("owner-7")
    keys.rotate(new.key.id, 60)
    keys.revoke(new.key.id)
    owners.page("owner-5", 100)
    owners.limit("owner-5", Limits(files=7))
    for _ in range(FAILURES_PER_MINUTE):
        wrong.count("192.0.2.7")
    with pytest.raises(Problem):
        wrong.count("192.0.2.7")

    assert_no_scan(explained, 25)


def test_a_page_of_keys_reads_no_earlier_key(large: str) -> None:
    database = Database(large)
    pages = PagesRead(database.engine, large)

    found = KeyService(database).page(f"{100_000:012x}", 100)
    pages.close()

    assert len(found) == 100
    assert 0 < pages.most < 30, "the earlier keys have thousands of pages"


def test_the_audit_trail_scans_no_table(large: str) -> None:
    database = Database(large)
    explained, trail = Explained(database.engine), AuditTrail(database, 31_536_000)

    trail.add(Change(1.0, "owner-5", "0" * 12, "192.0.2.1", "PUT", "/", 200, ""))
    for wanted in (
        AuditFilter(),
        AuditFilter(owner="owner-5"),
        AuditFilter(owner="nobody"),
        AuditFilter(key_id="0" * 12),
        AuditFilter(key_id="none"),
        AuditFilter(since=2.0**40),
    ):
        trail.page(wanted, 0, 100)
    trail.close()

    assert_no_scan(explained, 8)
