"""Webhooks are claimed by owner and host; a failing host is retried less and less often."""

from collections import Counter
from collections.abc import Sequence

import pytest
from image_processor.models import Callback, CallbackHost, Task
from image_processor.services.tasks import webhooks as module
from image_processor.services.tasks.webhooks import Taken, WebhookService
from service_kit.access.principals import LOCAL_OWNER
from service_kit.database import Database
from sqlalchemy import insert, select, update

HOUR = 3600


@pytest.fixture
def webhooks(database: Database) -> WebhookService:
    return WebhookService(database, timeout_seconds=10, max_seconds=24 * HOUR, max_silent_seconds=HOUR)


def end_tasks(database: Database, *urls: str, owner: str = LOCAL_OWNER) -> None:
    """End a task for each URL, which writes a webhook for it."""
    values = [{"owner": owner, "source_id": 1, "algorithm": "flip", "callback_url": url} for url in urls]
    with database.write() as session:
        session.execute(insert(Task), values)
        session.execute(update(Task).where(Task.status == "pending").values(status="finished", result_id=7))


def take(webhooks: WebhookService, count: int = 32, unproven: int = 32) -> list[Callback]:
    return [taken.callback for taken in webhooks.take_due(count, unproven)]


def urls(hosts: int) -> list[str]:
    return [f"http://{number:03}.example/" for number in range(hosts)]


def prove_hosts(database: Database) -> None:
    """Let every host of a waiting webhook be one that has accepted a webhook."""
    rows = [
        {"host": host, "failures": 0, "due_at": 0, "answered_at": 1, "changed_at": 1}
        for host in {callback.host for callback in waiting(database)}
    ]
    with database.write() as session:
        session.execute(insert(CallbackHost), rows)


def owners_of(taken: Sequence[Taken]) -> dict[str, int]:
    return Counter(each.callback.owner for each in taken)


def hosts_of(taken: Sequence[Taken]) -> list[str]:
    return sorted(each.callback.host for each in taken)


def waiting(database: Database) -> Sequence[Callback]:
    with database.read() as session:
        return session.scalars(select(Callback).order_by(Callback.id)).all()


def host_delay(database: Database, host: str) -> float:
    with database.read() as session:
        return session.execute(
            select(CallbackHost.due_at - CallbackHost.changed_at).where(CallbackHost.host == host)
        ).scalar_one()


def let_time_pass(database: Database, seconds: float) -> None:
    """Move every stored time into the past."""
    with database.write() as session:
        session.execute(
            update(Callback).values(
                due_at=Callback.due_at - seconds,
                created_at=Callback.created_at - seconds,
                taken_until=Callback.taken_until - seconds,
            )
        )
        session.execute(
            update(CallbackHost).values(
                due_at=CallbackHost.due_at - seconds,
                failing_since=CallbackHost.failing_since - seconds,
                answered_at=CallbackHost.answered_at - seconds,
                changed_at=CallbackHost.changed_at - seconds,
            )
        )


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://example.org/hook", "example.org"),
        ("http://example.org:8080/", "example.org:8080"),
        ("http://example.org/a/b?c=http://other.example/", "example.org"),
        ("http://[2001:db8::1]:8080/x", "[2001:db8::1]:8080"),
    ],
)
def test_the_database_finds_the_host_of_a_url(database: Database, url: str, host: str) -> None:
    end_tasks(database, url)

    [callback] = waiting(database)

    assert callback.host == host


def test_a_webhook_has_the_attempt_that_ended_its_task(database: Database) -> None:
    with database.write() as session:
        session.execute(insert(Task).values(source_id=1, algorithm="flip", attempt=2, callback_url="http://a.example/"))
        session.execute(update(Task).values(status="error"))

    [callback] = waiting(database)

    assert callback.attempt == 2


def test_a_host_gets_two_at_a_time(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 5)

    assert [len(take(webhooks)), len(take(webhooks))] == [2, 0]


