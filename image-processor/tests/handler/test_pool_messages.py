"""The main process takes messages of a pool's processes only as data."""

import json
import os
import pickle
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from billiard.connection import Pipe
from billiard.einfo import ExceptionInfo
from billiard.pool import ACK, DEATH, READY, MaybeEncodingError
from image_processor.handler.pool_messages import (
    MAX_BYTES,
    EndOfMessages,
    FailedProcessError,
    JobQueue,
    RefusedMessageError,
    ResultQueue,
    ResultReader,
    Sender,
    UndecodedReader,
    content_of,
    converted,
    message_in,
)

from tests.support.hostile_renders import pickle_that_creates

WORKER_UP = 15
PROCESS = SimpleNamespace(pid=4711, inqW_fd=12)
SUCCESS = (True, (0, "None", 0.25))
DOCUMENTS: Sequence[object] = (
    None,
    {},
    [],
    [READY],
    [99, [1]],
    ["0", [7, None, 1.5, 4711, None]],
    [WORKER_UP, ["4711"]],
    [WORKER_UP, [4711, 4712]],
    [ACK, [7, None, float("nan"), 4711, None]],
    [ACK, [7, None, 10**400, 4711, None]],
    [ACK, [[7], None, 1.5, 4711, None]],
    [ACK, [7, None, 1.5, 4711, 3]],
    [ACK, [7, 0, 1.5, 4711, None]],
    [READY, [7, None, [True, None], "12"]],
    [READY, [7, None, [True, {"name": "E"}], 12]],
    [READY, [7, None, [False, "not a name"], 12]],
    [READY, [7, None, [False, "E" * 101], 12]],
    [READY, [7, None, True, 12]],
    [DEATH, [4711, "0"]],
)


@pytest.fixture
def queue() -> Iterator[ResultQueue]:
    queue = ResultQueue(blocks=False)
    yield queue
    queue.close()


def info_of(error: BaseException) -> ExceptionInfo:
    try:
        raise error
    except BaseException:  # noqa: BLE001 (billiard reads the exception that is being handled)
        return ExceptionInfo()


def outcome_in(message: object) -> object:
    match message:
        case (_, (7, None, outcome, 12)):
            return outcome
    raise AssertionError(message)


@pytest.mark.parametrize(
    "message",
    [
        (WORKER_UP, (4711,)),
        (ACK, (7, None, 1234.5, 4711, None)),
        (DEATH, (4711, 155)),
    ],
)
def test_a_message_arrives_as_it_was_sent(queue: ResultQueue, message: object) -> None:
    queue.put(message)

    assert queue.get() == message


def test_a_message_says_that_a_task_returned(queue: ResultQueue) -> None:
    queue.put((READY, (7, None, SUCCESS, 12)))

    assert queue.get() == (READY, (7, None, (True, (0, "None", 0.0)), 12))


def test_an_error_that_celery_recorded_arrives_by_its_name(queue: ResultQueue) -> None:
    queue.put((READY, (7, None, (True, (1, info_of(ZeroDivisionError("secret")), 0.25)), 12)))

    match outcome_in(queue.get()):
        case (True, (1, ExceptionInfo() as info, 0.0)):
            error = getattr(info.exception, "exc", None)
    assert isinstance(error, FailedProcessError)
    assert error.name == "ZeroDivisionError"


@pytest.mark.parametrize("sent", [MemoryError(), SystemExit(1), MaybeEncodingError("e", "v")])
def test_an_error_that_ended_the_task_arrives_by_its_name(queue: ResultQueue, sent: BaseException) -> None:
    queue.put((READY, (7, None, (False, info_of(sent)), 12)))

    match outcome_in(queue.get()):
        case (False, ExceptionInfo() as info):
            error = getattr(info.exception, "exc", None)
    assert isinstance(error, FailedProcessError)
    assert error.name == type(sent).__name__


@pytest.mark.parametrize("name", ["a class", "1", "outer.<locals>.Inner", ""])
def test_an_error_without_an_ordinary_name_arrives_as_an_exception(queue: ResultQueue, name: str) -> None:
    queue.put((READY, (7, None, (False, info_of(type(name, (Exception,), {})())), 12)))

    match outcome_in(queue.get()):
        case (False, ExceptionInfo() as info):
            error = getattr(info.exception, "exc", None)
    assert isinstance(error, FailedProcessError)
    assert error.name == "Exception"


def test_the_longest_name_of_an_error_fits_in_a_message() -> None:
    error = type("\N{MATHEMATICAL BOLD SMALL A}" * 5000, (Exception,), {})()

    content = content_of((READY, (7, None, (False, info_of(error)), 12)))

    assert len(content) <= MAX_BYTES


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"[",
        b"[" * MAX_BYTES,
        b"7" * MAX_BYTES,
        pickle.dumps((READY, (7, None, SUCCESS, 12))),
        *(json.dumps(document).encode() for document in DOCUMENTS),
        b"[0, [7, null, 1e999, 4711, null]]",
    ],
)
def test_other_data_than_a_message_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedMessageError):
        message_in(content)


