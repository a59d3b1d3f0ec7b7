"""Durations as Docker Compose writes them.

https://docs.docker.com/reference/compose-file/extension/#specifying-durations: Compose reads them with Go's
``time.ParseDuration``. No locked library does; pydantic reads only ISO 8601.
"""

import re
from decimal import Decimal

_UNITS = {
    **{"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("1e-3")},
    **dict.fromkeys(("us", "µs", "μs"), Decimal("1e-6")),
    "ns": Decimal("1e-9"),
}
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(ms|us|µs|μs|ns|h|m|s)")
_MAX_SECONDS = Decimal(2**63 - 1) * Decimal("1e-9")
"""Go counts nanoseconds in 64 bits."""


def seconds_of(duration: str) -> float:
    """Return the seconds of a duration such as ``1h30m``, ``1.5m`` or ``90000ms``.

    :raises ValueError: Compose does not read it, or it is negative.
    """
    text = duration.removeprefix("+")
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        if text == "0":
            return 0.0
        raise ValueError(f"{duration} is not a duration")
    seconds = sum((Decimal(number) * _UNITS[unit] for number, unit in parts), Decimal(0))
    if seconds > _MAX_SECONDS:
        raise ValueError(f"{duration} is too long")
    return float(seconds)
