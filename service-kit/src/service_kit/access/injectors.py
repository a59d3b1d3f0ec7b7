"""Creates the services of access control from the settings."""

from collections.abc import Mapping
from dataclasses import dataclass

import svcs
from flask import Flask

from service_kit.access.audit import AuditTrail
from service_kit.access.config import AccessSettings
from service_kit.access.cors import Cors
from service_kit.access.flask_gate import install_gate
from service_kit.access.gate import Gate
from service_kit.access.gate_injectors import create_gate
from service_kit.access.keys import KeyService
from service_kit.access.owners import OwnerService
from service_kit.access.principals import Process
from service_kit.database import Database


@dataclass(frozen=True)
class Access:
    """The access control in front of an application."""

    gate: Gate
    trail: AuditTrail
    cors: Cors

    def before(self, app: Flask) -> None:
        """Add access control to an application whose routes are all registered."""
        install_gate(app, self.gate, self.trail, self.cors)


def create_access(
    settings: AccessSettings, registry: svcs.Registry, inner_secrets: Mapping[Process, str] | None = None
) -> Access:
    """Return the access control for an application, and register its services.

    :param inner_secrets: the secret of each of Pixmill's own processes that may send requests; ``None`` if none may.
    """
    database = Database(settings.database.url, settings.database.pool_size)
    keys = KeyService(database)
    trail = AuditTrail(database, settings.audit.keep_seconds)
    registry.register_value(AccessSettings, settings)
    if Database not in registry:
        registry.register_value(Database, database, ping=Database.ping)
    registry.register_value(KeyService, keys)
    registry.register_value(OwnerService, OwnerService(database))
    registry.register_value(AuditTrail, trail, on_registry_close=trail.close)
    gate = create_gate(settings, keys, database, inner_secrets)
    registry.register_value(Gate, gate)
    return Access(gate, trail, Cors(settings.http.cors_origins))
