"""Retries: which requests are sent again, and when."""

import json
from collections.abc import Sequence

import pytest
from pixmill.client.exchange import Call, Exchange, Pause, Reply, get, json_call

from pixmill import ConflictError, InvalidError, Retries, UnavailableError, UnreachableError

OK = Reply(200, {}, b"{}")
CREATE = json_call("POST", "/api/image-processing/", {})
POLICY = Retries(attempts=3, first_seconds=1, most_seconds=60)


def refusal(status: int, kind: str = "some", **headers: str) -> Reply:
    return Reply(status, headers, json.dumps({"type": f"urn:pixmill:problem:{kind}", "detail": "No."}).encode())


def exchanged(call: Call, answers: Sequence[Reply | UnreachableError]) -> tuple[Reply, list[float]]:
    """Return the reply to a call with these answers, and the pauses; too many or too few calls are an error."""
    operation, left, pauses = Exchange(POLICY).send(call), list(answers), []
    effect = next(operation)
    while True:
        try:
            if isinstance(effect, Pause):
                pauses.append(effect.seconds)
                effect = operation.send(None)
                continue
            answer = left.pop(0)
            effect = operation.throw(answer) if isinstance(answer, UnreachableError) else operation.send(answer)
        except StopIteration as end:
            assert left == []
            return end.value, pauses


def test_a_read_is_sent_again_after_a_lost_answer() -> None:
    reply, pauses = exchanged(get("/x"), [UnreachableError("lost"), UnreachableError("lost"), OK])

    assert reply is OK
    assert len(pauses) == 2


def test_a_creation_is_not_sent_again_after_a_lost_answer() -> None:
    with pytest.raises(UnreachableError, match="lost"):
        exchanged(CREATE, [UnreachableError("lost")])


def test_a_creation_with_an_idempotency_key_is_sent_again_after_a_lost_answer() -> None:
    call = json_call("POST", "/api/image-processing/", {}, key="monday-7")

    reply, _ = exchanged(call, [UnreachableError("lost"), OK])

    assert call.headers["Idempotency-Key"] == "monday-7"
    assert reply is OK


@pytest.mark.parametrize("kind", ["too-many-pending-tasks", "too-many-uploads"])
def test_what_a_limit_of_the_owner_refuses_each_time_is_not_sent_again(kind: str) -> None:
    with pytest.raises(UnavailableError):
        exchanged(CREATE, [refusal(429, kind)])


def test_a_batch_that_exceeds_the_limit_of_tasks_for_now_is_sent_again() -> None:
    reply, _ = exchanged(CREATE, [refusal(429, "too-many-pending-tasks", **{"retry-after": "1"}), OK])

    assert reply is OK


def test_a_creation_is_sent_again_if_it_never_left() -> None:
    reply, _ = exchanged(CREATE, [UnreachableError("refused", sent=False), OK])

    assert reply is OK


def test_a_creation_is_sent_again_after_too_many_requests() -> None:
    reply, _ = exchanged(CREATE, [refusal(429), OK])

    assert reply is OK


@pytest.mark.parametrize("status", [502, 503, 504])
def test_an_unavailable_server_is_asked_again_for_a_read_alone(status: int) -> None:
    reply, _ = exchanged(get("/x"), [refusal(status), OK])

    assert reply is OK
    with pytest.raises(UnavailableError):
        exchanged(CREATE, [refusal(status)])


def test_the_pauses_double_and_are_not_shorter_than_retry_after() -> None:
    _, doubling = exchanged(get("/x"), [refusal(503), refusal(503), OK])
    _, asked = exchanged(get("/x"), [refusal(503, **{"retry-after": "7"}), OK])
    _, too_long = exchanged(get("/x"), [refusal(503, **{"retry-after": "7000"}), OK])

    assert 0.75 <= doubling[0] <= 1.25
    assert 1.5 <= doubling[1] <= 2.5
    assert asked == [7]
    assert too_long == [60]


def test_the_attempts_end() -> None:
    with pytest.raises(UnavailableError):
        exchanged(get("/x"), [refusal(503)] * 3)


def test_a_key_in_use_by_the_attempt_before_is_waited_for() -> None:
    upload = Call("PUT", "/x", body=b"x", repeatable=True)

    reply, _ = exchanged(upload, [UnreachableError("lost"), refusal(409, "idempotency-key-in-use"), OK])

    assert reply is OK


def test_other_conflicts_are_errors_at_once() -> None:
    with pytest.raises(ConflictError):
        exchanged(get("/x"), [refusal(409, "task-not-ended")])


def test_a_problem_has_its_type_fields_and_request_id() -> None:
    document = {
        "type": "urn:pixmill:problem:invalid-fields",
        "title": "Unprocessable Entity",
        "detail": "Wrong.",
        "errors": [{"pointer": "/params/width", "detail": "too small"}],
    }

    with pytest.raises(InvalidError) as raised:
        exchanged(CREATE, [Reply(422, {"x-request-id": "abc"}, json.dumps(document).encode())])

    problem = raised.value
    assert (problem.kind, problem.title, str(problem)) == ("invalid-fields", "Unprocessable Entity", "Wrong.")
    assert (problem.request_id, problem.errors[0].pointer) == ("abc", "/params/width")


def test_a_problem_has_the_codes_and_values_that_the_server_tells() -> None:
    field = {"pointer": "/params/width", "detail": "…", "code": "less_than_equal", "context": {"le": 16384}}
    document = {"type": "urn:pixmill:problem:x", "detail": "…", "code": "y", "context": {"id": 7}, "errors": [field]}

    with pytest.raises(InvalidError) as raised:
        exchanged(CREATE, [Reply(422, {}, json.dumps(document).encode())])

    problem = raised.value
    assert (problem.code, problem.context) == ("y", {"id": 7})
    assert (problem.errors[0].code, problem.errors[0].context) == ("less_than_equal", {"le": 16384})


def test_without_a_code_the_type_decides() -> None:
    with pytest.raises(ConflictError) as raised:
        exchanged(CREATE, [refusal(409, "preset-read-only")])

    assert (raised.value.code, raised.value.context) == ("preset-read-only", {})


def test_an_error_page_of_a_proxy_is_a_problem_too() -> None:
    with pytest.raises(UnavailableError, match="502 Bad Gateway"):
        exchanged(CREATE, [Reply(502, {}, b"<html>", "Bad Gateway")])
