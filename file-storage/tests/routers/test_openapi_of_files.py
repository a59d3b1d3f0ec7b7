"""The OpenAPI document of the file server, as read by client generators."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import cast

import pytest
from file_storage.app import create_app
from file_storage.config import Settings
from flask.testing import FlaskClient

from tests.support.openapi import faults_of, operations_of, takes_a_key

JSON_FIELDS: Mapping[str, object] = {"name": "b", "comment": "c", "folder": "d", "expires_in": 60}


@pytest.fixture
def client(settings: Settings, restored_logging: None) -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def document(client: FlaskClient) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    found: Mapping[str, Mapping[str, Mapping[str, object]]] | None = client.get("/openapi.json").json
    assert found is not None
    return found


def schema_of_json(document: Mapping[str, Mapping[str, Mapping[str, object]]], form: str) -> dict[str, object]:
    """Return the schema of the JSON in the part ``json`` of a form."""
    schema = document["components"]["schemas"][form]
    assert isinstance(schema, dict)
    part = schema["properties"]["json"]
    assert part["contentMediaType"] == "application/json"
    assert isinstance(part["contentSchema"], dict)
    return part["contentSchema"]


def test_the_document_is_openapi_and_every_reference_resolves(
    document: Mapping[str, Mapping[str, Mapping[str, object]]],
) -> None:
    assert str(document["openapi"]).startswith("3.1.")
    assert faults_of(document) == []


def test_the_document_has_the_requests_of_resumable_uploads(
    document: Mapping[str, Mapping[str, Mapping[str, object]]],
) -> None:
    assert set(document["paths"]["/uploads/"]) == {"options", "post"}
    assert set(document["paths"]["/uploads/{upload_id}"]) == {"head", "patch", "delete"}


def test_the_document_has_the_idempotency_key_where_the_server_takes_it(
    client: FlaskClient, document: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> None:
    operations = list(operations_of(document))

    documented = [operation for operation in operations if "Idempotency-Key" in operation.parameters.get("header", ())]

    assert {(operation.method, operation.path) for operation in documented} == {
        ("POST", "/"),
        ("PUT", "/"),
        ("POST", "/{id}/copy"),
    }
    assert documented == [operation for operation in operations if takes_a_key(client, operation)]


def test_the_document_has_the_owner_of_a_file_only_in_lookups(
    document: Mapping[str, Mapping[str, Mapping[str, object]]],
) -> None:
    schemas = document["components"]["schemas"]
    lookup = cast("Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]", schemas["LookupOut"])
    name = lookup["properties"]["files"]["items"]["$ref"].rpartition("/")[2]
    found, file = (cast("Mapping[str, Mapping[str, object]]", schemas[each]) for each in (name, "File"))

    assert "owner" not in file["properties"]
    assert found["properties"].keys() == file["properties"].keys() | {"owner"}
    assert "owner" not in found["required"]


def test_the_document_has_the_json_part_of_a_form(
    client: FlaskClient, document: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> None:
    schema = schema_of_json(document, "NewFileForm")

    parts = {"file": (BytesIO(b"1"), "a.jpg"), "json": json.dumps(JSON_FIELDS)}
    made = client.post("/", data=parts)
    refused = client.post("/", data={"file": (BytesIO(b"1"), "a.jpg"), "json": '{"other": 1}'})

    assert schema["properties"].keys() == JSON_FIELDS.keys()  # type: ignore[attr-defined]  # a document
    assert schema["additionalProperties"] is False
    assert (made.status_code, refused.status_code) == (201, 422)


def test_the_document_has_the_json_part_of_a_form_with_many_files(
    client: FlaskClient, document: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> None:
    schema = schema_of_json(document, "NewFilesForm")
    fields = document["components"]["schemas"]["BatchFields"]
    sent = {**JSON_FIELDS, "idempotency_key": "key"}

    parts = {"file": (BytesIO(b"1"), "a.jpg"), "json": json.dumps([sent])}
    made = client.post("/batch", data=parts)
    refused = client.post("/batch", data={"file": (BytesIO(b"1"), "a.jpg"), "json": '[{"other": 1}]'})

    assert (schema["type"], schema["maxItems"], schema["items"]) == (
        "array",
        100,
        {"$ref": "#/components/schemas/BatchFields"},
    )
    assert fields["properties"].keys() == sent.keys()  # type: ignore[index]  # a document
    assert fields["additionalProperties"] is False  # type: ignore[index]  # a document
    assert (made.status_code, refused.status_code) == (200, 422)
