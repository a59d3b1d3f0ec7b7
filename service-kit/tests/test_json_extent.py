"""JSON of a client has a bounded depth and a bounded number of values."""

import json

import pytest
from service_kit.json_extent import MAX_DEPTH, MAX_VALUES, check_extent, check_text
from service_kit.problems import Problem


def nested(depth: int) -> object:
    return json.loads("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "data",
    [
        nested(32),
        list(range(20_000)),
        {str(number): None for number in range(20_000)},
        {"file_ids": list(range(10_000)), "steps": [{"others": list(range(200))} for _ in range(20)]},
        "text",
        None,
    ],
)
def test_json_within_the_bounds_passes(data: object) -> None:
    check_extent(data)


@pytest.mark.parametrize("data", [nested(33), {"a": nested(32)}, [{"a": [nested(30)]}], nested(900)])
def test_json_that_is_too_deep_is_refused(data: object) -> None:
    with pytest.raises(Problem, match=f"at most {MAX_DEPTH} levels") as raised:
        check_extent(data)

    assert (raised.value.kind, raised.value.status) == ("json-too-deep", 422)


@pytest.mark.parametrize(
    "data", [list(range(20_001)), {str(number): 1 for number in range(20_001)}, [[1] * 100 for _ in range(199)]]
)
def test_json_with_too_many_values_is_refused(data: object) -> None:
    with pytest.raises(Problem, match=f"at most {MAX_VALUES} are allowed") as raised:
        check_extent(data)

    assert (raised.value.kind, raised.value.status) == ("json-too-large", 422)


@pytest.mark.parametrize("text", [b"[" + b"[]," * 20_001, b'{"a,":1' + b',"b\\",":[]' * 20_001])
def test_text_with_too_many_commas_is_refused_before_it_is_parsed(text: bytes) -> None:
    with pytest.raises(Problem, match="too many values"):
        check_text(text)


@pytest.mark.parametrize(
    "text", [b'["' + b"," * 50_000 + b'"]', b'["\\"' + b"," * 50_000 + b'"]', b'"' + b"," * 50_000]
)
def test_commas_within_strings_do_not_count(text: bytes) -> None:
    check_text(text)
