"""The event stream as an ASGI application: ``uvicorn --factory image_processor.events:create_app``.

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

from image_processor.config import ApiSettings
from image_processor.event_injectors import create_event_stream
from image_processor.routers.events import TASK_EVENTS


def create_app() -> Starlette:
    """Return the ASGI application, configured by ``config/image-processor/conf.yml`` and the environment."""
    settings = load_or_exit(ApiSettings)
    logs.configure(settings.log.level)
    access = load_or_exit(AccessSettings)
    database = Database(access.database.url, access.database.pool_size)
    routes = EventRoutes(
        create_event_stream(settings), TASK_EVENTS, create_gate(access, KeyService(database), database)
    )
    freeze_existing_objects()
    return application("/api/image-processing", routes, Cors(access.http.cors_origins))
