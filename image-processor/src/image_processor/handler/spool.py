"""Celery's queue in a folder, for machines without a broker; a full disk leaves no file that could stop a worker."""

import fcntl
import json
import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps

_NONE = b"[]"


class AtomicChannel(filesystem.Channel):
    """Kombu's channel with atomically written files."""

    def _put(self, queue: str, payload: object, **_: object) -> None:  # type: ignore[override]  # the bases name the payload differently
        folder = Path(self.data_folder_out)
        # Consumers take only files whose name ends with that of the queue.
        unfinished = folder / f".{uuid4()}.unfinished"
        try:
            unfinished.write_text(dumps(payload), "utf-8")
            unfinished.rename(folder / f"{round(time.monotonic() * 1000)}_{uuid4()}.{queue}.msg")
        finally:
            unfinished.unlink(missing_ok=True)

    def _queue_bind(self, exchange: str, routing_key: str | None, pattern: str | None, queue: str) -> None:
        repair(Path(self.control_folder, f"{exchange}.exchange"))
        super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[arg-type]  # it takes None, as its base


class Transport(filesystem.Transport):
    """Kombu's transport with this channel."""

    Channel = AtomicChannel


def repair(bindings: Path) -> None:
    """Reset a file of bindings that a full disk or a power failure has left empty or incomplete."""
    with suppress(FileNotFoundError), bindings.open("rb+", buffering=0) as file:
        # Kombu takes this lock, too.
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            json.loads(file.read())
        except ValueError:
            file.seek(0)
            file.truncate()
            file.write(_NONE)


def use() -> None:
    """Register this transport for ``filesystem://`` URLs."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:{Transport.__name__}"
