"""Algorithms over HTTP: pipelines, presets, params with file ids, and results in other formats."""

import io
import json
import zipfile

import pytest
from image_processor.algorithms.registry import all_algorithms
from pixmill.client.answers import File

from tests.support.client import TASKS, Served, assert_problem, ended_task, processed_bytes, stored_so_far
from tests.support.images import opened, photo


def result_of(pixmill: Served, task_id: int) -> File:
    """Wait for the task; return its result file."""
    task = ended_task(pixmill, task_id)
    assert task.result_id is not None, task
    return pixmill.files.get(task.result_id)


@pytest.mark.both_stacks
def test_a_pipeline_runs_all_its_steps(pixmill: Served) -> None:
    steps = [
        {"algorithm": "resize", "params": {"width": 32}},
        {"algorithm": "grayscale"},
        {"algorithm": "border", "params": {"width": 2, "color": "#ff0000"}},
    ]

    result = opened(
        processed_bytes(pixmill, photo(), "p.png", "pipeline", {"steps": steps, "output": {"format": "webp"}})
    )

    assert (result.format, result.size) == ("WEBP", (36, 28))
    red, green, blue = result.convert("RGB").getpixel((0, 0))  # type: ignore[misc]  # a pixel of RGB
    assert red > 200 > 60 > max(green, blue)


def test_a_result_of_another_format_has_its_extension(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(format="JPEG"), name="Photo.JPG").id

    made = result_of(pixmill, pixmill.run([source], "flip", params={"output": {"format": "webp"}}).task_ids[0])
    again = result_of(pixmill, pixmill.run([source], "flip", params={"output": {"format": "webp"}}).task_ids[0])
    same = result_of(pixmill, pixmill.run([source], "flip").task_ids[0])

    assert (made.name, made.extension, made.media_type) == ("Photo", ".webp", "image/webp")
    assert again.extension == ".webp", "a cached result has the extension too"
    assert same.extension == ".jpg", "the extension of the source"


def test_an_analysis_is_a_json_file(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id

    file = result_of(pixmill, pixmill.run([source], "info").task_ids[0])

    assert file.extension == ".json"
    assert json.loads(pixmill.files.read(file))["width"] == 64


def test_an_analysis_may_end_a_pipeline(pixmill: Served) -> None:
    steps = [{"algorithm": "resize", "params": {"width": 10}}, {"algorithm": "info"}]

    assert json.loads(processed_bytes(pixmill, photo(), "p.png", "pipeline", {"steps": steps}))["width"] == 10


def test_tiles_are_a_zip(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(600, 400), name="p.png").id

    file = result_of(pixmill, pixmill.run([source], "tile").task_ids[0])

    assert file.extension == ".zip"
    assert zipfile.ZipFile(io.BytesIO(pixmill.files.read(file))).testzip() is None


@pytest.mark.parametrize(
    ("algorithm", "params", "pointer", "known"),
    [
        ("blur", {"sigma": 3}, "/params/sigma", "radius"),
        ("resize", {"width": 9, "output": {"formt": "webp"}}, "/params/output/formt", "format"),
        ("pipeline", {"steps": [{"algorithm": "flip", "parms": {}}]}, "/params/steps/0/parms", "params"),
        ("pipeline", {"steps": [{"algorithm": "blur", "params": {"r": 1}}]}, "/params/steps/0/params/r", "radius"),
    ],
)
def test_the_error_for_a_misspelled_param_lists_the_params(
    pixmill: Served, algorithm: str, params: dict[str, object], pointer: str, known: str
) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id

    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [source], "algorithm": algorithm, "params": params})

    assert_problem(response, 422, "the fields are: ")
    [wrong] = response.json()["errors"]
    assert wrong["pointer"] == pointer
    assert known in wrong["detail"].split("the fields are: ")[1].split(", ")


def test_a_preset_is_a_pipeline_with_a_name(pixmill: Served) -> None:
    presets = {preset["name"]: preset["params"] for preset in pixmill.http.get(f"{TASKS}/presets").json()}
    source = pixmill.files.upload(photo(400, 300, format="JPEG"), name="me.jpg").id

    response = pixmill.http.post(f"{TASKS}/", json={"file_ids": [source], "preset": "avatar"})

    assert response.status_code == 201, response.text
    task_id = response.json()["task_ids"][0]
    result = opened(pixmill.files.read(result_of(pixmill, task_id)))
    assert (result.format, result.size) == ("WEBP", (256, 256))
    task = pixmill.http.get(f"{TASKS}/{task_id}").json()
    assert (task["algorithm"], task["params"]) == ("pipeline", presets["avatar"])


