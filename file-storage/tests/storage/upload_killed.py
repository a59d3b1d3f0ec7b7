"""Store or delete a file, and kill the process before its N-th change of the disk or the database, or request to S3.

For each line "upload N" or "delete N" on standard input, a separate process stores the file, or deletes all files. It
prints "stored" and the id of the file, or 0, if it is not killed; then "exit" and its exit code are printed.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import obstore
import svcs
from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.services.files import FileService
from file_storage.services.listing import FileFilter
from file_storage.services.names import FileName
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging
from service_kit.access.principals import LOCAL
from service_kit.database import Database
from service_kit.settings import load
from sqlalchemy import event

STEPS = ("fsync", "replace", "mkdir", "fchmod", "unlink")
REQUESTS = ("head", "put", "delete")

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


def prepared() -> svcs.Container:
    """Return the services, whose steps are counted from now on."""
    services = svcs.Container(create_registry(load(Settings)))
    engine = services.get(Database).engine
    for module, names in ((os, STEPS), (obstore, REQUESTS)):
        for name in names:
            setattr(module, name, counted(getattr(module, name)))
    for event_name in ("begin", "commit"):
        event.listen(engine, event_name, count_down)
    event.listen(engine, "before_cursor_execute", count_down)
    return services


def upload() -> int:
    """Store the file; return its id."""
    storing, staging = prepared().get(StoringService, Staging)
    with staging.stage() as staged:
        staged.write(b"half of it, ")
        count_down()
        staged.write(b"and the rest")
        return storing.store(LOCAL, NewFile(staged, FileName("killed", ".bin"), "", "key")).id


def delete() -> int:
    """Delete all files."""
    files = prepared().get(FileService)
    for file in files.page(LOCAL, FileFilter(), "", 10):
        files.delete(LOCAL, file.id)
    return 0


for line in sys.stdin:
    # The modules are already loaded, because loading takes far longer than the upload.
    process = os.fork()
    if process == 0:
        action, step = line.split()
        steps_left = int(step)
        print("stored", upload() if action == "upload" else delete(), flush=True)
        sys.exit()
    _, status = os.waitpid(process, 0)
    print("exit", os.waitstatus_to_exitcode(status), flush=True)
