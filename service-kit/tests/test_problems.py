"""Problem documents (RFC 9457), and the JSON pointers (RFC 6901) to invalid fields."""

import json
from pathlib import Path
from typing import Annotated, Literal

import pytest
from psycopg.errors import DiskFull
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, RootModel, ValidationError
from service_kit.database import Database
from service_kit.database_problems import database_failed, database_unavailable
from service_kit.errors import DomainError, FieldError
from service_kit.problems import Problem, invalid_request, problem_of
from service_kit.texts import sentence
from sqlalchemy.exc import DBAPIError


class Crop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["crop"]
    width: int = Field(ge=1)
    gravity: str = Field("center", alias="anchor")


class Blur(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["blur"]
    radius: float


class Order(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    crop: Crop | None = None
    crops: list[Crop] = []
    steps: list[Annotated[Crop | Blur, Field(discriminator="kind")]] = []
    size: int | list[int] = 0
    either: Crop | Blur | None = None


class Crops(RootModel[list[Crop]]):
    pass


def found(model: type[BaseModel], data: object, prefix: str = "") -> Problem:
    with pytest.raises(ValidationError) as raised:
        model.model_validate(data)
    return invalid_request(raised.value, data, prefix, model)


def pointers(problem: Problem) -> list[str]:
    return [error["pointer"] for error in problem.errors]


def resolved(document: object, pointer: str) -> object:
    """Return the value at a JSON pointer (RFC 6901, 4)."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        document = document[int(name)] if isinstance(document, list) else document[name]  # type: ignore[index]
    return document


@pytest.mark.parametrize(
    ("status", "title"), [(400, "Bad Request"), (404, "Not Found"), (409, "Conflict"), (503, "Service Unavailable")]
)
def test_a_problem_has_the_members_of_rfc_9457(status: int, title: str) -> None:
    document = Problem("file-not-found", status, "There is no file 7.").document()

    assert document == {
        "type": "urn:pixmill:problem:file-not-found",
        "title": title,
        "status": status,
        "detail": "There is no file 7.",
        "code": "file-not-found",
        "context": {},
    }


def test_a_status_without_a_phrase_has_the_kind_as_its_title() -> None:
    assert Problem("client-closed-request", 499, "").document()["title"] == "Client closed request"


def test_invalid_fields_are_listed_in_the_member_errors() -> None:
    errors: list[FieldError] = [{"pointer": "/name", "detail": "Field required", "code": "missing", "context": {}}]

    document = Problem("invalid-fields", 422, "", errors).document()

    assert json.loads(json.dumps(document))["errors"] == errors


def test_a_field_of_our_own_rule_has_the_code_of_the_problem_and_the_values_of_its_sentence() -> None:
    detail = sentence("There is no file {file_id}.", file_id=7)

    document = Problem("file-not-found", 404, "", [{"pointer": "/file_ids", "detail": detail}]).document()

    assert document["errors"] == [
        {
            "pointer": "/file_ids",
            "detail": "There is no file 7.",
            "code": "file-not-found",
            "context": {"file_id": 7},
        }
    ]


def test_the_context_of_a_problem_has_the_values_of_its_sentence() -> None:
    problem = Problem("file-not-found", 404, sentence("There is no file {file_id}.", file_id=7))

    assert problem.document()["context"] == {"file_id": 7}


def test_a_context_may_have_other_values_than_the_sentence() -> None:
    detail = sentence("The file, or one of the files, was just deleted.")

    problem = Problem("file-not-found", 404, detail, context={"file_id": None})

    assert problem.document()["context"] == {"file_id": None}


def test_a_domain_error_keeps_its_context_as_a_problem() -> None:
    error = DomainError("file-not-found", sentence("There is no file {what}.", what="x"), context={"file_id": None})

    assert problem_of(error, {"file-not-found": 404}).document()["context"] == {"file_id": None}


def test_the_context_of_invalid_fields_has_each_pointer_once() -> None:
    detail = sentence("These parameters may be given only once: {names}", names="a, b")
    errors: list[FieldError] = [{"pointer": pointer, "detail": "wrong"} for pointer in ("/a", "/b", "/a")]

    problem = Problem("invalid-fields", 422, detail, errors)

    assert problem.document()["context"] == {"fields": ["/a", "/b"]}


def test_an_unknown_field_has_the_same_values_whether_or_not_the_known_ones_are() -> None:
    known = found(Order, {"name": "a", "other": 1}).errors[0]["context"]
    unknown = found(Order, {"name": "a", "steps": [{"kind": "blur", "radius": 1, "other": 1}]}).errors[0]["context"]

    assert known.keys() == unknown.keys() == {"fields"}


def test_retry_after_is_not_a_member_of_the_document() -> None:
    assert Problem("busy", 503, "", retry_after=5).document().keys() == {
        *("type", "title", "status", "detail", "code", "context")
    }


def test_a_problem_reads_as_its_detail() -> None:
    assert str(Problem("file-not-found", 404, "There is no file 7.")) == "There is no file 7."


def test_problems_do_not_share_their_errors() -> None:
    Problem("first", 422, "").errors.append({"pointer": "/name", "detail": "wrong"})

    assert Problem("second", 422, "").errors == []


def test_an_unavailable_database_has_a_retry_after() -> None:
    problem = database_unavailable()

    assert (problem.kind, problem.status) == ("database-unavailable", 503)
    assert problem.retry_after


def test_a_full_disk_of_sqlite_is_not_a_database_that_is_away(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'full.db'}")

    with pytest.raises(DBAPIError) as refused, database.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        connection.exec_driver_sql("CREATE TABLE files (name TEXT)")

    assert (database_failed(refused.value).kind, database_failed(refused.value).status) == ("database-full", 507)


def test_a_full_disk_of_postgresql_is_not_a_database_that_is_away() -> None:
    problem = database_failed(DBAPIError("INSERT", {}, DiskFull()))

    assert (problem.kind, problem.status) == ("database-full", 507)


def test_any_other_error_of_a_database_may_pass() -> None:
    assert database_failed(DBAPIError("SELECT", {}, ConnectionRefusedError())).kind == "database-unavailable"


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"name": 5}, "/name"),
        ({"name": "a", "crop": {"kind": "crop", "width": 0}}, "/crop/width"),
        ({"name": "a", "crops": [{"kind": "crop", "width": 1}, {"kind": "crop", "width": "x"}]}, "/crops/1/width"),
        ({"name": "a", "crops": [5]}, "/crops/0"),
        ({"name": "a", "crops": {}}, "/crops"),
        ({"name": "a", "steps": [{"kind": "blur", "radius": "x"}]}, "/steps/0/radius"),
        ({"name": "a", "size": [1, "x"]}, "/size/1"),
        ({"name": "a", "other": 1}, "/other"),
    ],
)
def test_a_pointer_leads_to_the_invalid_value_in_the_request(data: dict[str, object], pointer: str) -> None:
    problem = found(Order, data)

    assert pointer in pointers(problem)
    for found_pointer in pointers(problem):
        resolved(data, found_pointer)


@pytest.mark.parametrize(("field", "pointer"), [("a/b", "/a~1b"), ("a~b", "/a~0b"), ("~1", "/~01"), ("", "/")])
def test_a_pointer_is_escaped_as_rfc_6901_says(field: str, pointer: str) -> None:
    data = {"name": "a", field: 1}

    problem = found(Order, data)

    assert pointers(problem) == [pointer]
    assert resolved(data, pointer) == 1


def test_the_pointer_to_the_whole_document_is_empty() -> None:
    problem = found(Order, 5)

    assert pointers(problem) == [""]
    assert "the whole: " in problem.detail


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({}, "/name"),
        ({"name": "a", "crop": {"kind": "crop"}}, "/crop/width"),
        ({"name": "a", "steps": [{"kind": "blur", "radius": 1}, {"kind": "blur"}]}, "/steps/1/radius"),
    ],
)
def test_a_pointer_names_the_field_that_is_missing(data: dict[str, object], pointer: str) -> None:
    problem = found(Order, data)

    assert problem.errors == [{"pointer": pointer, "detail": "Field required", "code": "missing", "context": {}}]


@pytest.mark.parametrize(
    ("data", "code", "context"),
    [
        ({"name": "a", "crop": {"kind": "crop", "width": 0}}, "greater_than_equal", {"ge": 1}),
        ({"name": "a", "other": 1}, "extra_forbidden", {"fields": "name, crop, crops, steps, size, either"}),
        ({"name": 5}, "string_type", {}),
        ({}, "missing", {}),
    ],
)
def test_a_field_has_the_code_and_the_values_of_pydantic(
    data: dict[str, object], code: str, context: dict[str, object]
) -> None:
    problem = found(Order, data)

    assert [(error["code"], error["context"]) for error in problem.errors] == [(code, context)]


def test_a_limit_that_is_whole_is_a_whole_number() -> None:
    class Share(BaseModel):
        share: float = Field(le=1.0)

    [error] = found(Share, {"share": 2.5}).errors

    assert json.dumps(error["context"]) == '{"le": 1}'


def test_an_own_check_has_the_values_of_its_sentence() -> None:
    def check(value: int) -> int:
        raise ValueError(sentence("give at most {limit}", limit=3))

    class Checked(BaseModel):
        count: Annotated[int, AfterValidator(check)]

    [error] = found(Checked, {"count": 4}).errors

    assert (error["detail"], error["code"], error["context"]) == ("give at most 3", "value_error", {"limit": 3})


def test_every_wrong_field_is_named() -> None:
    problem = found(Order, {"crop": {"kind": "crop", "width": 0}, "other": 1})

    assert (problem.kind, problem.status) == ("invalid-fields", 422)
    assert set(pointers(problem)) == {"/name", "/crop/width", "/other"}


def test_the_detail_names_the_first_three_wrong_fields() -> None:
    problem = found(Order, {"name": "a", "a": 1, "b": 1, "c": 1, "d": 1})

    assert all(f"/{name}: " in problem.detail for name in "abc")
    assert "/d: " not in problem.detail


def test_at_most_a_hundred_invalid_fields_are_listed() -> None:
    problem = found(Order, {"name": "a"} | {f"field{number}": 1 for number in range(150)})

    assert len(problem.errors) == 100


def test_the_same_error_is_listed_once() -> None:
    problem = found(Order, {"name": "a", "either": {"kind": "crop", "other": 1}})

    assert pointers(problem).count("/either/other") == 1


def test_a_prefix_precedes_every_pointer() -> None:
    problem = found(Order, {"crop": {"kind": "crop", "width": 0}}, "/params")

    assert set(pointers(problem)) == {"/params/name", "/params/crop/width"}


@pytest.mark.parametrize(
    ("model", "data", "known"),
    [
        (Order, {"name": "a", "other": 1}, "name, crop, crops, steps, size, either"),
        (Order, {"name": "a", "crop": {"kind": "crop", "width": 1, "other": 1}}, "kind, width, anchor"),
        (Order, {"name": "a", "crops": [{"kind": "crop", "width": 1, "other": 1}]}, "kind, width, anchor"),
        (Crops, [{"kind": "crop", "width": 1, "other": 1}], "kind, width, anchor"),
    ],
)
def test_the_error_for_an_unknown_field_lists_the_known_ones(model: type[BaseModel], data: object, known: str) -> None:
    problem = found(model, data)

    assert [error["detail"] for error in problem.errors] == [f"Unknown field; the fields are: {known}"]


def test_no_known_fields_are_listed_where_several_models_are_possible() -> None:
    problem = found(Order, {"name": "a", "steps": [{"kind": "blur", "radius": 1, "other": 1}]})

    [error] = problem.errors
    assert error["pointer"] == "/steps/0/other"
    assert "fields are" not in error["detail"]


def test_an_unknown_field_is_named_without_a_model() -> None:
    data = {"name": "a", "other": 1}
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(data)

    problem = invalid_request(raised.value, data)

    assert pointers(problem) == ["/other"]
    assert "fields are" not in problem.detail


def test_at_most_100_fields_are_named_and_each_only_once() -> None:
    class Numbers(BaseModel):
        model_config = ConfigDict(extra="forbid")

        either: list[int | float]

    many = found(Numbers, {"either": [], **{f"k{number}": 1 for number in range(5000)}})
    twice = found(Numbers, {"either": ["a"]})

    assert pointers(many) == [f"/k{number}" for number in range(100)]
    assert len({(error["pointer"], error["detail"]) for error in twice.errors}) == len(twice.errors)


class _Cat(BaseModel):
    kind: Literal["cat"]


class _Dog(BaseModel):
    kind: Literal["dog"]


class _Owner(BaseModel):
    pet: Annotated[_Cat | _Dog, Field(discriminator="kind")]


@pytest.mark.parametrize("kind", ["{kind} or {0}", "a or {tag.__class__}", "} or {"])
def test_braces_of_a_request_are_not_placeholders(kind: str) -> None:
    data = {"pet": {"kind": kind}}
    with pytest.raises(ValidationError) as refused:
        _Owner.model_validate(data)

    document = invalid_request(refused.value, data).document("ru")

    assert kind in str(document["detail"])
