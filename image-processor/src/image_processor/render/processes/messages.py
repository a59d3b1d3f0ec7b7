"""The bytes that the service and a render process send each other: jobs, and answers that are only data.

A picture may take a process over, so the service reads its answers as JSON and checks them. A process trusts the
service, whose jobs are pickles. Each message follows its length.
"""

import json
import math
import pickle  # nosec B403 (only for what the service sends)
import struct
from asyncio import StreamReader
from collections.abc import Mapping
from dataclasses import replace
from typing import BinaryIO, cast

from service_kit.texts import Sentence, restored, stored

from image_processor.render.failures import STATUSES
from image_processor.render.processes.job import EXTENSIONS_OF_RESULTS, PARTS, Job, JobOutcome, Made, Refused

MAX_ANSWER_BYTES = 64 * 1024
_LONGEST_DETAIL = 1000
"""To how many characters a detail is cut whose message would be too long."""
_MAX_SIDE = 10_000_000
"""The largest width or height that libvips knows."""
_LENGTH = struct.Struct("!I")


class MalformedAnswerError(Exception):
    """A process sent something else than an answer."""


def message_of_job(job: Job) -> bytes:
    return _with_length(pickle.dumps(job))


def read_job(stream: BinaryIO) -> Job | None:
    """Return the next job from the service; ``None`` if it has closed the connection."""
    length = stream.read(_LENGTH.size)
    if len(length) < _LENGTH.size:
        return None
    content = stream.read(*_LENGTH.unpack(length))
    if len(content) < _LENGTH.unpack(length)[0]:
        return None
    return cast("Job", pickle.loads(content))  # noqa: S301 (from the service)  # nosec B301


def message_of_answer(answer: JobOutcome) -> bytes:
    content = _content_of(answer)
    if len(content) > MAX_ANSWER_BYTES and isinstance(answer, Refused):
        content = _content_of(replace(answer, detail=str(answer.detail)[:_LONGEST_DETAIL]))
    return _with_length(content)


async def read_answer(stream: StreamReader) -> JobOutcome:
    """Return the next answer of a process.

    :raises EOFError: the process has ended.
    :raises MalformedAnswerError: it sent something else, or too much.
    """
    (length,) = _LENGTH.unpack(await stream.readexactly(_LENGTH.size))
    if length > MAX_ANSWER_BYTES:
        raise MalformedAnswerError(f"{length} bytes")
    return _answer_of(await stream.readexactly(length))


def _with_length(content: bytes) -> bytes:
    return _LENGTH.pack(len(content)) + content


def _content_of(answer: JobOutcome) -> bytes:
    if isinstance(answer, Made):
        facts: Mapping[str, object] = {
            "extension": answer.extension,
            "seconds": dict(answer.seconds),
            "full_size": answer.full_size,
        }
    else:
        facts = {"kind": answer.kind, "detail": stored(answer.detail)}
    return json.dumps({"resident_bytes": answer.resident_bytes, **facts}).encode()


def _answer_of(content: bytes) -> JobOutcome:
    try:
        document = json.loads(content, parse_float=_finite, parse_constant=_finite)
        match document:
            case {
                "resident_bytes": int(resident),
                "extension": str(extension),
                "seconds": dict(seconds),
                "full_size": size,
            }:
                known = _one_of(extension, EXTENSIONS_OF_RESULTS)
                return Made(known, resident, _parts_of(seconds), _size_of(size))
            case {"resident_bytes": int(resident), "kind": str(kind), "detail": dict(detail)}:
                return Refused(_one_of(kind, STATUSES), _sentence_of(detail), resident)
    # The errors of any other data: an attacker chooses what it contains.
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise MalformedAnswerError(type(error).__name__) from error
    raise MalformedAnswerError("neither made nor refused")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _one_of(name: str, known: "tuple[str, ...] | Mapping[str, int]") -> str:
    if name not in known:
        raise ValueError(name)
    return name


def _parts_of(seconds: Mapping[str, object]) -> tuple[tuple[str, float], ...]:
    parts = [(_one_of(name, PARTS), part) for name, part in seconds.items()]
    return tuple((name, _duration(part)) for name, part in parts)


def _duration(value: object) -> float:
    if not isinstance(value, int | float) or value < 0:
        raise ValueError(value)
    return float(value)


def _size_of(value: object) -> tuple[int, int] | None:
    match value:
        case None:
            return None
        case [int(width), int(height)] if 0 < width <= _MAX_SIDE and 0 < height <= _MAX_SIDE:
            return width, height
    raise ValueError(value)


def _sentence_of(document: Mapping[str, object]) -> Sentence:
    # A lone surrogate, which JSON can escape, could not be sent to a client.
    json.dumps(document, ensure_ascii=False).encode()
    said = restored(document)
    if stored(said) != document:
        raise ValueError(said)
    return said
