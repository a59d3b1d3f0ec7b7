"""Store a file, and kill the process before its N-th change of the disk or the database.

For each N on standard input, a separate process stores the file. It prints "stored" and the id of the file if it is not
killed; then "exit" and its exit code are printed.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.names import FileName
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import event

STEPS = ("fsync", "replace", "mkdir", "fchmod", "unlink")

P = ParamSpec("P")
T = TypeVar("T")
steps_left = 0


def count_down(*_: object) -> None:
    global steps_left
    steps_left -= 1
    if steps_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)


def counted(step: Callable[P, T]) -> Callable[P, T]:
    def with_count(*arguments: P.args, **options: P.kwargs) -> T:
        count_down()
        return step(*arguments, **options)

    return with_count


def upload() -> int:
    """Store the file; return its id."""
    services = svcs.Container(create_registry(load(Settings)))
    storing, staging = services.get(StoringService, Staging)
    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    for event_name in ("begin", "commit"):
        event.listen(services.get(Database).engine, event_name, count_down)
    event.listen(services.get(Database).engine, "before_cursor_execute", count_down)

    with staging.stage() as staged:
        staged.write(b"half of it, ")
        count_down()
        staged.write(b"and the rest")
        return storing.store(LOCAL, NewFile(staged, FileName("killed", ".bin"), "", "key")).id


for line in sys.stdin:
    # The modules are already loaded, because loading takes far longer than the upload.
    process = os.fork()
    if process == 0:
        steps_left = int(line)
        print("stored", upload(), flush=True)
        sys.exit()
    _, status = os.waitpid(process, 0)
    print("exit", os.waitstatus_to_exitcode(status), flush=True)
