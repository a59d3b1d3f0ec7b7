"""The WSGI application of file-storage."""

import structlog
from flask import Response
from flask_openapi3 import OpenAPI
from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.access.injectors import create_access
from service_kit.api import create_api, render
from service_kit.database import Database
from service_kit.events.port import EventsPort, register_events_port
from service_kit.garbage import freeze_existing_objects
from service_kit.problems import problem_of
from service_kit.query import refuse_unknown_queries
from service_kit.settings import load_or_exit

from file_storage.config import Settings
from file_storage.injectors import create_registry
from file_storage.routers.announced import answer_questions, end_promises
from file_storage.routers.batch import batch
from file_storage.routers.collection import collection
from file_storage.routers.download import downloads
from file_storage.routers.events_operation import EVENTS, event_schemas
from file_storage.routers.files import files
from file_storage.routers.links import links
from file_storage.routers.named import NewName, named
from file_storage.routers.shared import shared
from file_storage.routers.shared_operations import THUMBNAILS
from file_storage.routers.stats import stats
from file_storage.routers.statuses import STATUSES
from file_storage.routers.trash import trash
from file_storage.routers.tus import override_method, tus
from file_storage.routers.tus_operations import OPERATIONS
from file_storage.routers.usual_downloads import answer_usual_downloads
from file_storage.storage import BlobStore, Staging, StorageUnavailableError

log = structlog.get_logger()

BASE_PATH = "/api/file-server"
DEPENDENCIES = {Database: "database", Staging: "staging", BlobStore: "blob_store", EventsPort: "events"}
DESCRIPTION = (
    "Upload and download files. `uploads/` also accepts resumable uploads with tus 1.0.0"
    " (https://tus.io/protocols/resumable-upload); `OPTIONS` lists its extensions."
)


def create_app() -> OpenAPI:
    """Return the WSGI application, configured by ``config/file-storage/conf.yml`` and the environment."""
    settings = load_or_exit(Settings)
    logs.configure(settings.log.level)
    registry = create_registry(settings)
    register_events_port(registry)
    access = create_access(load_or_exit(AccessSettings), registry, settings.inner.by_process)
    app = create_api(__name__, "Pixmill file server", DESCRIPTION, BASE_PATH, registry, STATUSES, DEPENDENCIES)
    for blueprint in (collection, batch, files, trash, downloads, links, shared, stats):
        app.register_api(blueprint)
    app.register_blueprint(tus)
    app.paths["/events"] = EVENTS
    app.components_schemas.update(event_schemas())
    app.paths.update(OPERATIONS)
    app.paths.update(THUMBNAILS)
    # Register it last: it matches names that no other route uses.
    app.url_map.converters["new_name"] = NewName
    app.register_api(named)
    app.wsgi_app = override_method(app.wsgi_app)  # type: ignore[assignment,method-assign]  # Flask's documented way
    app.register_error_handler(StorageUnavailableError, _render_storage_unavailable)
    end_promises(app, settings)
    access.before(app)
    refuse_unknown_queries(app)
    answer_questions(app, settings)
    if not settings.storage.url:
        app.wsgi_app = answer_usual_downloads(app.wsgi_app, registry)  # type: ignore[assignment,method-assign]  # likewise
    freeze_existing_objects()
    return app


def _render_storage_unavailable(error: StorageUnavailableError) -> Response:
    log.error("storage unavailable", error=error.reason)
    return render(problem_of(error, STATUSES))
