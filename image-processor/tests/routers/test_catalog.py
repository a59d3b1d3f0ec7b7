"""The list of algorithms: compression, revalidation, languages, schemas and hints."""

import gzip
import json
from collections.abc import Mapping
from typing import cast

import jsonschema_rs
import pytest
from flask.testing import FlaskClient

pytestmark = pytest.mark.slow

Json = Mapping[str, object]
PLACES = ("/algorithms", "/catalog")


def algorithms_in(client: FlaskClient, place: str = "/algorithms", language: str | None = None) -> Mapping[str, Json]:
    headers = {} if language is None else {"Accept-Language": language}
    answer = json.loads(client.get(place, headers=headers).data)
    listed = cast("list[Json]", answer if place == "/algorithms" else answer["algorithms"])
    return {str(algorithm["name"]): algorithm for algorithm in listed}


@pytest.mark.parametrize("place", PLACES)
def test_who_has_the_list_gets_304(client: FlaskClient, place: str) -> None:
    first = client.get(place)

    again = client.get(place, headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.data) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]


@pytest.mark.parametrize("place", PLACES)
def test_a_tag_of_another_list_gets_the_list(client: FlaskClient, place: str) -> None:
    assert client.get(place, headers={"If-None-Match": '"other"'}).status_code == 200


@pytest.mark.parametrize("place", PLACES)
def test_the_list_is_compressed_for_who_accepts_it(client: FlaskClient, place: str) -> None:
    plain, compressed = client.get(place), client.get(place, headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in plain.headers
    assert compressed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(compressed.data) == plain.data
    assert compressed.headers["ETag"] != plain.headers["ETag"]
    assert "Accept-Encoding" in plain.headers["Vary"]


def test_a_client_that_refuses_gzip_gets_plain_bytes(client: FlaskClient) -> None:
    assert "Content-Encoding" not in client.get("/algorithms", headers={"Accept-Encoding": "gzip;q=0"}).headers


@pytest.mark.parametrize("place", PLACES)
def test_the_list_is_in_english_by_default_and_for_other_languages(client: FlaskClient, place: str) -> None:
    for language in (None, "de"):
        crop = algorithms_in(client, place, language)["crop"]
        assert (crop["title"], crop["category_title"]) == ("Crop", "Geometry")


@pytest.mark.parametrize("place", PLACES)
def test_the_list_is_in_russian_for_who_prefers_it(client: FlaskClient, place: str) -> None:
    response = client.get(place, headers={"Accept-Language": "ru"})
    blur = algorithms_in(client, place, "ru")["blur"]

    assert response.headers["Content-Language"] == "ru"
    assert "Accept-Language" in response.headers["Vary"]
    assert (blur["title"], blur["summary"]) == ("Размыть", "Размыть изображение.")


def test_the_languages_have_different_tags(client: FlaskClient) -> None:
    tags = {
        client.get("/algorithms", headers={"Accept-Language": language}).headers["ETag"] for language in ("en", "ru")
    }

    assert len(tags) == 2


def test_params_are_described_in_russian(client: FlaskClient) -> None:
    params = cast("Mapping[str, Mapping[str, Json]]", algorithms_in(client, language="ru")["blur"]["params"])

    method = params["properties"]["method"]
    assert method["title"] == "Способ"
    assert cast("Json", method["x-pixmill"])["labels"] == {
        "gaussian": "По Гауссу",
        "box": "Квадратом",
        "motion": "Движение",
    }


def test_each_schema_alone_accepts_the_example_of_its_algorithm(client: FlaskClient) -> None:
    for algorithm in algorithms_in(client).values():
        jsonschema_rs.validator_for(cast("dict[str, object]", algorithm["params"])).validate(algorithm["example"])


def test_the_schemas_of_the_document_accept_the_examples_too(client: FlaskClient) -> None:
    document = json.loads(client.get("/catalog").data)

    for algorithm in document["algorithms"]:
        schema = {"$defs": document["$defs"], **algorithm["params"]}
        jsonschema_rs.validator_for(schema).validate(algorithm["example"])


def test_a_schema_of_the_document_refuses_wrong_params(client: FlaskClient) -> None:
    document = json.loads(client.get("/catalog").data)
    [blur] = [algorithm for algorithm in document["algorithms"] if algorithm["name"] == "blur"]

    assert not jsonschema_rs.is_valid({"$defs": document["$defs"], **blur["params"]}, {"radius": -1})


def test_the_document_is_much_shorter_than_the_list(client: FlaskClient) -> None:
    assert len(client.get("/catalog").data) * 3 < 2 * len(client.get("/algorithms").data)


def test_a_problem_is_in_russian_for_who_prefers_it(client: FlaskClient) -> None:
    response = client.get("/77", headers={"Accept-Language": "ru"})

    assert response.status_code == 404
    assert response.headers["Content-Language"] == "ru"
    assert "Accept-Language" in response.headers["Vary"]
    assert response.json == {
        "type": "urn:pixmill:problem:task-not-found",
        "title": "Не найдено",
        "status": 404,
        "detail": "Задачи 77 нет.",
        "code": "task-not-found",
        "context": {"task_id": 77},
    }


def test_wrong_fields_are_explained_in_russian_with_their_codes(client: FlaskClient) -> None:
    body = {"file_ids": [1], "algorithm": "resize", "params": {"width": 20_000}}
    response = client.post("/", json=body, headers={"Accept-Language": "ru"})

    assert response.status_code == 422
    assert response.json is not None
    assert response.json["detail"] == "В запросе ошибки: /params/width: Нужно значение не больше 16384"
    assert response.json["errors"] == [
        {
            "pointer": "/params/width",
            "detail": "Нужно значение не больше 16384",
            "code": "less_than_equal",
            "context": {"le": 16384},
        }
    ]
