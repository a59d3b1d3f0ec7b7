"""The WSGI application for keys, owners, the audit trail and browser sessions, under ``/api``."""

import svcs
from flask_openapi3 import OpenAPI
from prometheus_client.registry import Collector, CollectorRegistry

from service_kit import logs
from service_kit.access.config import AccessSettings
from service_kit.access.injectors import create_access
from service_kit.access.routers import access
from service_kit.access.statuses import STATUSES
from service_kit.api import create_api
from service_kit.database import Database
from service_kit.garbage import freeze_existing_objects
from service_kit.query import refuse_unknown_queries
from service_kit.settings import load_or_exit

BASE_PATH = "/api"


def create_app() -> OpenAPI:
    """Return the WSGI application, configured by ``config/access/conf.yml`` and the environment."""
    settings = load_or_exit(AccessSettings)
    logs.configure(settings.log.level)
    registry = svcs.Registry()
    stand = create_access(settings, registry)
    registry.register_value(Collector, CollectorRegistry())
    app = create_api(
        __name__,
        "Pixmill access",
        "Keys, owners, the audit trail.",
        BASE_PATH,
        registry,
        STATUSES,
        {Database: "database"},
    )
    app.register_api(access)
    stand.before(app)
    refuse_unknown_queries(app)
    freeze_existing_objects()
    return app
