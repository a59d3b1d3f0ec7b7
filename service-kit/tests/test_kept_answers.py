"""Responses that are built once and cached."""

import gzip

import pytest
from flask import Flask
from flask.testing import FlaskClient
from service_kit.kept_answers import KeptAnswer

BODY = b'{"a": 1}' * 100


@pytest.fixture
def client() -> FlaskClient:
    app, answer = Flask(__name__), KeptAnswer(BODY)
    app.add_url_rule("/", "kept", answer.response)
    return app.test_client()


def test_an_answer_has_its_bytes_and_a_strong_tag(client: FlaskClient) -> None:
    response = client.get("/")

    assert (response.status_code, response.data, response.mimetype) == (200, BODY, "application/json")
    assert response.headers["ETag"].startswith('"')


def test_an_answer_is_compressed_if_that_is_accepted(client: FlaskClient) -> None:
    response = client.get("/", headers={"Accept-Encoding": "gzip, br;q=0.5"})

    assert response.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(response.data) == BODY
    assert response.headers["Content-Length"] == str(len(response.data))


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_who_has_the_answer_in_a_coding_gets_304(client: FlaskClient, coding: str) -> None:
    tag = client.get("/", headers={"Accept-Encoding": coding}).headers["ETag"]

    again = client.get("/", headers={"Accept-Encoding": coding, "If-None-Match": tag})

    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)


def test_caches_ask_each_time_and_keep_a_copy_of_each_coding(client: FlaskClient) -> None:
    response = client.get("/")

    assert response.headers["Cache-Control"] == "private, no-cache"
    assert response.headers["Vary"] == "Accept-Encoding"
