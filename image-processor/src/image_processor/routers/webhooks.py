"""The endpoint of the secrets with which receivers verify a key's webhooks."""

from base64 import b64encode

import svcs
from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.principals import Scope
from service_kit.api import problem_responses
from service_kit.errors import DomainError
from service_kit.texts import sentence

from image_processor.config import ApiSettings, signing_secrets
from image_processor.services.tasks.webhook_signature import secrets_of_key

webhooks = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="tasks")])


class SecretsOut(BaseModel):
    """The secrets that sign the webhooks of a key; several while the operator replaces the installation's secret."""

    secrets: list[str] = Field(description="In the format of Standard Webhooks: `whsec_` and base64.")


@webhooks.get(
    "/webhook-secrets",
    summary="Get the secrets that verify the webhooks of the requesting key",
    description="No other key can get them. A request without a key has none: the operator's secret signs its "
    "webhooks.",
    responses={200: SecretsOut, **problem_responses(401, 403, 404)},
)
@needs(Scope.WEBHOOKS)
def show_secrets() -> Response:
    key_id = principal().key_id
    if key_id is None:
        # Refuse even the machine's own user: the secrets of all keys are derived from the installation's.
        raise DomainError(
            "no-webhook-secret",
            sentence(
                "Only a key has webhook secrets. Webhooks of tasks that were created without a key are signed with "
                "the operator's PIXMILL_CALLBACK_SECRET."
            ),
        )
    installation = signing_secrets(svcs.flask.get(ApiSettings).webhook_secret.get_secret_value())
    secrets = [f"whsec_{b64encode(secret).decode()}" for secret in secrets_of_key(key_id, installation)]
    response = jsonify(SecretsOut(secrets=secrets).model_dump())
    response.headers["Cache-Control"] = "no-store"
    return response
