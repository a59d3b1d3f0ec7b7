"""Answers nginx's question before it receives a large body, and ends the promise of room when the request is over.

The question is the request of the upload itself, without the body and with the header X-Body-Stage: so the gate, the
routes and the audit trail treat it as they treat the upload.
"""

import json

import svcs
from flask import Flask, Response, g, request
from service_kit.access.flask_gate import principal, record_only_refusal

from file_storage.config import Settings
from file_storage.intake.bodies import BODY_LENGTH, check_form_size
from file_storage.intake.read_ahead import ReadAhead
from file_storage.services.storing import StoringService

STAGE = "X-Body-Stage"
"""The header in which nginx says that it asks before a body. Clients cannot send it."""
ASKED = "asked"
OVER = "over"
"""The request of the body has ended, however it did."""
PROBLEM = "X-Problem"
"""The header with the problem document of a refusal: nginx's auth_request drops the content of an answer."""

_OF_ONE_FILE = {"collection.add_file", "collection.put_file", "named.put_named_file"}
_OF_MANY_FILES = "batch.add_files"


def end_promises(app: Flask, settings: Settings) -> None:
    """Let ``app`` end a promise when the web server says that its request is over.

    Call this before the gate is in place: nobody else knows the id of the request, and its key may be revoked by now.
    """
    if not settings.upload.body_folder:
        return

    @app.before_request
    def end() -> Response | None:
        if request.headers.get(STAGE) != OVER:
            return None
        record_only_refusal()
        svcs.flask.get(StoringService).give_back(g.request_id)
        return Response(status=204)


def answer_questions(app: Flask, settings: Settings) -> None:
    """Let ``app`` answer the web server's questions; call this after the gate is in place."""
    if not settings.upload.body_folder:
        return

    def answer() -> Response | None:
        if request.headers.get(STAGE) != ASKED:
            return None
        record_only_refusal()
        if request.endpoint not in {*_OF_ONE_FILE, _OF_MANY_FILES}:
            return None
        storing, ahead = svcs.flask.get(StoringService, ReadAhead)
        size = int(request.headers[BODY_LENGTH])
        if request.endpoint in _OF_ONE_FILE:
            check_form_size(size, settings.upload)
        storing.promise_room(principal(), g.request_id, size)
        if request.endpoint in _OF_ONE_FILE:
            ahead.expect()
        return Response(status=204)

    def add_problem(response: Response) -> Response:
        if request.headers.get(STAGE) == ASKED and response.mimetype == "application/problem+json":
            response.headers[PROBLEM] = json.dumps(response.get_json())
        return response

    app.before_request(answer)
    app.after_request(add_problem)
