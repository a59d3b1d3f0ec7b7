"""Forking a process while one of its threads writes to SQLite."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os, sqlite3, sys, threading, time
from sqlalchemy import text
from service_kit.forking import fork_safe_database

path = sys.argv[1]
database = fork_safe_database(f"sqlite:///{path}", 2)
with database.begin() as connection:
    connection.execute(text("CREATE TABLE rows (number INTEGER)"))
begun, forked = threading.Event(), threading.Event()

def write():
    with database.begin() as connection:
        connection.execute(text("INSERT INTO rows VALUES (1)"))
        begun.set()
        forked.wait(0.5)

thread = threading.Thread(target=write)
thread.start()
begun.wait()
child = os.fork()
if child == 0:
    own = sqlite3.connect(path, timeout=5)
    own.execute("INSERT INTO rows VALUES (2)")
    own.commit()
    os._exit(0)
forked.set()
thread.join()
with database.begin() as connection:
    connection.execute(text("INSERT INTO rows VALUES (3)"))
_, status = os.waitpid(child, 0)
with database.read() as session:
    print(status, sorted(session.scalars(text("SELECT number FROM rows"))))
"""


@pytest.mark.slow
def test_a_child_that_is_forked_during_a_transaction_can_write(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "rows.db")]

    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.stdout == "0 [1, 2, 3]\n", run.stderr
