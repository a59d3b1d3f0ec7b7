"""Answers: unknown fields are kept, and missing ones are an error."""

import dataclasses
import pkgutil

import pytest
from pixmill.client.answers import Answer

from pixmill import Algorithm, Batch, File, Link, Metadata, Preset, Task, UnexpectedAnswerError
from tests.support.file_service import Server

ROW: dict[str, object] = {"id": 1, "source_id": 2, "status": "finished", "algorithm": "flip", "result_id": 3}


def test_what_a_newer_server_sends_is_kept() -> None:
    task = Task.of({**ROW, "run_id": 7})

    assert task.result_id == 3
    assert task.extra == {"run_id": 7}


@pytest.mark.parametrize("document", [{"id": 1}, [], "text", None])
def test_what_is_not_an_answer_is_an_error(document: object) -> None:
    with pytest.raises(UnexpectedAnswerError):
        Task.of(document)


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        (Algorithm, "image_processor.routers.catalog:AlgorithmOut"),
        (Batch, "image_processor.routers.batches:BatchDetailOut"),
        (File, "file_storage.routers.trash:TrashedOut"),
        (Metadata, "image_processor.render.routers.metadata:MetadataOut"),
        (Preset, "image_processor.routers.presets:PresetOut"),
        (Task, "image_processor.routers.tasks:TaskOut"),
    ],
)
def test_an_answer_has_all_fields_that_this_server_sends(answer: type[Answer], sent: str) -> None:
    model = pkgutil.resolve_name(sent)

    assert model.model_fields.keys() - {entry.name for entry in dataclasses.fields(answer)} == set()


def test_a_link_has_all_fields_that_this_server_sends(server: Server) -> None:
    file = server.http.put("/", query_string={"name": "a.txt"}, data=b"a").json or {}
    server.http.post("/links", json={"file_ids": [file["id"]]})

    assert [Link.of(row).extra for row in server.http.get("/links").json or []] == [{}]


def test_a_file_has_the_path_of_its_folder() -> None:
    row = {"id": 1, "name": "a", "extension": ".jpg", "comment": "", "size": 1, "sha256": "", "media_type": ""}

    assert File.of(row).path == "a.jpg"
    assert File.of({**row, "folder": "holiday/2026"}).path == "holiday/2026/a.jpg"


def test_a_batch_counts_tasks_that_were_deleted_as_ended() -> None:
    cause = {"cause": "No … there.", "tasks": 2, "task_id": 7, "error": "No 5 there."}
    row = {"id": 1, "status": "running", "algorithm": "flip", "tasks": 10, "errors": [cause]}

    batch = Batch.of({**row, "counts": {"pending": 2, "processing": 1, "finished": 3, "error": 2}})

    assert batch.ended_tasks == 7
    assert [(item.tasks, item.task_id) for item in batch.errors] == [(2, 7)]
