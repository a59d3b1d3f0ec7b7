"""A key can read the secrets of its own webhooks; nobody can read those of the installation."""

from base64 import b64encode
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from image_processor.services.tasks.webhook_signature import secrets_of_key
from service_kit.access.keys import KeyRequest, KeyService, NewKey
from service_kit.access.principals import ROLES
from service_kit.database import Database

SECRETS = "/webhook-secrets"
INSTALLATION = [b"a-secret-of-webhooks-in-these-tests-only"]

MakeKey = Callable[[str, str], NewKey]


@pytest.fixture
def make_key(access_database: str) -> MakeKey:
    keys = KeyService(Database(access_database))
    return lambda owner, role: keys.create(KeyRequest(owner, ROLES[role]))


@pytest.mark.parametrize(("owner", "role"), [("alice", "writer"), ("local", "writer"), ("root", "admin")])
def test_a_key_gets_the_secrets_that_sign_its_webhooks(
    client: FlaskClient, make_key: MakeKey, owner: str, role: str
) -> None:
    key, bearer = make_key(owner, role)

    answer = client.get(SECRETS, headers={"Authorization": f"Bearer {bearer}"})

    [secret] = secrets_of_key(key.id, INSTALLATION)
    assert answer.get_json() == {"secrets": [f"whsec_{b64encode(secret).decode()}"]}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_key_without_the_scope_gets_no_secrets(client: FlaskClient, make_key: MakeKey) -> None:
    _, bearer = make_key("alice", "reader")

    answer = client.get(SECRETS, headers={"Authorization": f"Bearer {bearer}"})

    assert (answer.status_code, answer.get_json()["code"]) == (403, "scope-missing")


def test_a_request_without_a_key_gets_no_secrets(client: FlaskClient) -> None:
    answer = client.get(SECRETS)

    assert (answer.status_code, answer.get_json()["code"]) == (404, "no-webhook-secret")
    assert INSTALLATION[0].decode() not in answer.get_data(as_text=True)
