"""The Python client over a network that cuts, delays and duplicates, and after its program is killed."""

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pixmill.client.uploads import UploadOutcome
from pixmill.params import Flip

from pixmill import AsyncPixmill, DamagedTransferError, FileFilter, Pixmill, Retries, UnreachableError
from tests.support.environment import ENVIRONMENT
from tests.support.images import photo
from tests.support.proxy import Faults, proxy
from tests.support.stacks import Stack

PATIENT = Retries(attempts=12, first_seconds=0.05, most_seconds=1)
CUTTING = Faults(cut=0.3, swallow=0.15, delay=0.002, duplicate=0.15)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def direct(stack: Stack) -> Iterator[Pixmill]:
    with Pixmill(stack.url) as client:
        yield client


def uploaded(url: str, paths: list[Path]) -> list[UploadOutcome]:
    with Pixmill(url, retries=PATIENT) as client:
        return list(client.files.upload_many(paths))


def test_each_small_file_is_stored_once_although_answers_are_lost(
    stack: Stack, direct: Pixmill, tmp_path: Path
) -> None:
    mark = os.urandom(6).hex()
    paths = [tmp_path / f"{mark}-{number}.bin" for number in range(300)]
    for path in paths:
        path.write_bytes(os.urandom(2000))

    with proxy(stack.url, CUTTING) as between:
        ends, rest = uploaded(between.url, paths[:200]), iter(paths[200:])
        while not (between.happened["swallow"] and between.happened["duplicate"]):
            # Use a new connection: these faults affect the first request of a connection.
            ends += uploaded(between.url, [next(rest)])
        ends += uploaded(between.url, list(rest))

    assert [end.error for end in ends if end.error] == []
    stored = list(direct.files.list(FileFilter(name=mark)))
    assert len(stored) == len(paths)
    assert {file.sha256 for file in stored} == {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_a_large_file_arrives_and_comes_back_over_connections_that_are_cut(
    stack: Stack, direct: Pixmill, tmp_path: Path
) -> None:
    content = os.urandom(40 * 2**20)
    (tmp_path / "large.bin").write_bytes(content)
    cuts = Faults(cut=0.5, delay=0.0005)

    with proxy(stack.url, cuts, seed=5) as between, Pixmill(between.url, retries=PATIENT) as client:
        file = client.files.upload(tmp_path / "large.bin")
        path = client.files.download(file, tmp_path / "back.bin")

    assert between.happened["cut"] > 0
    assert path.read_bytes() == content
    assert direct.files.get(file.id).size == len(content)


def test_events_go_on_after_the_stream_is_cut(stack: Stack, direct: Pixmill) -> None:
    sources = [direct.files.upload(photo(), name=f"{number}.png") for number in range(2)]
    cuts = Faults(cut=0.95, within=1500)

    with proxy(stack.url, cuts, seed=5) as between, Pixmill(between.url, retries=PATIENT) as client:
        run = client.resume(direct.run(sources, Flip(), cache=False).task_ids)
        ended = [event.task_id for event in run.events() if event.has_ended]

    assert between.happened["cut"] > 0
    assert sorted(ended) == sorted(run.task_ids)


def test_the_asynchronous_client_survives_the_same(stack: Stack, tmp_path: Path) -> None:
    content = os.urandom(20 * 2**20)
    (tmp_path / "large.bin").write_bytes(content)

    async def there_and_back(url: str) -> bytes:
        async with AsyncPixmill(url, retries=PATIENT) as client:
            return await client.files.read(await client.files.upload(tmp_path / "large.bin"))

    with proxy(stack.url, Faults(cut=0.4, swallow=0.1, delay=0.0005), seed=7) as between:
        back = asyncio.run(there_and_back(between.url))

    assert between.happened["cut"] > 0
    assert back == content


def interrupted(stack: Stack, call: str, path: Path, state: Path, number: signal.Signals) -> tuple[int, list[int]]:
    """Send a signal to a program that uploads slowly, after 20 MiB.

    :param call: an expression over ``px``, ``slow`` and the path ``sys.argv[2]``.
    :returns: the exit status, and how many bytes it reported after the signal.
    """
    program = (
        "import sys, time; from pixmill import Pixmill\n"
        "def slow(progress):\n    print(progress.done, flush=True); time.sleep(0.02)\n"
        f"px = Pixmill(sys.argv[1])\n{call}"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, stack.url, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT | {"XDG_STATE_HOME": str(state)},
    ) as running:
        assert running.stdout is not None
        for line in running.stdout:
            if int(line) > 20 * 2**20:
                running.send_signal(number)
                break
        reached = [int(line) for line in running.stdout]
    return running.returncode, reached


def test_an_upload_goes_on_after_its_program_was_killed(stack: Stack, direct: Pixmill, tmp_path: Path) -> None:
    content = os.urandom(48 * 2**20)
    path = tmp_path / "killed.bin"
    path.write_bytes(content)

    interrupted(stack, "px.files.upload(sys.argv[2], on_progress=slow)", path, tmp_path / "state", signal.SIGKILL)
    sent: list[int] = []

    file = direct.files.upload(path, on_progress=lambda progress: sent.append(progress.done))

    assert sent[0] >= 8 * 2**20
    assert direct.files.read(file) == content
    assert list((tmp_path / "state/pixmill/uploads").iterdir()) == []


def test_ctrl_c_stops_an_upload_after_a_chunk_and_it_goes_on_later(
    stack: Stack, direct: Pixmill, tmp_path: Path
) -> None:
    content = os.urandom(48 * 2**20)
    path = tmp_path / f"interrupted-{os.urandom(6).hex()}.bin"
    path.write_bytes(content)

    returned, reached = interrupted(
        stack, "list(px.files.upload_many([sys.argv[2]], on_progress=slow))", path, tmp_path / "state", signal.SIGINT
    )
    stored = list(direct.files.list(FileFilter(name=path.stem)))
    sent: list[int] = []

    file = direct.files.upload(path, on_progress=lambda progress: sent.append(progress.done))

    assert returned != 0
    assert max(reached, default=0) < len(content)
    assert stored == []
    assert sent[0] >= 8 * 2**20
    assert direct.files.read(file) == content


def test_a_download_goes_on_with_the_part_that_is_there(direct: Pixmill, tmp_path: Path) -> None:
    content = os.urandom(3 * 2**20)
    file = direct.files.upload(content, name="part.bin")
    (tmp_path / f".back.bin.{file.sha256[:16]}.part").write_bytes(content[: 2**20])
    reached: list[int] = []

    direct.files.download(file, tmp_path / "back.bin", on_progress=lambda progress: reached.append(progress.done))

    assert reached[0] > 2**20
    assert (tmp_path / "back.bin").read_bytes() == content


def test_a_damaged_part_is_noticed_and_is_gone(direct: Pixmill, tmp_path: Path) -> None:
    file = direct.files.upload(os.urandom(1000), name="damaged.bin")
    (tmp_path / f".back.bin.{file.sha256[:16]}.part").write_bytes(b"damaged")

    with pytest.raises(DamagedTransferError):
        direct.files.download(file, tmp_path / "back.bin")

    assert list(tmp_path.glob("*back.bin*")) == []


def test_a_creation_of_tasks_whose_answers_are_lost_makes_one_batch(stack: Stack, direct: Pixmill) -> None:
    source = direct.files.upload(photo(), name="once.png")
    key, thrice = os.urandom(8).hex(), Retries(attempts=3, first_seconds=0.05)
    with proxy(stack.url, Faults(swallow=1)) as between, Pixmill(between.url, retries=thrice) as client:
        with pytest.raises(UnreachableError):
            client.run([source], Flip(), idempotency_key=key)

        run = direct.run([source], Flip(), idempotency_key=key)

    assert between.happened["swallow"] == 3
    assert [task.id for task in direct.tasks.list(source_id=source.id)] == list(run.task_ids)
