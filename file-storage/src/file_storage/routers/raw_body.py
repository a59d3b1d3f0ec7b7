"""Store a file whose bytes are the request's body, for both ``PUT`` routes."""

import svcs
from flask import Response, request
from service_kit.access.flask_gate import principal

from file_storage.config import Settings
from file_storage.headers.idempotency import idempotency_key
from file_storage.intake.bodies import receive_raw
from file_storage.intake.read_ahead import ReadAhead
from file_storage.routers.schemas import created
from file_storage.services.names import file_name
from file_storage.services.storing import NewFile, StoringService
from file_storage.storage import Staging


def store_body(name: str, comment: str) -> Response:
    """Store the current request's body as a file."""
    key = idempotency_key(request)
    stored_name = file_name("", name)
    storing, settings, staging, ahead = svcs.flask.get(StoringService, Settings, Staging, ReadAhead)
    storing.check_room(principal(), request.content_length or 0)
    with receive_raw(request, staging, settings.upload, ahead) as staged:
        return created(storing.store(principal(), NewFile(staged, stored_name, comment, key)))
