"""The OpenAPI document of the image processor, as read by client generators."""

from collections.abc import Mapping

from flask.testing import FlaskClient

from tests.support.openapi import faults_of, operations_of, takes_a_key

Document = Mapping[str, Mapping[str, Mapping[str, Mapping[str, object]]]]


def document_of(client: FlaskClient) -> Document:
    found: Document | None = client.get("/openapi.json").json
    assert found is not None
    return found


def test_the_document_is_openapi_and_every_reference_resolves(client: FlaskClient) -> None:
    document = document_of(client)

    assert str(document["openapi"]).startswith("3.1.")
    assert faults_of(document) == []


def test_the_document_has_the_data_of_each_event(client: FlaskClient) -> None:
    document = document_of(client)

    stream = document["paths"]["/events"]["get"]["responses"]["200"]["content"]["text/event-stream"]  # type: ignore[index]  # a document
    assert stream["x-events"] == {
        "task": {"$ref": "#/components/schemas/TaskEventOut"},
        "batch": {"$ref": "#/components/schemas/BatchEventOut"},
    }
    assert document["components"]["schemas"]["TaskEventOut"]["properties"].keys() == {  # type: ignore[attr-defined]  # a document
        *("id", "status", "result_id", "batch_id", "error", "problem")
    }


def test_the_document_has_the_webhooks(client: FlaskClient) -> None:
    assert set(document_of(client)["webhooks"]["task"]) == {"post"}


def test_the_document_has_the_idempotency_key_where_the_server_takes_it(client: FlaskClient) -> None:
    operations = list(operations_of(document_of(client)))

    documented = [operation for operation in operations if "Idempotency-Key" in operation.parameters.get("header", ())]

    assert [(operation.method, operation.path) for operation in documented] == [("POST", "/")]
    assert documented == [operation for operation in operations if takes_a_key(client, operation)]
