"""Prometheus metrics of the stored files and the free space."""

from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector
from service_kit.database import Database
from sqlalchemy import func, select

from file_storage.models import Upload, UploadKind
from file_storage.services.totals import stored, trashed
from file_storage.storage import Staging

MAX_COUNTED = 10_000
"""Counting stops here, to limit the cost of a scrape."""

_UNFINISHED = select(func.count()).select_from(
    select(Upload.id)
    .where(Upload.finished.is_(False), Upload.kind != UploadKind.PROMISE)
    # Ordered like the index of unfinished uploads, so that the planner uses it.
    .order_by(Upload.kind)
    .limit(MAX_COUNTED)
    .subquery()
)


class FileMetrics(Collector):
    """Reads the metrics from the database and the disk at each scrape.

    :param quota_bytes: the quota in the settings; 0 for no quota.
    """

    def __init__(self, database: Database, staging: Staging, quota_bytes: int) -> None:
        self._database = database
        self._staging = staging
        self._quota_bytes = quota_bytes

    def collect(self) -> Iterator[Metric]:
        with self._database.connect() as connection:
            totals, trash = stored(connection), trashed(connection)
            unfinished = connection.execute(_UNFINISHED).scalar_one()
        yield GaugeMetricFamily("pixmill_files", "Files.", totals.files)
        yield GaugeMetricFamily("pixmill_stored_bytes", "Bytes of all files; shared bytes count once.", totals.bytes)
        yield GaugeMetricFamily("pixmill_trashed_files", "Files in the trash, which count as files.", trash.files)
        yield GaugeMetricFamily("pixmill_trashed_bytes", "Bytes of the files in the trash.", trash.bytes)
        yield GaugeMetricFamily("pixmill_quota_bytes", "Maximum bytes of all files; 0: no limit.", self._quota_bytes)
        yield GaugeMetricFamily(
            "pixmill_room_bytes",
            "Free bytes on the disk for uploads, without the reserve.",
            max(0, self._staging.room()),
        )
        yield GaugeMetricFamily(
            "pixmill_resumable_uploads", f"Resumable uploads that are not complete, at most {MAX_COUNTED}.", unfinished
        )
