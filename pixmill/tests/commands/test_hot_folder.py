"""The state of a hot folder, and the paths of its results."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from http.client import (
    CONFLICT,
    CREATED,
    IM_A_TEAPOT,
    INSUFFICIENT_STORAGE,
    NOT_FOUND,
    OK,
    REQUEST_ENTITY_TOO_LARGE,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNPROCESSABLE_ENTITY,
)
from pathlib import Path

import pytest
from pixmill.client.uploads import SMALL
from pixmill.commands.console import Exit
from pixmill.commands.hot_folder import Memory, ResultPaths
from typer.testing import Result

from pixmill import File, Retries
from tests.support.answering import Answer, FakeServer, file_row, problem, with_request_ids

pytestmark = pytest.mark.slow

Command = Callable[..., Result]
CONTENT = b"result"
RESULTS = {9: "a", 10: "b"}
PRESET = {"name": "web", "params": {"steps": []}}
SYNC = ("sync", "inbox", "--once", "--run", "web", "--out", "out")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path


def run_of_two(method: str, path: str, _body: bytes) -> Answer:
    """Answer as a server with a finished run of two files."""
    digest = hashlib.sha256(CONTENT).hexdigest()
    rows = [
        file_row(number, name=name, extension=".webp", size=len(CONTENT), sha256=digest)
        for number, name in RESULTS.items()
    ]
    tasks = [
        {"id": number, "source_id": number - 8, "result_id": number, "status": "finished", "algorithm": "flip"}
        for number in RESULTS
    ]
    if path.endswith("/download"):
        return OK, CONTENT
    if path.endswith("/lookup"):
        return OK, {"files": rows}
    if path.endswith("/presets"):
        return OK, [PRESET]
    if "/batches/7" in path:
        return OK, {"id": 7, "status": "ended", "algorithm": "flip", "tasks": 2}
    if method == "GET" and path.endswith("/image-processing/"):
        return OK, tasks
    if method == "GET":
        return OK, next((row for row in rows if path.endswith(f"/{row['id']}")), rows)
    return problem(NOT_FOUND, "unexpected")


def result(name: str, extension: str) -> File:
    return File(id=9, name=name, extension=extension, comment="", size=1, sha256="", media_type="")


def test_another_program_goes_on_with_the_memory() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps["a.jpg"] = [3, 7]
    memory.planned = {"key": "k", "files": {"a.jpg": 1}}
    memory.keep()

    again = Memory.of("http://here", "/inbox")

    assert (again.stamps, again.planned) == ({"a.jpg": [3, 7]}, {"key": "k", "files": {"a.jpg": 1}})


def test_another_server_has_another_memory() -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.stamps["a.jpg"] = [3, 7]
    memory.keep()

    assert Memory.of("http://there", "/inbox").stamps == {}


@pytest.mark.parametrize("damaged", ["", "[]", "{", '{"stamps": 5}'])
def test_a_damaged_memory_is_an_empty_one(damaged: str) -> None:
    memory = Memory.of("http://here", "/inbox")
    memory.path.parent.mkdir(parents=True)
    memory.path.write_text(damaged)

    assert Memory.of("http://here", "/inbox").stamps == {}


def test_what_failed_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    memory = Memory.of("http://here", "/inbox")

    for _ in range(2):
        memory.printed.say(OSError("no room"), "a.jpg")

    assert capsys.readouterr().err.count("no room") == 1


def test_a_result_lies_where_its_source_does() -> None:
    paths = ResultPaths.of(["deep/a.jpg", "deep/b.jpg", "a.jpg"])

    assert paths.of_result("deep/a.jpg", result("a", ".webp")) == Path("deep/a.webp")


def test_results_of_files_that_differ_in_their_extension_do_not_replace_each_other() -> None:
    paths = ResultPaths.of(["a.jpg", "a.png"])

    found = [paths.of_result(source, result("a", ".webp")) for source in ("a.jpg", "a.png")]

    assert found == [Path("a.jpg.webp"), Path("a.png.webp")]


def test_a_source_with_the_name_of_another_ones_result_keeps_its_extension() -> None:
    sources = ["a.jpg", "a.png", "a.jpg.webp", "a.jpg.webp.tif", "b", "b.jpg"]
    paths = ResultPaths.of(sources)

    found = {paths.of_result(source, result("a", ".webp")) for source in sources}

    assert len(found) == len(sources)


def test_a_result_is_not_written_into_a_folder_of_its_name() -> None:
    sources = ["a.webp/a.jpg", "a.jpg"]
    paths = ResultPaths.of(sources)

    found = [paths.of_result(source, result("a", ".webp")) for source in sources]

    assert found == [Path("a.webp/a.webp"), Path("a.jpg.webp")]


def memory_of(fake_server: FakeServer) -> Memory:
    """Return the state of ``SYNC``, whose folder it creates."""
    Path("inbox").mkdir()
    return Memory.of(fake_server.url, str(Path("inbox").resolve()), json.dumps({"preset": "web"}), "")


@pytest.mark.parametrize(
    ("failure", "code"),
    [(problem(SERVICE_UNAVAILABLE, "unavailable"), Exit.UNREACHABLE), ((OK, b"damage"), Exit.SOME_FAILED)],
    ids=["away", "damaged"],
)
def test_a_result_that_was_not_fetched_is_fetched_later_and_no_other_one_again(
    fake_server: FakeServer, command: Command, failure: Answer, code: Exit
) -> None:
    memory = memory_of(fake_server)
    memory.running = {"7": {"a.jpg": 1, "b.jpg": 2}}
    memory.keep()

    def answer(method: str, path: str, body: bytes) -> Answer:
        return failure if path.endswith("/10/download") else run_of_two(method, path, body)

    fake_server.answer = answer
    first = command(*SYNC)
    fake_server.answer = run_of_two
    fake_server.requests.clear()
    second = command(*SYNC)

    assert (first.exit_code, second.exit_code) == (code, 0)
    assert (first.stdout, second.stdout) == ("out/a.webp\n", "out/b.webp\n")
    assert fake_server.paths("/download") == ["/api/file-server/10/download"]
    assert Path("out/b.webp").read_bytes() == CONTENT


def test_a_run_whose_result_was_deleted_is_not_asked_for_again(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.running = {"7": {"a.jpg": 1, "b.jpg": 2}}
    memory.keep()

    def answer(method: str, path: str, body: bytes) -> Answer:
        gone = problem(NOT_FOUND, "file-not-found")
        return gone if path.endswith("/10/download") else run_of_two(method, path, body)

    fake_server.answer = answer
    first = command(*SYNC)
    fake_server.requests.clear()
    second = command(*SYNC)

    assert (first.exit_code, second.exit_code) == (Exit.SOME_FAILED, 0)
    assert fake_server.paths("/batches/7") == []


def keep_running(running: Mapping[str, Mapping[str, int]], fake_server: FakeServer) -> None:
    """Save a state in which these runs have results that were not fetched."""
    memory = memory_of(fake_server)
    memory.running = {run: dict(sources) for run, sources in running.items()}
    memory.keep()


def test_the_files_of_a_deleted_run_count_as_failures(fake_server: FakeServer, command: Command) -> None:
    keep_running({"7": {"a.jpg": 1, "b.jpg": 2}}, fake_server)

    def answer(method: str, path: str, body: bytes) -> Answer:
        return problem(NOT_FOUND, "batch-not-found") if "/batches/" in path else run_of_two(method, path, body)

    fake_server.answer = answer
    first = command(*SYNC)
    fake_server.requests.clear()
    second = command(*SYNC)

    assert (first.exit_code, second.exit_code) == (Exit.SOME_FAILED, 0)
    assert fake_server.paths("/batches/7") == []


@pytest.mark.parametrize("listed", [1, 2], ids=["before", "meanwhile"])
def test_a_deleted_task_counts_as_a_failure_and_the_others_have_their_results(
    fake_server: FakeServer, command: Command, listed: int
) -> None:
    keep_running({"7": {"a.jpg": 1, "b.jpg": 2}}, fake_server)

    def answer(method: str, path: str, body: bytes) -> Answer:
        status, document, *_ = run_of_two(method, path, body)
        is_list = method == "GET" and path.endswith("/image-processing/")
        if is_list and isinstance(document, list) and len(fake_server.paths(path)) >= listed:
            return status, document[:1]
        return status, document

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, run.stdout) == (Exit.SOME_FAILED, "out/a.webp\n")
    assert run.stderr == "b.jpg: somebody has deleted its task\n"


def test_a_deleted_result_is_not_taken_for_a_task_that_failed(fake_server: FakeServer, command: Command) -> None:
    keep_running({"7": {"a.jpg": 1, "b.jpg": 2}}, fake_server)

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/lookup"):
            rows = run_of_two(method, path, body)[1]
            return OK, {"files": rows["files"][:1]} if isinstance(rows, dict) else {}
        return run_of_two(method, path, body)

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, run.stdout) == (Exit.SOME_FAILED, "out/a.webp\n")
    assert run.stderr == "b.jpg: somebody has deleted its result\n"


def test_paths_that_the_server_stores_as_one_file_all_have_its_result(
    fake_server: FakeServer, command: Command
) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"a.JPG": 1, "a.jpg": 1}
    memory.stamps = {"a.JPG": [3, 7], "a.jpg": [3, 7]}
    memory.keep()
    runs: list[object] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        if method == "POST" and path.endswith("/image-processing/"):
            runs.append(json.loads(body)["file_ids"])
            return CREATED, {"batch_id": 7, "task_ids": [9]}
        return run_of_two(method, path, body)

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, runs) == (0, [[1]])
    assert run.stdout == "out/a.JPG.webp\nout/a.jpg.webp\n"


def test_a_run_that_alone_exceeds_the_limit_of_tasks_becomes_several(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"a.jpg": 1, "b.jpg": 2}
    memory.keep()
    runs: list[object] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        if method != "POST" or not path.endswith("/image-processing/"):
            return run_of_two(method, path, body)
        ids = json.loads(body)["file_ids"]
        if len(ids) > 1:
            return problem(TOO_MANY_REQUESTS, "too-many-pending-tasks")
        runs.append(ids)
        return CREATED, {"batch_id": int("7" * len(runs)), "task_ids": [9]}

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, runs) == (0, [[1], [2]])
    assert run.stdout == "out/a.webp\nout/b.webp\n"


def test_a_run_that_exceeds_the_limit_of_tasks_begins_once_the_earlier_one_has_ended(
    fake_server: FakeServer, command: Command
) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"b.jpg": 2}
    memory.running = {"7": {"a.jpg": 1}}
    memory.keep()

    def answer(method: str, path: str, body: bytes) -> Answer:
        if method != "POST" or not path.endswith("/image-processing/"):
            return run_of_two(method, path, body)
        has_ended = bool(fake_server.paths("/batches/7"))
        created = (CREATED, {"batch_id": 77, "task_ids": [10]})
        return created if has_ended else problem(TOO_MANY_REQUESTS, "too-many-pending-tasks")

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, run.stdout) == (0, "out/a.webp\nout/b.webp\n")


def test_a_limit_of_tasks_that_others_use_up_ends_the_command(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"a.jpg": 1}
    memory.keep()

    def answer(method: str, path: str, body: bytes) -> Answer:
        is_run = method == "POST" and path.endswith("/image-processing/")
        status, document = problem(TOO_MANY_REQUESTS, "too-many-pending-tasks")
        return (status, document, {"Retry-After": "0"}) if is_run else run_of_two(method, path, body)

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, len(fake_server.paths("/image-processing/"))) == (Exit.UNREACHABLE, Retries().attempts)


def test_a_file_that_changes_before_its_run_is_repeated_is_processed_too(
    fake_server: FakeServer, command: Command
) -> None:
    memory_of(fake_server)
    path = Path("inbox/a.jpg")
    runs: list[object] = []

    def stored(method: str, path: str, body: bytes) -> Answer:
        """Store uploads as file 1 and 2, and begin the runs 7 and 77."""
        if method == "PUT":
            digest = hashlib.sha256(body).hexdigest()
            return CREATED, file_row(1 + (body == b"new"), name="a", extension=".jpg", sha256=digest)
        if path.endswith("/lookup") and b"sha256" in body:
            return OK, {"files": []}
        if method == "POST" and path.endswith("/image-processing/"):
            runs.append(json.loads(body)["file_ids"])
            return CREATED, {"batch_id": int("7" * len(runs)), "task_ids": [9]}
        return run_of_two(method, path, body)

    def away(method: str, path: str, body: bytes) -> Answer:
        is_run = method == "POST" and path.endswith("/image-processing/")
        return problem(SERVICE_UNAVAILABLE, "unavailable") if is_run else stored(method, path, body)

    fake_server.answer = away
    path.write_bytes(b"old")
    first = command(*SYNC)
    fake_server.answer = stored
    path.write_bytes(b"new")
    os.utime(path, ns=(0, 0))
    second = command(*SYNC)

    assert (first.exit_code, second.exit_code) == (Exit.UNREACHABLE, 0)
    assert runs == [[1], [2]]


def test_a_result_that_is_fetched_late_does_not_replace_that_of_a_newer_version(
    fake_server: FakeServer, command: Command
) -> None:
    keep_running({"7": {"a.jpg": 1}, "77": {"a.jpg": 2}}, fake_server)

    def answer(method: str, path: str, body: bytes) -> Answer:
        return (OK, b"damage") if path.endswith("/9/download") else run_of_two(method, path, body)

    fake_server.answer = answer
    first = command(*SYNC)
    fake_server.answer = run_of_two
    fake_server.requests.clear()
    second = command(*SYNC)

    assert (first.exit_code, first.stdout) == (Exit.SOME_FAILED, "out/a.webp\n")
    assert (second.exit_code, second.stdout, fake_server.paths("/download")) == (0, "", [])


def test_the_runs_that_an_earlier_build_saved_have_their_results(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.path.parent.mkdir(parents=True, exist_ok=True)
    memory.path.write_text('{"running": {"7": {"1": "a.jpg", "2": "b.jpg"}}}')
    fake_server.answer = run_of_two

    run = command(*SYNC)

    assert (run.exit_code, run.stdout) == (0, "out/a.webp\nout/b.webp\n")


def with_a_missing_preset(method: str, path: str, body: bytes) -> Answer:
    missing = problem(NOT_FOUND, "preset-not-found")
    return missing if method == "POST" and path.endswith("/image-processing/") else run_of_two(method, path, body)


def test_a_missing_preset_ends_the_command_and_its_files_wait(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"a.jpg": 9, "b.jpg": 10}
    memory.keep()

    def answer(method: str, path: str, body: bytes) -> Answer | None:
        # A command that repeats the request without end has to fail in this test.
        is_new = len(fake_server.paths("/image-processing/")) < 5
        return with_a_missing_preset(method, path, body) if is_new else problem(IM_A_TEAPOT, "too-often")

    fake_server.answer = answer
    run = command(*SYNC)

    assert (run.exit_code, len(fake_server.paths("/image-processing/"))) == (Exit.NOT_FOUND, 1)
    assert "preset-not-found" in run.stderr
    again = Memory.of(fake_server.url, str(Path("inbox").resolve()), json.dumps({"preset": "web"}), "")
    assert again.waiting == {"a.jpg": 9, "b.jpg": 10}


def test_a_deleted_file_is_left_out_of_the_run(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.waiting = {"a.jpg": 9, "c.jpg": 99}
    memory.keep()
    runs: list[object] = []

    def answer(method: str, path: str, body: bytes) -> Answer:
        if method == "POST" and path.endswith("/image-processing/"):
            runs.append(json.loads(body)["file_ids"])
            created = (CREATED, {"batch_id": 7, "task_ids": [9, 10]})
            return created if len(runs) == 2 else problem(NOT_FOUND, "file-not-found")
        return run_of_two(method, path, body)

    fake_server.answer = answer
    run = command(*SYNC)

    assert runs == [[9, 99], [9]]
    assert run.exit_code == Exit.SOME_FAILED
    assert "c.jpg: somebody has deleted it on the server\n" in run.stderr


@pytest.mark.parametrize("out", [".", "inbox", "inbox/deep/.."])
def test_results_above_the_sources_are_refused(command: Command, out: str) -> None:
    Path("inbox/deep").mkdir(parents=True)
    Path("inbox/a.jpg").touch()

    run = command("sync", "inbox", "--once", "--run", "web", "--out", out)

    assert (run.exit_code, "--out must not be inbox" in run.stderr) == (Exit.USAGE, True)


def test_a_server_that_stays_away_is_reported_once(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    rounds = iter(range(4))

    def pause(_seconds: float) -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt

    fake_server.answer = lambda _method, _path, _body: None
    monkeypatch.setattr("time.sleep", pause)

    run = command("sync", "inbox")

    assert (run.exit_code, run.stderr.count(f"{fake_server.url} does not answer")) == (Exit.INTERRUPTED, 1)


def test_a_server_that_is_not_available_is_reported_once(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    rounds = iter(range(3))

    def pause(_seconds: float) -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt

    fake_server.answer = with_request_ids(problem(SERVICE_UNAVAILABLE, "unavailable"))
    monkeypatch.setattr("time.sleep", pause)

    run = command("sync", "inbox")

    assert (run.exit_code, run.stderr.count("unavailable.")) == (Exit.INTERRUPTED, 1)


def test_a_file_that_is_refused_and_its_earlier_result_that_is_damaged_are_reported_once_each(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = memory_of(fake_server)
    memory.running = {"7": {"a.jpg": 1}}
    memory.keep()
    Path("inbox/a.jpg").write_bytes(b"changed")
    rounds = iter(range(3))

    def pause(_seconds: float) -> None:
        if next(rounds, None) is None:
            raise KeyboardInterrupt

    def answer(method: str, path: str, body: bytes) -> Answer:
        if method == "PUT":
            return problem(CONFLICT, "conflict")
        return (OK, b"damage") if path.endswith("/download") else run_of_two(method, path, body)

    fake_server.answer = answer
    monkeypatch.setattr("time.sleep", pause)
    run = command("sync", "inbox", "--run", "web", "--out", "out")

    assert [line.partition(":")[0] for line in run.stderr.splitlines()[:-1]] == ["a.jpg", "a.jpg"]
    assert run.stderr.count("conflict.") == run.stderr.count("was damaged in transit") == 1


REFUSALS = [problem(REQUEST_ENTITY_TOO_LARGE, "too-large"), problem(UNPROCESSABLE_ENTITY, "invalid-name")]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["too large", "not valid"])
def test_a_refused_file_is_sent_and_reported_again_only_once_it_has_changed(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch, refusal: tuple[int, object]
) -> None:
    Path("inbox").mkdir()
    path = Path("inbox/a.txt")
    path.write_bytes(b"old")
    sent: list[list[bytes]] = []

    def pause(_seconds: float) -> None:
        sent.append([body for method, _, body in fake_server.requests if method == "PUT"])
        if len(sent) == 4:
            path.write_bytes(b"new")
            os.utime(path, ns=(0, 0))
        if len(sent) == 8:
            raise KeyboardInterrupt

    fake_server.answer = lambda _method, path, _body: (OK, {"files": []}) if path.endswith("/lookup") else refusal
    monkeypatch.setattr("time.sleep", pause)

    run = command("sync", "inbox")

    # A file is sent in the second round that finds it as it is.
    assert sent == [[], *4 * [[b"old"]], *3 * [[b"old", b"new"]]]
    assert [line.partition(":")[0] for line in run.stderr.splitlines()[:-1]] == ["a.txt", "a.txt"]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["too large", "not valid"])
def test_a_single_round_with_a_refused_file_ends_with_an_error_each_time(
    fake_server: FakeServer, command: Command, refusal: tuple[int, object]
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    fake_server.answer = lambda _method, path, _body: (OK, {"files": []}) if path.endswith("/lookup") else refusal

    runs = [command("sync", "inbox", "--once") for _ in range(2)]

    assert [run.exit_code for run in runs] == [Exit.SOME_FAILED] * 2
    assert [run.stderr.count("a.txt: ") for run in runs] == [1, 1]


def test_a_hot_folder_without_room_is_sent_less_and_less_often(
    fake_server: FakeServer, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("inbox").mkdir()
    Path("inbox/a.txt").write_bytes(CONTENT)
    waits: list[float] = []

    def pause(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            raise KeyboardInterrupt

    def answer(_method: str, path: str, _body: bytes) -> Answer:
        return (OK, {"files": []}) if path.endswith("/lookup") else problem(INSUFFICIENT_STORAGE, "quota-exceeded")

    fake_server.answer = answer
    monkeypatch.setattr("time.sleep", pause)
    monkeypatch.setattr("random.uniform", lambda _least, _most: 1.0)

    command("sync", "inbox", "--every", "3")

    assert waits == [3, 3, 6, 12]


def test_all_json_objects_have_the_same_fields(fake_server: FakeServer, command: Command) -> None:
    memory = memory_of(fake_server)
    memory.running = {"7": {"b.jpg": 2}}
    memory.keep()
    Path("inbox/a.jpg").write_bytes(CONTENT)

    def answer(method: str, path: str, body: bytes) -> Answer:
        if path.endswith("/lookup") and b"sha256" in body:
            digest = hashlib.sha256(CONTENT).hexdigest()
            return OK, {"files": [file_row(1, name="a", extension=".jpg", sha256=digest)]}
        if method == "POST" and path.endswith("/image-processing/"):
            return CREATED, {"batch_id": 77, "task_ids": [9]}
        return run_of_two(method, path, body)

    fake_server.answer = answer
    run = command(*SYNC, "--json=path,id,result_id,result")

    assert run.exit_code == 0, run.stderr
    assert [json.loads(line) for line in run.stdout.splitlines()] == [
        {"path": "a.jpg", "id": 1, "result_id": None, "result": None},
        {"path": "b.jpg", "id": 2, "result_id": 10, "result": "out/b.webp"},
        {"path": "a.jpg", "id": 1, "result_id": 9, "result": "out/a.webp"},
    ]


def test_an_unknown_field_is_refused_before_the_first_upload(fake_server: FakeServer, command: Command) -> None:
    memory_of(fake_server)
    Path("inbox/a.jpg").write_bytes(CONTENT)

    run = command(*SYNC, "--json=path,resutl")

    assert (run.exit_code, fake_server.requests) == (Exit.USAGE, [])
    assert "'resutl'" in run.stderr


def test_the_files_before_an_error_of_the_whole_upload_are_remembered(
    fake_server: FakeServer, command: Command
) -> None:
    Path("inbox").mkdir()
    with Path("inbox/large.bin").open("wb") as large:
        large.truncate(SMALL + 1)
    Path("inbox/small.txt").write_bytes(CONTENT)
    digest = hashlib.sha256(Path("inbox/large.bin").read_bytes()).hexdigest()

    def answer(_method: str, _path: str, body: bytes) -> Answer:
        if digest.encode() in body:
            return OK, {"files": [file_row(1, name="large", extension=".bin", sha256=digest)]}
        return problem(SERVICE_UNAVAILABLE, "unavailable")

    fake_server.answer = answer
    first = command("sync", "inbox", "--once")
    fake_server.requests.clear()
    second = command("sync", "inbox", "--once")

    assert (first.exit_code, first.stdout) == (Exit.UNREACHABLE, "1\tlarge.bin\n")
    assert (second.exit_code, second.stdout) == (Exit.UNREACHABLE, "")
    assert not any(digest.encode() in body for _, _, body in fake_server.requests)


def test_a_file_in_place_of_a_folder_of_results_is_named(fake_server: FakeServer, command: Command) -> None:
    keep_running({"7": {"deep/a.jpg": 1}}, fake_server)
    fake_server.answer = run_of_two
    Path("out").mkdir()
    Path("out/deep").touch()

    run = command(*SYNC)

    assert (run.exit_code, run.stderr) == (
        Exit.SOME_FAILED,
        "deep/a.jpg: 'out/deep' is a file; give a folder\n",
    )
