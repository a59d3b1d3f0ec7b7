"""``python -m tests.upgrade COMMIT``: create the installation of an earlier version for the upgrade tests.

That version's own code creates it in a git worktree. The archive ``tests/upgrade/installation.tar.xz`` contains a
SQLite database of each service, a PostgreSQL dump, both folders of files, and the API's answers for both databases.
"""

import os
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.databases import libpq_url
from tests.support.environment import ENVIRONMENT, PROJECT
from tests.support.servers import started_postgres
from tests.upgrade.installation import ARCHIVE, databases_in, environment_of

PACKAGES = ("service-kit", "file-storage", "image-processor", "pixmill")


def main(commit: str) -> None:
    """Make the archive."""
    with TemporaryDirectory() as temporary:
        worktree, made = Path(temporary, "worktree"), Path(temporary, "made")
        subprocess.run(["git", "worktree", "add", "--detach", worktree, commit], cwd=PROJECT, check=True)
        try:
            _fill(worktree, made / "sqlite", databases_in(made / "sqlite"))
            with started_postgres("upgrade") as url:
                _fill(worktree, made / "postgresql", dict.fromkeys(databases_in(made), url))
                dump = made / "postgresql" / "dump.sql"
                plain = libpq_url(url)
                subprocess.run(["pg_dump", "--no-owner", "--file", dump, plain], check=True)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", worktree], cwd=PROJECT, check=True)
        with tarfile.open(ARCHIVE, "w:xz") as archive:
            archive.add(made, ".")
    print(f"{ARCHIVE.relative_to(PROJECT)}: {ARCHIVE.stat().st_size:,} bytes")


def _fill(worktree: Path, folder: Path, databases: Mapping[str, str]) -> None:
    folder.mkdir(parents=True)
    sources = os.pathsep.join(str(worktree / package / "src") for package in PACKAGES)
    env = ENVIRONMENT | environment_of(folder, databases) | {"PYTHONPATH": sources}
    subprocess.run([sys.executable, PROJECT / "tests/upgrade/fill.py", folder], cwd=worktree, env=env, check=True)
    for path in folder.glob("*.db"):
        # Closing the last connection merges the write-ahead log into the database.
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


if __name__ == "__main__":
    main(sys.argv[1])
