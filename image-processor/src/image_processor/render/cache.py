"""Caches results on disk up to a size limit, and evicts the least recently used ones.

An SQLite index holds the size, the last use, the source files and their SHA-256 of each result. A result is written to
a temporary file and then renamed, so that a result is never incomplete.

Results that are made at about the same time are written to the index in one transaction. After a crash, the next start
deletes the files that the index lacks.
"""

import shutil
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import structlog

log = structlog.get_logger()

_SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    key TEXT PRIMARY KEY, extension TEXT NOT NULL, bytes INTEGER NOT NULL, used REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS results_by_use ON results (used);
CREATE TABLE IF NOT EXISTS sources (
    file_id INTEGER NOT NULL, key TEXT NOT NULL, PRIMARY KEY (file_id, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sources_by_key ON sources (key);
CREATE TABLE IF NOT EXISTS digests (
    sha256 TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (sha256, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS digests_by_key ON digests (key);
"""
MAKING, ORIGINS = "making", "origins"
"""Folders next to ``results``: for incomplete results, and for pictures from other servers."""
NGINX_KEEPS = "nginx-keeps"
"""An empty file next to them whose time is that until which nginx may keep an image."""
USE_SECONDS = 30
"""Interval at which uses are written to the index."""
WRITE_SECONDS = 0.05
"""How long a result may wait to be written to the index together with others."""
MOST_UNWRITTEN = 64
"""At this many waiting results, the index is written at once."""
MOST_WITHOUT_INDEX = 1024
"""While the index cannot be written, the cache has only this many new results, and no more bytes than ever."""
_AT_ONCE = 32
"""The most results that one transaction removes."""
_BEFORE_ALL = (0.0, "")
_SPARE = 32
"""An eviction also frees 1/``_SPARE`` of ``max_bytes`` as room for the next results."""


@dataclass(frozen=True)
class Stored:
    """A result on disk."""

    path: Path
    extension: str
    size: int

    @property
    def is_whole(self) -> bool:
        """Whether the file has all its bytes: after a power failure, the index may name an empty file."""
        try:
            return self.path.stat().st_size == self.size
        except OSError:
            return False


@dataclass(frozen=True)
class _Unwritten:
    """A result that waits to be written to the index."""

    stored: Stored
    used: float
    files: Collection[tuple[int, str]]


class RenderCache:
    """Stores results in ``folder``, which only one process may use at a time.

    :param max_bytes: limit of the size of all results together.
    :param keep_free_bytes: free space to leave on the disk.
    :param write_seconds: how long a result may wait to be written to the index together with others.
    """

    def __init__(
        self, folder: Path, max_bytes: int, keep_free_bytes: int = 0, write_seconds: float = WRITE_SECONDS
    ) -> None:
        self._folder, self._max_bytes, self._keep_free_bytes = folder, max_bytes, keep_free_bytes
        self._results = folder / "results"
        self._results.mkdir(parents=True, exist_ok=True)
        self._making = folder / MAKING
        shutil.rmtree(self._making, ignore_errors=True)
        self._making.mkdir(parents=True)
        self._index = sqlite3.connect(folder / "index.db", isolation_level=None, check_same_thread=False)
        self._index.execute("PRAGMA journal_mode = WAL")
        self._index.execute("PRAGMA synchronous = NORMAL")
        self._index.executescript(_SCHEMA)
        self._unwritten: dict[str, _Unwritten] = {}
        self._is_failing = False
        self._passed = _BEFORE_ALL
        self._uses: dict[str, float] = {}
        self._write_seconds = write_seconds
        self._written = time.monotonic()
        self.bytes = self._indexed_bytes()
        """The size of all results together."""
        self.evictions = 0

    def close(self) -> None:
        """Write waiting results and uses to the index, and close it."""
        self.write()
        self._index.close()

    def temporary(self) -> Path:
        """Return a path for a new result, for :meth:`keep`; files that are left there are deleted at the next start."""
        return self._making / uuid4().hex

    def find(self, key: str) -> Stored | None:
        """Return the result with this key and record the use; ``None`` if there is no such result."""
        stored = self._found(key)
        if stored is None:
            return None
        self._uses[key] = time.time()
        if time.monotonic() - self._written > USE_SECONDS:
            self.write()
        return stored

    def keep(self, key: str, made: Path, extension: str, files: Collection[tuple[int, str]]) -> Stored:
        """Move a result into the cache, and evict others if there is no room.

        :param files: the ids and the SHA-256 of the stored files that the result is made from.
        :raises OSError: the result cannot be moved; it is still at ``made``.
        """
        size = made.stat().st_size
        path = self._path(key, extension)
        if self._found(key) is not None:
            self._remove([key])
        try:
            made.rename(path)
        except FileNotFoundError:
            path.parent.mkdir(exist_ok=True)
            made.rename(path)
        stored = Stored(path, extension, size)
        self._unwritten[key] = _Unwritten(stored, time.time(), files)
        self.bytes += size
        is_full = len(self._unwritten) >= MOST_UNWRITTEN and not self._is_failing
        if is_full or time.monotonic() - self._written >= self._write_seconds:
            self.write()
        try:
            self._make_room(key)
        except OSError as error:
            log.warning("results not evicted", error=str(error))
        return stored

    @property
    def lacks(self) -> bool:
        """Whether a result waits to be written to the index: call :meth:`write` unless another result follows soon."""
        return bool(self._unwritten)

    def write(self) -> None:
        """Write waiting results and uses to the index; if that fails, results wait on, and uses are lost."""
        self._written = time.monotonic()
        uses, self._uses = self._uses, {}
        if not self._unwritten and not uses:
            return
        try:
            self._insert(uses)
        except sqlite3.Error as error:
            self._failed(error)
            self._drop_oldest()
            return
        self._unwritten = {}
        if self._is_failing:
            self._is_failing = False
            # Rows that could not be removed can be now, and count until then.
            self._passed = _BEFORE_ALL
            self.bytes = self._indexed_bytes()

    def _indexed_bytes(self) -> int:
        return int(self._index.execute("SELECT coalesce(sum(bytes), 0) FROM results").fetchone()[0])

    def _insert(self, uses: Mapping[str, float]) -> None:
        with self._transaction():
            self._index.executemany(
                "INSERT OR REPLACE INTO results (key, extension, bytes, used) VALUES (?, ?, ?, ?)",
                [(key, new.stored.extension, new.stored.size, new.used) for key, new in self._unwritten.items()],
            )
            self._index.executemany(
                "INSERT OR IGNORE INTO sources (file_id, key) VALUES (?, ?)",
                [(file_id, key) for key, new in self._unwritten.items() for file_id, _ in new.files],
            )
            self._index.executemany(
                "INSERT OR IGNORE INTO digests (sha256, key) VALUES (?, ?)",
                [(sha256, key) for key, new in self._unwritten.items() for _, sha256 in new.files],
            )
            self._index.executemany(
                "UPDATE results SET used = ? WHERE key = ?", [(at, key) for key, at in uses.items()]
            )

    def _failed(self, error: sqlite3.Error) -> None:
        if not self._is_failing:
            log.error("the index of the cache is not written", error=str(error))
        self._is_failing = True

    def _drop_oldest(self) -> None:
        """Keep at most as many results as an index that fails may lack."""
        for key in list(self._unwritten)[:-MOST_WITHOUT_INDEX]:
            self._drop_unwritten(key)

    def _drop_unwritten(self, key: str) -> None:
        dropped = self._unwritten.pop(key, None)
        if dropped is not None and _deleted(dropped.stored.path):
            self.bytes -= dropped.stored.size

    def forget(self, key: str) -> None:
        """Remove a result."""
        self._remove([key])

    def forget_files(self, file_ids: Collection[int]) -> int:
        """Remove all results made from these stored files; return how many."""
        self.write()
        keys = {key for file_id in file_ids for key in self._keys_of(file_id)}
        keys |= {key for key, new in self._unwritten.items() if any(file_id in file_ids for file_id, _ in new.files)}
        self._remove(keys)
        return len(keys)

    def forget_bytes(self, sha256: str) -> int:
        """Remove all results made from these bytes, which several stored files may share; return how many."""
        self.write()
        keys = {row[0] for row in self._index.execute("SELECT key FROM digests WHERE sha256 = ?", (sha256,))}
        keys |= {key for key, new in self._unwritten.items() if any(digest == sha256 for _, digest in new.files)}
        self._remove(keys)
        return len(keys)

    def has_results_of(self, file_id: int) -> bool:
        """Return whether a result made from this stored file can be sent: its bytes could not be removed."""
        results = (self._found(key) for key in self._keys_of(file_id))
        return any(result is not None and result.is_whole for result in results)

    def file_ids(self, after: int, limit: int) -> list[int]:
        """Return at most ``limit`` ids above ``after`` of stored files with results, in ascending order."""
        self.write()
        rows = self._index.execute(
            "SELECT DISTINCT file_id FROM sources WHERE file_id > ? ORDER BY file_id LIMIT ?", (after, limit)
        )
        return [row[0] for row in rows]

    def delete_strays(self) -> int:
        """Delete files that a crash left without a row in the index; return how many. Call it before other methods."""
        count = 0
        for folder in self._results.iterdir():
            for path in folder.iterdir():
                if self._found(path.stem) is None and _deleted(path):
                    count += 1
        return count

    def _keys_of(self, file_id: int) -> list[str]:
        return [row[0] for row in self._index.execute("SELECT key FROM sources WHERE file_id = ?", (file_id,))]

    def _found(self, key: str) -> Stored | None:
        if key in self._unwritten:
            return self._unwritten[key].stored
        row = self._index.execute("SELECT extension, bytes FROM results WHERE key = ?", (key,)).fetchone()
        return None if row is None else Stored(self._path(key, row[0]), row[0], row[1])

    def _path(self, key: str, extension: str) -> Path:
        return self._results / key[:2] / f"{key}{extension}"

    def _make_room(self, newest: str) -> None:
        if not self._lacks_room():
            return
        self.write()
        while self._lacks_room():
            oldest = self._oldest_but(newest)
            if not oldest:
                self._drop_unwritten_but(newest)
                return
            before = self.bytes
            excess, spare, keys = before - self._max_bytes, self._max_bytes // _SPARE, list[str]()
            for key, size, used in oldest:
                if keys and excess + spare < size:
                    break
                keys.append(key)
                excess -= size
                last = used, key
            if not self._remove(keys):
                # Their rows are still the oldest: without this, the next attempt would find them again.
                self._passed = last
            self.evictions += len(keys)
            if self.bytes == before:
                return

    def _oldest_but(self, newest: str) -> list[tuple[str, int, float]]:
        """Return the key, the bytes and the last use of the oldest results in the index."""
        return self._index.execute(
            "SELECT key, bytes, used FROM results WHERE key != ? AND (used, key) > (?, ?) ORDER BY used, key LIMIT ?",
            (newest, *self._passed, _AT_ONCE),
        ).fetchall()

    def _drop_unwritten_but(self, newest: str) -> None:
        """Make room among the results that wait for the index: there are any only while it cannot be written."""
        for key in list(self._unwritten):
            if key != newest and self._lacks_room():
                self._drop_unwritten(key)
                self.evictions += 1

    def _lacks_room(self) -> bool:
        if self.bytes > self._max_bytes:
            return True
        return self._keep_free_bytes > 0 and shutil.disk_usage(self._folder).free < self._keep_free_bytes

    def _remove(self, keys: Collection[str]) -> bool:
        """Remove results; return whether the index was written. A row without a file counts as no result."""
        freed, left = 0, 0
        for key in keys:
            self._drop_unwritten(key)
            row = self._index.execute("SELECT extension, bytes FROM results WHERE key = ?", (key,)).fetchone()
            if row is None:
                continue
            path, size = self._path(key, row[0]), row[1]
            # Before the row, because a full disk may have no room for the change of the index.
            try:
                path.unlink()
                freed += size
            except FileNotFoundError:
                left += size
            except OSError as error:
                _not_deleted(path, error)
        try:
            with self._transaction():
                rows = [(key,) for key in keys]
                self._index.executemany("DELETE FROM results WHERE key = ?", rows)
                self._index.executemany("DELETE FROM sources WHERE key = ?", rows)
                self._index.executemany("DELETE FROM digests WHERE key = ?", rows)
        except sqlite3.Error as error:
            self._failed(error)
            self.bytes -= freed
            return False
        # While the index failed, the bytes of a row without a file were subtracted with the file.
        self.bytes -= freed if self._is_failing else freed + left
        return True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._index.execute("BEGIN")
        try:
            yield
            self._index.execute("COMMIT")
        except BaseException:
            # After some errors, such as a full disk, SQLite has already done so.
            if self._index.in_transaction:
                self._index.execute("ROLLBACK")
            raise


def _deleted(path: Path) -> bool:
    """Delete a file; return whether it is gone. On a read-only disk it stays, and the next start deletes it."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        _not_deleted(path, error)
        return False
    return True


def _not_deleted(path: Path, error: OSError) -> None:
    log.error("a result is not deleted", path=str(path), error=str(error))
