"""Answers nginx, before it receives a large body, whether an upload is accepted; releases the reserved room afterwards.

For this question nginx sends the upload's request without its body, with the header ``X-Body-Stage: asked``. The gate,
the route and the audit trail handle the question like the upload itself: if the headers are a reason to refuse the
upload, the route refuses. Otherwise it answers with :func:`promised`, and does not read a body.
"""

import json

import svcs
from flask import Flask, Response, g, request
from service_kit.access.flask_gate import mark_counted, principal, record_only_refusal
from service_kit.front_headers import BODY_STAGE

from file_storage.config import Settings
from file_storage.intake.bodies import body_length
from file_storage.intake.read_ahead import ReadAhead
from file_storage.services.storing import StoringService

ASKED = "asked"
"""nginx asks whether to receive the body."""
ANSWERED = "answered"
"""The upload itself, after the question was answered with 204."""
OVER = "over"
"""The request of the body has ended, successfully or not."""
PROBLEM = "X-Problem"
"""The header with the problem document of a refusal: nginx's auth_request drops the content of an answer."""


def end_promises(app: Flask, settings: Settings) -> None:
    """Let ``app`` end a promise when the web server says that its request is over.

    Call this before the gate is in place: only nginx knows the id of the request, and its key may have been revoked
    since.
    Uploads whose question was already counted are marked here, so that the gate does not count them again.
    """
    if not settings.upload.body_folder:
        return

    @app.before_request
    def end() -> Response | None:
        stage = request.headers.get(BODY_STAGE)
        if stage == ANSWERED:
            mark_counted()
        if stage != OVER:
            return None
        record_only_refusal()
        svcs.flask.get(StoringService).give_back(g.request_id)
        return Response(status=204)


def answer_questions(app: Flask, settings: Settings) -> None:
    """Let ``app`` answer the web server's questions; call this after the gate is in place."""
    if not settings.upload.body_folder:
        return

    def mark() -> None:
        if request.headers.get(BODY_STAGE) == ASKED:
            record_only_refusal()

    def add_problem(response: Response) -> Response:
        if request.headers.get(BODY_STAGE) == ASKED and response.mimetype == "application/problem+json":
            response.headers[PROBLEM] = json.dumps(response.get_json())
        return response

    app.before_request(mark)
    app.after_request(add_problem)


def asked_size(settings: Settings) -> int | None:
    """Return the size of the body about which the current request asks; ``None`` if it is not a question."""
    if not settings.upload.body_folder or request.headers.get(BODY_STAGE) != ASKED:
        return None
    return body_length(request) or 0


def promised(size: int, copies: int, ahead: ReadAhead | None = None, key: str | None = None) -> Response:
    """Answer the current question with yes, and promise the room.

    :param copies: as in :meth:`Promises.make`.
    :param ahead: reads the body ahead.
    :param key: the idempotency key of the upload, if its headers have one.
    :raises DomainError: there is no room.
    """
    svcs.flask.get(StoringService).promise_room(principal(), g.request_id, size, copies, key)
    if ahead is not None:
        ahead.expect()
    return Response(status=204)
