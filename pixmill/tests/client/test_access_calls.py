"""The requests for keys, owners and the audit trail."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pixmill.client.access import audit_call

EAST = timezone(timedelta(hours=3))


@pytest.mark.parametrize("time", [datetime(2026, 1, 31, 15, tzinfo=EAST), datetime(2026, 1, 31, 12, tzinfo=UTC)])
def test_a_time_is_sent_in_utc(time: datetime) -> None:
    assert ("since", "2026-01-31T12:00:00+00:00") in audit_call(None, None, time).query


def test_a_time_without_an_offset_is_local_and_is_sent_with_one_because_the_server_refuses_it_without() -> None:
    local = datetime(2026, 1, 31, 12, tzinfo=UTC).astimezone().replace(tzinfo=None)

    assert ("since", "2026-01-31T12:00:00+00:00") in audit_call(None, None, local).query