def test_two_ports_are_two_receivers(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example:8001/"] * 3, *["http://a.example:8002/"] * 3)

    assert hosts_of(webhooks.take_due(32, 32)) == ["a.example:8001"] * 2 + ["a.example:8002"] * 2


def test_each_host_gets_one_before_any_gets_two(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 600, "http://b.example/", "http://c.example/")

    assert hosts_of(webhooks.take_due(3, 3)) == ["a.example", "b.example", "c.example"]


def test_no_more_are_reserved_than_are_taken(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/", "http://b.example/"] * 2)

    webhooks.take_due(3, 3)

    assert sorted(callback.tries for callback in waiting(database)) == [0, 1, 1, 1]


def test_a_delivered_webhook_makes_room_for_the_next(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 5)
    first, _second = take(webhooks)

    webhooks.delivered(first)

    assert len(take(webhooks)) == 1


def test_a_host_that_has_failed_waits(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 2)
    [first] = take(webhooks, count=1)

    webhooks.failed(first, "timed out", answered=False)

    assert take(webhooks) == []


def test_a_host_that_has_failed_gets_one_at_a_time_after_its_delay(
    webhooks: WebhookService, database: Database
) -> None:
    end_tasks(database, *["http://a.example/"] * 5)
    [first] = take(webhooks, count=1)
    webhooks.failed(first, "timed out", answered=False)

    let_time_pass(database, 5)

    assert len(take(webhooks)) == 1


def test_the_delay_of_a_host_grows_with_its_failures(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 9)
    delays = []
    for callback in waiting(database):
        webhooks.failed(callback, "timed out", answered=False)
        delays.append(host_delay(database, "a.example"))

    assert delays == pytest.approx([4, 8, 16, 32, 64, 128, 256, 512, 1024])


def test_a_host_that_answers_waits_a_minute_at_most(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 9)
    for callback in waiting(database):
        webhooks.failed(callback, "answered 500", answered=True)

    assert host_delay(database, "a.example") == pytest.approx(60)


def test_an_accepted_webhook_ends_the_delays_of_its_host(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 5)
    first, second = take(webhooks)
    webhooks.failed(first, "timed out", answered=False)

    webhooks.delivered(second)

    assert len(take(webhooks)) == 2


def test_hosts_that_are_not_proven_have_their_own_share(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, "http://proven.example/")
    [first] = take(webhooks)
    webhooks.delivered(first)
    end_tasks(database, "http://proven.example/", *[f"http://{number}.example/" for number in range(5)])

    taken = webhooks.take_due(32, 1)

    assert sorted(each.proven for each in taken) == [False, True]
    assert "proven.example" in hosts_of(taken)


def test_a_new_host_goes_before_one_that_fails(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://failing.example/"] * 2)
    [first] = take(webhooks, count=1)
    webhooks.failed(first, "timed out", answered=False)
    let_time_pass(database, 5)
    end_tasks(database, "http://new.example/")

    assert hosts_of(webhooks.take_due(1, 1)) == ["new.example"]


def test_every_host_gets_its_turn_where_there_are_more_than_are_looked_at(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_HOSTS", 3)
    end_tasks(database, *[f"http://{number}.example/" for number in range(5)])

    rounds = [hosts_of(webhooks.take_due(32, 32)) for _ in range(2)]

    assert rounds == [["0.example", "1.example", "2.example"], ["3.example", "4.example"]]


def test_hosts_that_wait_do_not_hide_those_after_them(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_HOSTS", 3)
    end_tasks(database, *(f"http://{name}.example/" for name in ("a", "b", "c", "d")))
    for callback in (*take(webhooks), *take(webhooks)):
        webhooks.failed(callback, "refused", answered=True)
    end_tasks(database, "http://e.example/")

    found = [hosts_of(webhooks.take_due(32, 32)) for _ in range(3)]

    assert ["e.example"] in found


def test_a_full_round_of_hosts_begins_again(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_HOSTS", 2)
    for _ in range(2):
        end_tasks(database, "http://a.example/", "http://b.example/")

    rounds = [hosts_of(webhooks.take_due(2, 2)) for _ in range(3)]

    assert rounds == [["a.example", "b.example"], [], ["a.example", "b.example"]]


def test_owners_take_turns_however_many_hosts_each_has(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *urls(40), owner="many")
    end_tasks(database, "http://one.example/", owner="few")

    assert owners_of(webhooks.take_due(2, 2)) == {"many": 1, "few": 1}


def test_an_owner_gets_half_of_the_senders_of_a_process(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *urls(40), owner="many")
    prove_hosts(database)
    taken = webhooks.take_due(32, 32)
    end_tasks(database, "http://one.example/", owner="few")

    more = webhooks.take_due(16, 16, taken)

    assert [owners_of(taken), owners_of(more)] == [{"many": 16}, {"few": 1}]


def test_hosts_that_are_not_proven_leave_room_to_others_of_the_same_owner(
    webhooks: WebhookService, database: Database
) -> None:
    end_tasks(database, *urls(40), owner="many")
    taken = webhooks.take_due(32, 32)
    end_tasks(database, "http://proven.example/", owner="many")
    [proven] = [callback for callback in waiting(database) if callback.host == "proven.example"]
    webhooks.delivered(proven)
    end_tasks(database, "http://proven.example/", owner="many")

    more = webhooks.take_due(32, 32, taken)

    assert len(taken) == 12
    assert hosts_of(more) == ["proven.example"]


def test_owners_take_turns_at_a_host_that_they_share(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 40, owner="many")
    end_tasks(database, "http://a.example/", owner="few")

    assert owners_of(webhooks.take_due(32, 32)) == {"many": 1, "few": 1}


def test_every_owner_gets_its_turn_where_there_are_more_than_are_looked_at(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_OWNERS", 2)
    for owner in ("a", "b", "c"):
        end_tasks(database, *urls(3), owner=owner)

    rounds = [owners_of(webhooks.take_due(2, 2)) for _ in range(2)]

    assert rounds == [{"a": 1, "b": 1}, {"c": 2}]


def test_hosts_of_an_owner_that_wait_hide_none_after_them(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SCANNED_HOSTS", 4)
    for owner in ("a", "b"):
        end_tasks(database, *(f"http://{owner}{number}.example/" for number in range(4)), owner=owner)

    rounds = [hosts_of(webhooks.take_due(32, 32)) for _ in range(2)]

    assert rounds == [
        ["a0.example", "a1.example", "b0.example", "b1.example"],
        ["a2.example", "a3.example", "b2.example", "b3.example"],
    ]


def test_a_sender_that_died_keeps_no_room(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 2)
    take(webhooks)

    let_time_pass(database, 10 + module.RESOLVING_SECONDS + 1)

    assert len(take(webhooks)) == 2


def test_a_host_that_was_silent_for_too_long_loses_all_its_webhooks(
    webhooks: WebhookService, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS_PER_DELETE", 2)
    end_tasks(database, *["http://a.example/"] * 5, "http://b.example/")
    first, second, *_ = waiting(database)
    webhooks.failed(first, "timed out", answered=False)
    let_time_pass(database, HOUR + 1)

    webhooks.failed(second, "timed out", answered=False)

    assert [callback.host for callback in waiting(database)] == ["b.example"]


def test_a_host_that_has_answered_keeps_its_webhooks_for_their_whole_time(
    webhooks: WebhookService, database: Database
) -> None:
    end_tasks(database, *["http://a.example/"] * 3)
    first, second, third = waiting(database)
    webhooks.delivered(first)
    webhooks.failed(second, "timed out", answered=False)
    let_time_pass(database, HOUR + 1)

    webhooks.failed(third, "timed out", answered=False)

    assert len(waiting(database)) == 2


def test_all_webhooks_of_a_host_that_are_too_old_are_given_up_with_the_first(
    webhooks: WebhookService, database: Database
) -> None:
    end_tasks(database, *["http://a.example/"] * 3)
    let_time_pass(database, 24 * HOUR + 1)
    end_tasks(database, "http://a.example/", "http://b.example/")
    first, *_ = waiting(database)

    webhooks.failed(first, "answered 500", answered=True)

    assert [callback.host for callback in waiting(database)] == ["a.example", "b.example"]


def test_released_webhooks_are_due_at_once(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 2)

    webhooks.release(take(webhooks))

    assert len(take(webhooks)) == 2


def test_a_clock_that_was_set_delays_no_host(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, *["http://a.example/"] * 2)
    [first] = take(webhooks, count=1)
    webhooks.failed(first, "timed out", answered=False)
    let_time_pass(database, -HOUR)

    webhooks.reset_delays()

    assert len(take(webhooks)) == 1


def test_a_host_is_forgotten_some_time_after_its_last_webhook(webhooks: WebhookService, database: Database) -> None:
    end_tasks(database, "http://old.example/", "http://new.example/")
    old, new = waiting(database)
    webhooks.delivered(old)
    let_time_pass(database, HOUR)
    webhooks.delivered(new)

    webhooks.forget_hosts(HOUR - 60)

    with database.read() as session:
        assert session.scalars(select(CallbackHost.host)).all() == ["new.example"]
