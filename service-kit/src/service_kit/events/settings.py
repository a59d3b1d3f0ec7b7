"""The settings of an event stream."""

from typing import Annotated

from pydantic import Field

from service_kit.settings import Seconds, Section, Unit


class EventSettings(Section):
    poll_seconds: Seconds = Field(
        0.1,
        gt=0,
        le=10,
        description="The interval between reads of new events while a client listens: the maximum delay of an event.",
    )
    backlog: Annotated[int, Unit("events")] = Field(
        10_000,
        ge=10,
        le=1_000_000,
        description="The maximum number of events queued for a slow listener. Beyond it the stream ends, and the"
        " listener reconnects with the id of its last event.",
    )