def test_a_pickle_is_not_run(queue: ResultQueue, tmp_path: Path) -> None:
    queue.send_payload(pickle_that_creates(tmp_path / "run"))

    with pytest.raises(RefusedMessageError):
        queue.get()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "sent",
    [
        b"\0",
        struct.pack("!i", 0),
        struct.pack("!i", -1),
        struct.pack("!i", MAX_BYTES + 1) + b"7" * 100,
        struct.pack("!i", 2**31 - 1),
        struct.pack("!i", 5),
        struct.pack("!i", 5) + b"null",
    ],
)
def test_a_message_that_is_too_long_or_incomplete_is_not_waited_for(queue: ResultQueue, sent: bytes) -> None:
    os.write(queue._writer.fileno(), sent)

    with pytest.raises(RefusedMessageError):
        queue.get()


def test_discarded_messages_do_not_arrive(queue: ResultQueue) -> None:
    os.write(queue._writer.fileno(), b"\0" * 10_000)

    reader = queue._reader
    assert isinstance(reader, ResultReader)
    reader.discard()

    with pytest.raises(BlockingIOError):
        queue.get()


def test_a_pipe_that_is_only_emptied_is_not_decoded(tmp_path: Path) -> None:
    reader, writer = Pipe(duplex=False)
    hostile = pickle_that_creates(tmp_path / "run")
    with converted(reader, UndecodedReader) as emptied, writer:
        writer.send_bytes(hostile)

        assert emptied.recv() == hostile

    assert not (tmp_path / "run").exists()


UP = (WORKER_UP, (PROCESS.pid,))
ACCEPTED = (ACK, (7, None, 1.5, PROCESS.pid, None))
ENDED = (READY, (7, None, (True, (0, "None", 0.0)), PROCESS.inqW_fd))


def test_a_process_may_accept_and_end_one_job_after_the_other(queue: ResultQueue) -> None:
    queue._reader.sender = Sender(PROCESS, lambda job: job == 7)  # type: ignore[attr-defined]  # a ResultReader
    messages = [UP, ACCEPTED, ENDED, ACCEPTED, ENDED, (DEATH, (PROCESS.pid, 0))]
    for message in messages:
        queue.put(message)

    assert [queue.get() for _ in messages] == messages


@pytest.mark.parametrize(
    "messages",
    [
        [(WORKER_UP, (1,))],
        [(WORKER_UP, (-PROCESS.pid,))],
        [(ACK, (7, None, 1.5, 1, None))],
        [(ACK, (7, None, 1.5, True, None))],
        [(ACK, (7, None, 1.5, 10**3000, None))],
        [(ACK, (8, None, 1.5, PROCESS.pid, None))],
        [ENDED],
        [ACCEPTED, ACCEPTED],
        [ACCEPTED, (READY, (8, *ENDED[1][1:]))],
        [ACCEPTED, (READY, (*ENDED[1][:3], PROCESS.inqW_fd + 1))],
        [ACCEPTED, ENDED, ENDED],
    ],
    ids=[
        "up of another",
        "up of a group",
        "accepted by another",
        "accepted by a truth",
        "accepted by a huge number",
        "accepted what another got",
        "ended what it did not accept",
        "accepted twice",
        "ended what another accepted",
        "frees another process",
        "ended twice",
    ],
)
def test_a_process_may_speak_only_of_itself_and_its_job(
    queue: ResultQueue, messages: Sequence[tuple[int, tuple[object, ...]]]
) -> None:
    queue._reader.sender = Sender(PROCESS, lambda job: job == 7)  # type: ignore[attr-defined]  # a ResultReader
    for message in messages:
        queue.put(message)
    for _ in messages[:-1]:
        queue.get()

    with pytest.raises(RefusedMessageError):
        queue.get()


def test_a_full_pipe_delays_no_sign_of_the_end() -> None:
    end = EndOfMessages()
    for _ in range(100_000):
        end.wake()

    end.put(None)

    assert end.take()
    assert not end.take()
    end.close()


def test_a_process_that_reads_half_a_job_leaves_the_next_one_whole() -> None:
    jobs = JobQueue()
    jobs.put("first")
    jobs.put("second")

    os.read(jobs._reader.fileno(), 2)

    assert jobs.get() == "second"
    jobs.close()


def test_a_job_that_would_be_taken_in_parts_is_refused() -> None:
    jobs = JobQueue()

    with pytest.raises(ValueError, match=str(MAX_BYTES + 1)):
        jobs.send_payload(b"x" * (MAX_BYTES + 1))

    jobs.close()
