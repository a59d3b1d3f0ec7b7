"""The messages between the service and its processes: the service takes an answer only as data."""

import asyncio
import io
import json
import struct
from pathlib import Path

import pytest
from image_processor.imaging.output import Output
from image_processor.render.failures import NOT_RENDERABLE
from image_processor.render.plans.plan import ColorSource, Encoding, RenderPlan, step
from image_processor.render.processes.job import Job, JobOutcome, Made, Refused
from image_processor.render.processes.messages import (
    MAX_ANSWER_BYTES,
    MalformedAnswerError,
    message_of_answer,
    message_of_job,
    read_answer,
    read_job,
)
from service_kit.texts import Sentence, counted, sentence

from tests.support import hostile_renders

MADE: dict[str, object] = {"resident_bytes": 1, "extension": ".png", "seconds": {"render": 0.5}, "full_size": None}
REFUSED: dict[str, object] = {"resident_bytes": 1, "kind": NOT_RENDERABLE, "detail": {"text": "Not an image."}}
JOB = Job(RenderPlan(ColorSource("red"), (step("resize", {"width": 2}),), Encoding(Output())), None, (), "source", "/a")


def framed(content: bytes) -> bytes:
    return struct.pack("!I", len(content)) + content


def read(message: bytes) -> JobOutcome:
    async def run() -> JobOutcome:
        stream = asyncio.StreamReader()
        stream.feed_data(message)
        stream.feed_eof()
        return await read_answer(stream)

    return asyncio.run(run())


def saying(template: str, singular: str | None = None, **values: object) -> dict[str, object]:
    """Return a refusal whose detail has this template."""
    of_number = {} if singular is None else {"singular": singular, "number": "n"}
    return {**REFUSED, "detail": {"text": "a", "template": template, "values": {"n": 2, **values}, **of_number}}


def test_a_job_arrives_as_it_was_sent() -> None:
    stream = io.BytesIO(message_of_job(JOB) * 2)

    assert [read_job(stream), read_job(stream), read_job(stream)] == [JOB, JOB, None]


@pytest.mark.parametrize("length", [2, 100])
def test_half_a_job_is_the_end(length: int) -> None:
    assert read_job(io.BytesIO(message_of_job(JOB)[:length])) is None


@pytest.mark.parametrize("full_size", [None, (3000, 2000)])
def test_a_result_arrives_as_it_was_sent(full_size: tuple[int, int] | None) -> None:
    made = Made(".avif", 123, (("fetch", 0.25), ("render", 1.5)), full_size)

    assert read(message_of_answer(made)) == made


def test_a_refusal_keeps_what_a_translation_needs() -> None:
    inner = counted("{n:,} byte", "{n:,} bytes", "n", n=4096)
    refused = Refused(NOT_RENDERABLE, sentence("It has {size}.", size=inner), 5)

    answer = read(message_of_answer(refused))

    assert answer == refused
    assert isinstance(answer, Refused)
    assert isinstance(answer.detail, Sentence)
    assert answer.detail.template == "It has {size}."
    found = answer.detail.values["size"]
    assert isinstance(found, Sentence)
    assert (found, found.counted) == ("4,096 bytes", inner.counted)


def test_a_detail_that_is_too_long_is_cut() -> None:
    answer = read(message_of_answer(Refused(NOT_RENDERABLE, "é" * MAX_ANSWER_BYTES, 5)))

    assert answer == Refused(NOT_RENDERABLE, "é" * 1000, 5)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    with pytest.raises(MalformedAnswerError):
        read(framed(hostile_renders.pickle_that_creates(tmp_path / "run")))

    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe",
        b"{",
        b"[" * 60_000,
        b"7" * 60_000,
        *(
            json.dumps(document).encode()
            for document in (
                None,
                [MADE],
                {},
                {**MADE, "resident_bytes": "1"},
                {**MADE, "extension": "/../../index.db"},
                {**MADE, "seconds": {"key": 1}},
                {**MADE, "seconds": {"render": -1}},
                {**MADE, "seconds": {"render": float("nan")}},
                {**MADE, "seconds": [["render", 1]]},
                {**MADE, "full_size": [3000]},
                {**MADE, "full_size": [3000, 0]},
                {**MADE, "full_size": [3000, 10**100]},
                {**MADE, "full_size": "3000x2000"},
                {**REFUSED, "kind": "no-such-kind"},
                {**REFUSED, "detail": "Not an image."},
                {**REFUSED, "detail": {}},
                # A translation fills the template again.
                saying("{n.__class__}"),
                saying("{n[0]}"),
                saying("{n!a}"),
                saying("{n:>1000000000}"),
                saying("{n:{m}}", m="1000000000"),
                saying("{0}"),
                saying("{other}"),
                saying("{n:d}", n="text"),
                saying("{n}", singular="{n.__class__}"),
                saying("{n}", inner=saying("{n.__class__}")["detail"]),
                saying("{a}" * 9000, a="x" * 34_000),
                saying("{n}", singular="{a}" * 9000, a="x" * 34_000),
                saying("{n:f}" * 10_000, n=1e308),
                saying("{a}" * 1000, a=saying("{b}" * 1000, b="x" * 1000)["detail"]),
                saying("{a}", a="\ud800"),
                {**REFUSED, "detail": {"text": "\ud800"}},
            )
        ),
        b'{"resident_bytes": 1, "extension": ".png", "seconds": {"render": 1e999}, "full_size": null}',
    ],
)
def test_other_data_than_an_answer_is_malformed(content: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        read(framed(content))


def test_an_answer_that_is_too_long_is_not_waited_for() -> None:
    with pytest.raises(MalformedAnswerError):
        read(struct.pack("!I", MAX_ANSWER_BYTES + 1))


def test_half_an_answer_is_the_end() -> None:
    with pytest.raises(EOFError):
        read(message_of_answer(Made(".png", 1, ()))[:-1])
