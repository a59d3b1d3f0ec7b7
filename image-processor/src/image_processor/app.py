"""The WSGI application of image-processor."""

from flask_openapi3 import OpenAPI
from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.access.injectors import create_access
from service_kit.access.principals import Process
from service_kit.api import create_api
from service_kit.database import Database
from service_kit.events.port import EventsPort, register_events_port
from service_kit.garbage import freeze_existing_objects
from service_kit.query import refuse_unknown_queries
from service_kit.settings import SettingsError, exit_with, load_or_exit

from image_processor.config import ApiSettings
from image_processor.injectors import create_api_registry
from image_processor.render.routers.operations import OPERATIONS
from image_processor.routers.batches import batches
from image_processor.routers.bulk import bulk
from image_processor.routers.catalog import catalog
from image_processor.routers.events_operation import EVENTS, event_schemas
from image_processor.routers.presets import presets
from image_processor.routers.stats import stats
from image_processor.routers.tasks import tasks
from image_processor.routers.webhooks import webhooks
from image_processor.routers.webhooks_operation import WEBHOOKS, webhook_schemas
from image_processor.services.files.client import FileStorage
from image_processor.services.tasks.queue import TaskQueue
from image_processor.statuses import STATUSES

BASE_PATH = "/api/image-processing"
DEPENDENCIES = {Database: "database", TaskQueue: "task_queue", FileStorage: "file_storage", EventsPort: "events"}


def create_app() -> OpenAPI:
    """Return the WSGI application, configured by ``config/image-processor/conf.yml`` and the environment."""
    settings = load_or_exit(ApiSettings)
    logs.configure(settings.log.level)
    try:
        registry = create_api_registry(settings)
    except SettingsError as error:
        exit_with(error)
    register_events_port(registry)
    render = {Process.RENDER: settings.inner.render_secret.get_secret_value()}
    access = create_access(load_or_exit(AccessSettings), registry, render)
    app = create_api(
        __name__,
        "Pixmill image processing",
        "Process images in batches.",
        BASE_PATH,
        registry,
        STATUSES,
        DEPENDENCIES,
    )
    app.register_api(catalog)
    app.register_api(presets)
    app.register_api(stats)
    app.register_api(tasks)
    app.register_api(bulk)
    app.register_api(batches)
    app.register_api(webhooks)
    app.paths["/events"] = EVENTS
    app.components_schemas.update({**event_schemas(), **webhook_schemas()})
    app.spec.webhooks = WEBHOOKS
    app.paths.update(OPERATIONS)
    access.before(app)
    refuse_unknown_queries(app)
    freeze_existing_objects()
    return app
