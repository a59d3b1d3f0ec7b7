"""How full the file server is, for an operator's monitoring."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database
from sqlalchemy import func, select

from file_storage.models import Upload
from file_storage.services.totals import stored
from file_storage.storage import Staging

_UNFINISHED = select(func.count()).select_from(Upload).where(Upload.finished.is_(False))


class FileMetrics(Collector):
    """What the database and the disk say when they are asked.

    :param quota_bytes: as the settings have it; 0 for none.
    """

    def __init__(self, database: Database, staging: Staging, quota_bytes: int) -> None:
        self._database = database
        self._staging = staging
        self._quota_bytes = quota_bytes

    def collect(self) -> Iterator[Metric]:
        with self._database.connect() as connection:
            totals = stored(connection)
            unfinished = connection.scalars(_UNFINISHED).one()
        yield GaugeMetricFamily("pixmill_files", "Files.", totals.files)
        yield GaugeMetricFamily(
            "pixmill_stored_bytes", "Bytes of all files, those that several share once.", totals.bytes
        )
        yield GaugeMetricFamily("pixmill_quota_bytes", "Bytes that all files may have; 0: no limit.", self._quota_bytes)
        yield GaugeMetricFamily(
            "pixmill_room_bytes",
            "Bytes that the disk has for uploads, its reserve left free.",
            max(0, self._staging.room()),
        )
        yield GaugeMetricFamily("pixmill_resumable_uploads", "Resumable uploads that are not complete.", unfinished)
