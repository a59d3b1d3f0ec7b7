"""The event stream: its requests and its end."""

from collections.abc import Sequence

import pytest
from pixmill.client.exchange import Exchange, Reply
from pixmill.client.feed import BatchFeed, Feed, FileFeed

from pixmill import BatchEvent, Retries, SignInError, TaskEvent, UnexpectedAnswerError, UnreachableError

EXCHANGE = Exchange(Retries(attempts=3))
END_OF_A_BATCH = ["id: 0-2", "event: batch", 'data: {"id": 3, "status": "ended"}', ""]


def lines(event_id: str, task_id: int, status: str) -> list[str]:
    return [f"id: {event_id}", "event: task", f'data: {{"id": {task_id}, "status": "{status}"}}', ""]


def fed(feed: Feed, given: Sequence[str]) -> list[TaskEvent]:
    return [event for line in given for event in feed.line(line)]


def test_it_ends_when_all_its_tasks_have_ended() -> None:
    feed = Feed(EXCHANGE, [1, 2])

    fed(feed, lines("0-1", 1, "finished"))
    ended_early = feed.has_ended
    fed(feed, lines("0-2", 2, "error"))

    assert not ended_early
    assert feed.has_ended


def test_an_event_that_comes_twice_is_given_once() -> None:
    feed = Feed(EXCHANGE, [1, 2])

    events = fed(feed, [*lines("0-1", 1, "finished"), *lines("0-1", 1, "finished")])

    assert [(event.task_id, event.status) for event in events] == [(1, "finished")]


def test_comments_and_other_tasks_are_not_events() -> None:
    feed = Feed(EXCHANGE, [1])

    assert fed(feed, [": listening", "retry: 1000", "", *lines("0-1", 7, "finished")]) == []


def test_it_goes_on_after_the_last_event_that_it_saw() -> None:
    feed = Feed(EXCHANGE, [1])
    fed(feed, lines("0-7", 1, "processing"))

    feed.lost(UnreachableError("cut"))

    assert feed.call().headers["Last-Event-ID"] == "0-7"


def test_a_stream_that_is_silent_asks_for_the_states() -> None:
    feed = Feed(EXCHANGE, [1])
    fed(feed, lines("0-7", 1, "processing"))
    asks_after_an_event = feed.wants_states

    fed(feed, [": ping"])

    assert not asks_after_an_event
    assert feed.wants_states


def test_a_stream_of_all_tasks_asks_for_nothing() -> None:
    feed = Feed(EXCHANGE)

    fed(feed, [": ping"])

    assert not feed.wants_states


def test_it_gives_up_after_losing_the_stream_so_often_without_a_line() -> None:
    feed = Feed(EXCHANGE, [1])
    feed.lost(UnreachableError("cut"))
    feed.lost(UnreachableError("cut"))
    fed(feed, [": ping"])
    feed.lost(UnreachableError("cut"))
    feed.lost(UnreachableError("cut"))

    with pytest.raises(UnreachableError):
        feed.lost(UnreachableError("cut"))


@pytest.mark.parametrize(
    ("retry", "least", "most"),
    [("1500", 1.5, 1.5), ("900000", 30, 30), ("soon", 0, 0.5), ("-1", 0, 0.5), ("", 0, 0.5)],
)
def test_it_waits_as_long_as_the_stream_asks_but_not_longer_than_the_policy(
    retry: str, least: float, most: float
) -> None:
    feed = Feed(Exchange(Retries(first_seconds=0.25, most_seconds=30)), [1])
    fed(feed, [f"retry: {retry}", ""])

    pause = feed.lost(UnreachableError("closed"))

    assert least <= pause <= most


def test_a_refused_stream_is_an_error_at_once() -> None:
    with pytest.raises(SignInError):
        Feed(EXCHANGE, [1]).opened(Reply(401, {}, b"{}"))


@pytest.mark.parametrize("media_type", ["text/html; charset=utf-8", "application/json", ""])
def test_an_answer_without_events_is_an_error_at_once(media_type: str) -> None:
    with pytest.raises(UnexpectedAnswerError, match="is this a Pixmill"):
        Feed(EXCHANGE).opened(Reply(200, {"content-type": media_type}))


def test_the_media_type_of_a_stream_may_have_a_charset() -> None:
    feed = Feed(EXCHANGE, [1])

    feed.opened(Reply(200, {"content-type": "Text/Event-Stream;charset=utf-8"}))

    assert [event.task_id for event in fed(feed, lines("0-1", 1, "finished"))] == [1]


def test_a_stream_of_few_tasks_is_limited_to_them_and_one_of_many_is_not() -> None:
    assert Feed(EXCHANGE, [2, 1]).call().query == [("id", "1"), ("id", "2")]
    assert Feed(EXCHANGE, range(1, 1002)).call().query == []


def test_the_stream_of_a_batch_asks_for_it_however_many_its_tasks_are() -> None:
    feed = Feed(EXCHANGE, range(1, 10_001), batch_id=3)

    assert feed.call().query == [("batch_id", "3")]


def test_a_change_of_a_file_has_the_file_unless_it_is_gone() -> None:
    feed = FileFeed(EXCHANGE)
    file = '{"id": 1, "name": "a", "extension": "", "comment": "", "size": 1, "sha256": "", "media_type": ""}'
    changes = [f'{{"id": 1, "change": "created", "file": {file}}}', '{"id": 2, "change": "deleted"}']

    events = [event for data in changes for line in ("event: file", f"data: {data}", "") for event in feed.line(line)]

    assert [(event.file_id, event.change) for event in events] == [(1, "created"), (2, "deleted")]
    assert [event.file and event.file.name for event in events] == ["a", None]
    assert not feed.has_ended


def test_the_end_of_a_batch_is_an_event_in_addition_to_those_of_its_tasks() -> None:
    feed = BatchFeed(EXCHANGE, 3)
    given = [*lines("0-1", 1, "finished"), *END_OF_A_BATCH]

    events = [event for line in given for event in feed.line(line)]

    assert feed.call().query == [("batch_id", "3")]
    assert events == [BatchEvent(batch_id=3, status="ended", event_id="0-2")]
    assert not feed.has_ended


def test_the_stream_of_tasks_passes_over_the_end_of_a_batch() -> None:
    assert fed(Feed(EXCHANGE), END_OF_A_BATCH) == []