def test_params_may_name_another_file(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    mark = pixmill.files.upload(photo(20, 20, mode="RGBA"), name="mark.png").id
    params = {"mark": {"file_id": mark}, "opacity": 100}

    file = result_of(pixmill, pixmill.run([source], "watermark", params=params).task_ids[0])

    assert opened(pixmill.files.read(file)).size == (64, 48)


def test_an_image_may_be_overlaid_on_itself(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id

    file = result_of(pixmill, pixmill.run([source], "overlay", params={"file_id": source}).task_ids[0])

    assert opened(pixmill.files.read(file)).size == (64, 48)


def test_the_cache_key_includes_the_content_of_named_files(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    marks = [pixmill.files.upload(photo(*size), name="mark.png").id for size in ((20, 20), (20, 20), (20, 10))]
    tasks = [pixmill.run([source], "watermark", params={"mark": {"file_id": mark}}).task_ids[0] for mark in marks]

    first, equal, other = (result_of(pixmill, task).sha256 for task in tasks)

    assert first == equal != other


def test_a_named_file_that_is_not_an_image_ends_the_task_in_error(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    other = pixmill.files.upload(b"no image", name="x.txt").id

    task = ended_task(pixmill, pixmill.run([source], "overlay", params={"file_id": other}).task_ids[0])

    assert task.status == "error"
    assert f"File {other}" in str(task.error)


STEPS_OF = {
    "unknown algorithm": ([{"algorithm": "nope"}], 422, "no algorithm 'nope'"),
    "wrong param": (
        [{"algorithm": "flip"}, {"algorithm": "resize", "params": {"width": 0}}],
        422,
        "/params/steps/1/params/width",
    ),
    "missing param": ([{"algorithm": "tint"}], 422, "/params/steps/0/params/color"),
    "two spellings": (
        [{"algorithm": "tint", "params": {"color": "red", "colour": "red"}}],
        422,
        "`color` and `colour` are the same parameter",
    ),
    "an analysis in the middle": ([{"algorithm": "info"}, {"algorithm": "flip"}], 422, "must be the last step"),
    "output within": ([{"algorithm": "flip", "params": {"output": {}}}], 422, "/params/steps/0/params/output"),
    "a pipeline within": ([{"algorithm": "pipeline", "params": {"steps": []}}], 422, "no algorithm 'pipeline'"),
    "no steps": ([], 422, "/params/steps"),
    "too many steps": ([{"algorithm": "flip"}] * 21, 422, "/params/steps"),
    "a number in quotes": ([{"algorithm": "blur", "params": {"radius": "2"}}], 422, "radius"),
    "no file": ([{"algorithm": "overlay", "params": {"file_id": 999999999}}], 404, "999999999"),
}


@pytest.mark.parametrize(("steps", "status", "word"), STEPS_OF.values(), ids=STEPS_OF.keys())
def test_an_invalid_pipeline_creates_no_task(pixmill: Served, steps: list[object], status: int, word: str) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    before = stored_so_far(pixmill)

    response = pixmill.http.post(
        f"{TASKS}/", json={"file_ids": [source], "algorithm": "pipeline", "params": {"steps": steps}}
    )

    assert_problem(response, status, word)
    assert stored_so_far(pixmill) == before


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({"preset": "nope"}, 404, "avatar"),
        ({"preset": "avatar", "algorithm": "flip"}, 422, "either algorithm"),
        ({"preset": "avatar", "params": {}}, 422, "its own params"),
        ({}, 422, "either algorithm"),
    ],
)
def test_an_invalid_preset_creates_no_task(pixmill: Served, body: dict[str, object], status: int, word: str) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id

    assert_problem(pixmill.http.post(f"{TASKS}/", json={"file_ids": [source], **body}), status, word)


@pytest.mark.both_stacks
def test_every_algorithm_runs_on_the_server(pixmill: Served) -> None:
    source = pixmill.files.upload(photo(), name="p.png").id
    others: dict[int, object] = {
        2: pixmill.files.upload(photo(mode="RGBA"), name="q.png").id,
        3: pixmill.files.upload(photo(), name="r.png").id,
    }
    cube = pixmill.files.upload(b"LUT_1D_SIZE 2\n0 0 0\n1 1 1\n", name="film.cube").id

    tasks = {}
    for algorithm in all_algorithms().values():
        params = with_files(algorithm.example, {2: cube} if algorithm.name == "lut" else others)
        tasks[algorithm.name] = pixmill.run([source], algorithm.name, params=params).task_ids[0]

    ended = {name: ended_task(pixmill, task_id) for name, task_id in tasks.items()}
    assert "No face" in str(ended.pop("crop_faces").error)
    assert {name: task.error for name, task in ended.items() if task.status != "finished"} == {}


def with_files(params: object, files: dict[int, object]) -> dict[str, object]:
    """Return the params with the example ids replaced by ids of real files."""

    def replaced(name: str, value: object) -> object:
        if isinstance(value, dict):
            return {key: replaced(key, part) for key, part in value.items()}
        if name == "others" and isinstance(value, list):
            return [files[number] for number in value]
        return files[value] if name == "file_id" and isinstance(value, int) else value

    made = replaced("", params)
    assert isinstance(made, dict)
    return made


def test_the_list_of_algorithms_describes_their_params(pixmill: Served) -> None:
    algorithms = {item["name"]: item for item in pixmill.http.get(f"{TASKS}/algorithms").json()}

    assert len(algorithms) >= 58
    assert algorithms["resize"]["params"]["properties"]["width"]["examples"]
    assert (algorithms["info"]["result"], algorithms["montage"]["frames"]) == ("json", "first")
    assert (algorithms["resize"]["streams"], algorithms["rotate"]["streams"]) == (True, False)
    assert all(algorithm["summary"] for algorithm in algorithms.values())
