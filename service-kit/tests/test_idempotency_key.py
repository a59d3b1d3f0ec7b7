"""The Idempotency-Key in the OpenAPI document."""

import re
from collections.abc import Mapping

import pytest
from service_kit.idempotency_key import takes_key, with_keys

PROBLEM: Mapping[str, object] = {"application/problem+json": {}}
RESPONSES = {status: {"description": "Refused", "content": PROBLEM} for status in ("400", "409", "422")}


def described(**operation: object) -> Mapping[str, object]:
    paths = with_keys({"paths": {"/": {"post": {**operation, "responses": RESPONSES}}}})["paths"]
    assert isinstance(paths, Mapping)
    found = paths["/"]["post"]
    assert isinstance(found, Mapping)
    return found


def header() -> Mapping[str, Mapping[str, object]]:
    parameters = described(**takes_key(is_revocable=True))["parameters"]
    assert isinstance(parameters, list)
    [found] = parameters
    assert isinstance(found, Mapping)
    return found


def test_an_operation_that_takes_no_key_stays_as_it_is() -> None:
    assert described(summary="Add") == {"summary": "Add", "responses": RESPONSES}


def test_the_header_follows_the_other_parameters() -> None:
    operation = described(parameters=[{"name": "id"}], **takes_key(is_revocable=True))

    assert operation["parameters"] == [{"name": "id"}, header()]
    assert operation.keys() == {"parameters", "responses"}


@pytest.mark.parametrize(
    ("key", "matches"),
    [("a", True), ("a b", True), ("~" * 255, True), ("", False), (" a", False), ("a ", False), ("\u00e9", False)],
)
def test_the_pattern_is_that_of_a_key_that_a_header_can_hold(key: str, *, matches: bool) -> None:
    schema = header()["schema"]

    assert (schema["minLength"], schema["maxLength"]) == (1, 255)
    assert bool(re.search(str(schema["pattern"]), key)) == matches


def test_only_where_keys_can_be_revoked_the_document_says_so() -> None:
    said = [str(described(**takes_key(is_revocable=value))["responses"]) for value in (True, False)]

    assert ["-revoked" in text for text in said] == [True, False]
    assert all(f"idempotency-key-{end}" in text for text in said for end in ("in-use", "reused"))
