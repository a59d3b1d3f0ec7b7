"""Query parameters: unknown and repeated ones are refused, and the schema is built once."""

import pytest
from flask import Flask
from pydantic import Field
from service_kit.problems import Problem
from service_kit.query import Query, refuse_unknown_queries, takes_any_query


class Search(Query):
    """The parameters of a search."""

    word: str
    limit: int = Field(10, ge=1)
    kind: str = Field("any", alias="type")


class Nothing(Query):
    """No parameters."""


def refusal(query: type[Query], sent: dict[str, object]) -> Problem:
    with pytest.raises(Problem) as raised:
        query.model_validate(sent)
    assert raised.value.status == 422
    return raised.value


def test_parameters_are_read_as_their_types() -> None:
    found = Search.model_validate({"word": "cat", "limit": "3", "type": "png"})

    assert (found.word, found.limit, found.kind) == ("cat", 3, "png")


def test_an_omitted_parameter_has_its_default() -> None:
    assert Search.model_validate({"word": "cat"}) == Search(word="cat", limit=10, type="any")


def test_the_error_for_an_unknown_parameter_lists_the_known_ones() -> None:
    problem = refusal(Search, {"word": "cat", "offset": "5"})

    [error] = problem.errors
    assert (error["pointer"], error["detail"]) == ("/offset", "Unknown field; the fields are: word, limit, type")


def test_a_query_without_parameters_accepts_none() -> None:
    problem = refusal(Nothing, {"word": "cat"})

    assert [error["pointer"] for error in problem.errors] == ["/word"]


@pytest.mark.parametrize("limit", ["0", "-1", "many", "1.5", ""])
def test_a_wrong_parameter_is_named(limit: str) -> None:
    problem = refusal(Search, {"word": "cat", "limit": limit})

    assert [error["pointer"] for error in problem.errors] == ["/limit"]


def test_every_wrong_parameter_is_named() -> None:
    problem = refusal(Search, {"limit": "0", "offset": "5"})

    assert {error["pointer"] for error in problem.errors} == {"/word", "/limit", "/offset"}


def test_the_schema_is_built_once() -> None:
    assert Search.model_json_schema() is Search.model_json_schema()


def test_each_query_has_the_schema_of_its_own_parameters() -> None:
    assert list(Search.model_json_schema()["properties"]) == ["word", "limit", "type"]  # type: ignore[call-overload]
    assert Nothing.model_json_schema()["properties"] == {}


def test_schemas_with_different_options_are_different() -> None:
    by_name = Search.model_json_schema(by_alias=False)

    assert by_name != Search.model_json_schema()


class Filter(Query):
    """A filter of several kinds."""

    kind: list[str] | None = None
    limit: int | None = None


@pytest.mark.parametrize(
    ("query", "pointers"),
    [
        ("kind=a&kind=b&limit=1", []),
        ("limit=1&limit=2", ["/limit"]),
        ("limit=1&limit=1&kind=a", ["/limit"]),
        ("other=1&other=2", ["/other"]),
    ],
)
def test_only_a_list_takes_a_parameter_twice(query: str, pointers: list[str]) -> None:
    with Flask(__name__).test_request_context(f"/?{query}"):
        try:
            Filter.model_validate({"kind": ["a"]})
            refused = []
        except Problem as problem:
            refused = [error["pointer"] for error in problem.errors]

    assert refused == pointers


def test_a_query_is_refused_where_a_route_defines_none() -> None:
    app = Flask(__name__)
    app.add_url_rule("/none", "none", lambda: "", methods=["GET", "POST"])
    app.add_url_rule("/any", "any", takes_any_query(lambda: ""))
    app.register_error_handler(Problem, lambda problem: (problem.detail, problem.status))
    refuse_unknown_queries(app)
    client = app.test_client()

    assert [client.open("/none?a=1", method=method).status_code for method in ("GET", "POST", "OPTIONS")] == [
        422,
        422,
        200,
    ]
    assert client.get("/none").status_code == 200
    assert client.get("/any?a=1").status_code == 200
    assert client.get("/nowhere?a=1").status_code == 404
