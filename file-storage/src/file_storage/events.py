"""The event stream as an ASGI application: ``uvicorn --factory file_storage.events:create_app``.

Separate from the API, where hundreds of listeners would occupy hundreds of uWSGI threads.
"""

from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.access.cors import Cors
from service_kit.access.gate_injectors import create_gate
from service_kit.access.keys import KeyService
from service_kit.database import Database
from service_kit.events.routes import EventRoutes, application
from service_kit.garbage import freeze_existing_objects
from service_kit.settings import load_or_exit
from starlette.applications import Starlette

from file_storage.config import Settings
from file_storage.event_injectors import create_event_stream, create_housekeeping
from file_storage.routers.events import FILE_EVENTS


def create_app() -> Starlette:
    """Return the ASGI application, configured by ``config/file-storage/conf.yml`` and the environment.

    A thread of its process deletes old events and expired files.
    """
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    access = load_or_exit(AccessSettings)
    database = Database(access.database.url, access.database.pool_size)
    keys = KeyService(database)
    routes = EventRoutes(create_event_stream(settings), FILE_EVENTS, create_gate(access, keys, database))
    create_housekeeping(settings, keys.limits).start()
    freeze_existing_objects()
    return application("/api/file-server", routes, Cors(access.http.cors_origins))
