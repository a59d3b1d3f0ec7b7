"""Stores a request's body as a file, for both ``PUT`` routes."""

import svcs
from flask import Response, request
from service_kit.access.flask_gate import principal
from service_kit.idempotency_key import idempotency_key

from file_storage.config import Settings
from file_storage.headers.provenance import BATCH_ID, SOURCE_ID, TASK_ID, claimed_id, claims_something
from file_storage.intake.bodies import body_of, check_raw, receive_raw
from file_storage.intake.read_ahead import ReadAhead
from file_storage.routers.announced import asked_size, promised
from file_storage.routers.schemas import NewFileFields, created, details_of
from file_storage.services.folders import named_path
from file_storage.services.storing import NewFile, StoringService, check_may_claim
from file_storage.storage import Staging


def store_body(fields: NewFileFields) -> Response:
    """Store the current request's body as a file.

    :param fields: the file's fields, including its name, which may be a path.
    """
    if claims_something(request):
        check_may_claim(principal())
    key = idempotency_key(request)
    stored_name, folder = named_path(fields.name or "")
    details = details_of(fields, folder)._replace(
        source_id=claimed_id(request, SOURCE_ID),
        task_id=claimed_id(request, TASK_ID),
        batch_id=claimed_id(request, BATCH_ID),
    )
    storing, settings, staging, ahead = svcs.flask.get(StoringService, Settings, Staging, ReadAhead)
    if (size := asked_size(settings)) is not None:
        check_raw(request, size, settings.upload)
        return promised(size, copies=1, ahead=ahead, key=key)
    with (
        storing.room(principal(), *body_of(request, settings.upload), key=key) as reserved,
        receive_raw(request, staging, settings.upload, ahead) as staged,
    ):
        new = NewFile(staged, stored_name, fields.comment or "", key, details)
        return created(storing.store(principal(), new, reserved))
