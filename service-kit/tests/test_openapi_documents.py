"""Every reference in the OpenAPI documents resolves."""

import pytest
from pydantic import BaseModel
from service_kit.openapi import ConflictingSchemasError, complete, schema_of


class Leaf(BaseModel):
    name: str


class Branch(BaseModel):
    leaves: list[Leaf]


class Tree(BaseModel):
    branches: list[Branch]


def other_leaf() -> type[BaseModel]:
    class Leaf(BaseModel):
        name: int

    class Bush(BaseModel):
        leaf: Leaf

    return Bush


def test_a_schema_refers_to_its_parts_in_the_document() -> None:
    assert schema_of(Tree)["properties"] == {
        "branches": {"title": "Branches", "type": "array", "items": {"$ref": "#/components/schemas/Branch"}}
    }


def test_a_document_gets_the_parts_of_its_schemas_and_their_parts() -> None:
    document = complete({"paths": {"/trees": schema_of(Tree)}, "components": {"schemas": {"Other": {}}}})

    assert document["components"] == {
        "schemas": {
            "Other": {},
            "Branch": {
                "title": "Branch",
                "type": "object",
                "required": ["leaves"],
                "properties": {
                    "leaves": {"title": "Leaves", "type": "array", "items": {"$ref": "#/components/schemas/Leaf"}}
                },
            },
            "Leaf": {
                "title": "Leaf",
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"title": "Name", "type": "string"}},
            },
        }
    }


def test_a_document_gets_no_schema_that_it_does_not_refer_to() -> None:
    schema_of(Tree)

    assert complete({"paths": {}})["components"] == {"schemas": {}}


def test_a_schema_with_two_names_keeps_the_first() -> None:
    schemas = {"Leaf": {"title": "Leaf", "type": "object"}, "LeafOut": {"type": "object", "title": "Leaf"}}
    document = {"paths": {"/leaf": {"$ref": "#/components/schemas/LeafOut"}}, "components": {"schemas": schemas}}

    assert complete(document) == {
        "paths": {"/leaf": {"$ref": "#/components/schemas/Leaf"}},
        "components": {"schemas": {"Leaf": {"title": "Leaf", "type": "object"}}},
    }


def test_schemas_of_the_same_shape_stay_if_their_titles_differ() -> None:
    schemas = {"Leaf": {"title": "Leaf", "type": "object"}, "Twig": {"title": "Twig", "type": "object"}}

    assert complete({"paths": {}, "components": {"schemas": schemas}})["components"] == {"schemas": schemas}


def test_two_different_parts_of_a_name_are_refused() -> None:
    schema_of(Branch)

    with pytest.raises(ConflictingSchemasError, match="'Leaf'"):
        schema_of(other_leaf())
