"""Start, stop and maintenance of the embedded stack."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.client import FILES, Served, assert_problem, ended_task, result_bytes
from tests.support.environment import ENVIRONMENT, PROJECT, SCRIPTS
from tests.support.images import opened, photo
from tests.support.processes import Process, children_of, free_port, processes_of
from tests.support.stacks import EmbeddedStack
from tests.support.waiting import STATE_SECONDS, wait_until


def serve(*options: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [str(SCRIPTS / "pixmill"), "serve", "--project", str(PROJECT), *options]
    env = ENVIRONMENT | environment
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=STATE_SECONDS, check=False)


def maintain(command: str, data: Path) -> "subprocess.CompletedProcess[str]":
    options = ["--data", str(data), "--project", str(PROJECT)]
    return subprocess.run(
        [str(SCRIPTS / "pixmill"), command, *options], env=ENVIRONMENT, capture_output=True, text=True, check=False
    )


# Stopping any embedded stack already tests SIGTERM (tests.support.stacks).
@pytest.mark.thorough
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_every_process(tmp_path: Path, number: int) -> None:
    stack = EmbeddedStack(tmp_path)
    assert processes_of(stack.data)

    stack.process.popen.send_signal(number)

    assert stack.process.popen.wait(STATE_SECONDS) == 0
    assert processes_of(stack.data) == {}


@pytest.mark.thorough
@pytest.mark.parametrize("seconds", [0.3, 0.8, 1.5])
def test_a_signal_during_the_start_stops_every_process(tmp_path: Path, seconds: float) -> None:
    command = [str(SCRIPTS / "pixmill"), "serve", "--project", str(PROJECT), "--port", str(free_port())]
    process = Process("pixmill serve", [*command, "--data", str(tmp_path / "data")], ENVIRONMENT, tmp_path / "log")
    process.wait_until((tmp_path / "data/scratch").exists)
    time.sleep(seconds)

    process.popen.send_signal(signal.SIGTERM)

    assert process.popen.wait(STATE_SECONDS) == 0
    assert processes_of(tmp_path) == {}


# pixmill/tests/test_supervision.py tests the same with a child that is not a server.
@pytest.mark.thorough
def test_no_process_is_left_when_the_server_dies(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    children = children_of(stack.process.popen.pid)
    [server] = [child for child in children if "uwsgi" in Path(f"/proc/{child}/cmdline").read_text()]

    os.kill(server, signal.SIGKILL)

    assert stack.process.popen.wait(STATE_SECONDS) != 0
    assert processes_of(stack.data) == {}


@pytest.mark.thorough
def test_no_process_is_left_when_the_launcher_dies(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)

    stack.process.popen.kill()

    wait_until(lambda: not processes_of(stack.data), "no process is left")


@pytest.mark.thorough
def test_several_ranges_get_the_whole_file_where_there_is_no_disk_space_for_them(tmp_path: Path) -> None:
    first = EmbeddedStack(tmp_path)
    with Served(first.url) as client:
        file = client.files.upload(b"0123456789", name="a.bin")
    first.stop()

    full = EmbeddedStack(tmp_path, {"FILE_STORAGE_STORAGE__RESERVE_BYTES": str(2**62)})
    with Served(full.url) as client:
        response = client.http.get(f"{FILES}/{file.id}/download", headers={"Range": "bytes=0-1,4-5"})
    full.stop()

    assert (response.status_code, response.content) == (200, b"0123456789")


@pytest.mark.thorough
def test_tasks_continue_after_a_restart(tmp_path: Path) -> None:
    first = EmbeddedStack(tmp_path)
    with Served(first.url) as client:
        source = client.files.upload(photo(1200, 900), name="p.png")
        task_ids = [client.run([source.id], "resize", params={"width": 1000 + n}).task_ids[0] for n in range(30)]
    first.stop()

    second = EmbeddedStack(tmp_path)
    with Served(second.url) as client:
        tasks = [ended_task(client, task_id) for task_id in task_ids]
        widths = [opened(result_bytes(client, task)).width for task in tasks]
    second.stop()

    assert widths == [1000 + n for n in range(30)]


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        ended = serve("--port", str(port), "--data", str(tmp_path))

    assert ended.returncode != 0
    assert ended.stderr.splitlines() == [
        f"pixmill: cannot listen on 127.0.0.1:{port} (Address already in use);"
        " choose another with --port, or PORT= of make"
    ]


def test_an_impossible_data_folder_is_one_clear_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    ended = serve("--port", str(free_port()), "--data", str(file))

    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert "choose another with --data, or DATA= of make" in ended.stderr


def test_an_address_that_others_reach_needs_another_mode(tmp_path: Path) -> None:
    ended = serve("--host", "0.0.0.0", "--port", str(free_port()), "--data", str(tmp_path))

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("pixmill: ")
    assert "0.0.0.0" in line
    assert "'keys'" in line
    assert "'open'" in line


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("WORKER_LIMITS__MAX_SECONDS", "many", "limits.max_seconds"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in (
                ("ACCESS_AUTH__MODE", "everyone", "auth.mode"),
                ("FILE_STORAGE_UPLOAD__MAX_BYTES", "many", "upload.max_bytes"),
                ("FILE_STORAGE_DATABASE__POOL_SIZE", "2", "16 threads"),
                ("IMAGE_PROCESSOR_CONFIG", "/nowhere.yml", "/nowhere.yml"),
                ("WEBHOOKS_NOTHING", "1", "WEBHOOKS_NOTHING"),
                ("RENDER_POOL__NOTHING", "1", "RENDER_POOL__NOTHING"),
            )
        ),
    ],
)
def test_a_wrong_setting_of_any_process_is_one_clear_line(tmp_path: Path, name: str, value: str, word: str) -> None:
    ended = serve("--port", str(free_port()), "--data", str(tmp_path), **{name: value})

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("pixmill: ")
    assert word in line
    assert list(tmp_path.glob("*.db")) == [], "nothing is migrated"


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("FILE_STORAGE_UPLOAD__MAX_BYTES", "many", "upload.max_bytes"),
        *(
            pytest.param(*case, marks=pytest.mark.thorough)
            for case in (
                ("FILE_STORAGE_UPLOAD__MAX_BITES", "1", "FILE_STORAGE_UPLOAD__MAX_BITES"),
                ("FILE_STORAGE_DOWNLOAD__REDIRECT", "true", "storage.url"),
                ("FILE_STORAGE_DATABASE__POOL_SIZE", "2", "16 threads"),
                ("FILE_STORAGE_CONFIG", "/nowhere.yml", "/nowhere.yml"),
            )
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_clear_line(name: str, value: str, word: str) -> None:
    environment = ENVIRONMENT | {"FILE_STORAGE_DATABASE__URL": "sqlite://", "PIXMILL_THREADS": "16", name: value}
    command = [str(SCRIPTS / "python"), "-m", "file_storage.migrations"]

    ended = subprocess.run(command, env=environment, cwd=PROJECT, capture_output=True, text=True, check=False)

    assert ended.returncode != 0
    assert len(ended.stderr.splitlines()) == 1
    assert word in ended.stderr


@pytest.mark.thorough
def test_files_are_checked_while_the_server_runs(tmp_path: Path) -> None:
    stack = EmbeddedStack(tmp_path)
    with Served(stack.url) as pixmill:
        pixmill.files.upload(b"whole", name="whole.bin")
        lost = pixmill.files.upload(b"lost", name="lost.bin")
    [blob] = (stack.files / "blobs").rglob(str(lost.sha256))
    blob.unlink()

    checked = maintain("fsck", stack.data)
    collected = maintain("gc", stack.data)
    stack.stop()

    events = [json.loads(line) for line in checked.stderr.splitlines()]
    assert [(line["event"], line.get("file_ids")) for line in events] == [
        ("blob lost", [lost.id]),
        ("files checked", None),
    ]
    assert checked.returncode == 1
    assert (collected.returncode, json.loads(collected.stderr)["event"]) == (0, "garbage collected")


def test_a_folder_without_data_is_not_checked(tmp_path: Path) -> None:
    checked = maintain("fsck", tmp_path)

    assert checked.returncode == 1
    assert checked.stderr.splitlines() == [
        f"pixmill: there are no files of a Pixmill in {tmp_path}; name its data folder with --data"
    ]
    assert list(tmp_path.iterdir()) == []


# nginx refuses such a body before it is sent: tests/e2e/test_nginx_limits.py.
@pytest.mark.thorough
def test_a_body_that_is_too_long_is_refused(embedded: EmbeddedStack) -> None:
    pieces = (bytes(1024 * 1024) for _ in range(257))
    length = {"Content-Length": str(257 * 1024 * 1024)}

    with Served(embedded.url) as client:
        response = client.http.put(f"{FILES}/a.bin", content=pieces, headers=length)

    assert_problem(response, 413, "268435456")


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, deflate", "gzip"), ("identity", None)])
def test_the_page_is_compressed_for_clients_that_accept_it(
    embedded: EmbeddedStack, accepted: str, encoding: str | None
) -> None:
    with Served(embedded.url) as client:
        [asset] = re.findall(r'src="(/assets/[\w-]+\.js)"', client.http.get("/").text)

        response = client.http.get(asset, headers={"Accept-Encoding": accepted})

    assert response.headers.get("Content-Encoding") == encoding
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert response.headers["Vary"] == "Accept-Encoding"
    assert response.content == (PROJECT / f"web/dist{asset}").read_bytes()
