"""The secrets with which receivers verify an owner's webhooks."""

from base64 import b64encode

import svcs
from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag
from pydantic import BaseModel, Field
from service_kit.access.flask_gate import needs, principal
from service_kit.access.gate import require
from service_kit.access.principals import LOCAL_OWNER, Scope
from service_kit.api import problem_responses

from image_processor.background.webhook_signature import secrets_of
from image_processor.config import ApiSettings, signing_secrets

webhooks = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="tasks")])


class SecretsOut(BaseModel):
    """The secrets that sign the webhooks of the caller's tasks; more than one while they are being changed."""

    secrets: list[str] = Field(description="As Standard Webhooks writes them: `whsec_` and base64.")


@webhooks.get(
    "/webhook-secrets",
    summary="Get the secrets that verify one's webhooks",
    responses={200: SecretsOut, **problem_responses(401, 403)},
)
@needs(Scope.WEBHOOKS)
def show_secrets() -> Response:
    if principal().owner == LOCAL_OWNER:
        # Those of the installation, from which everybody else's follow.
        require(principal(), Scope.ADMIN)
    installation = signing_secrets(svcs.flask.get(ApiSettings).webhook_secret.get_secret_value())
    secrets = [f"whsec_{b64encode(secret).decode()}" for secret in secrets_of(principal().owner, installation)]
    response = jsonify(SecretsOut(secrets=secrets).model_dump())
    response.headers["Cache-Control"] = "no-store"
    return response
