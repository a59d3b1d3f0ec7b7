"""The OpenAPI document of the file server, as read by client generators."""

from collections.abc import Mapping

import pytest
from file_storage.app import create_app
from file_storage.config import Settings

from tests.support.openapi import faults_of


@pytest.fixture
def document(settings: Settings, restored_logging: None) -> Mapping[str, Mapping[str, Mapping[str, object]]]:
    found: Mapping[str, Mapping[str, Mapping[str, object]]] | None = (
        create_app().test_client().get("/openapi.json").json
    )
    assert found is not None
    return found


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
