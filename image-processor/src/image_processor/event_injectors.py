"""Creates the event stream from the settings.

Separate from :mod:`image_processor.injectors`, which imports Celery and libvips, because the stream needs neither.
"""

from service_kit.database import Database
from service_kit.events.rows import Events
from service_kit.events.stream import EventStream

from image_processor.config import ApiSettings
from image_processor.models import TaskEvent


def create_event_stream(settings: ApiSettings) -> EventStream[TaskEvent]:
    """Return the event stream for the application that serves it."""
    database = Database(settings.database.url, settings.database.pool_size)
    live = Events(Database(settings.database.url, pool_size=1), TaskEvent)
    return EventStream(Events(database, TaskEvent), settings.events.poll_seconds, settings.events.backlog, live)
