"""Images of one band with a value that rises along a direction."""

import math

import pyvips


def ramp(width: int, height: int, direction: float, start: float, stop: float) -> pyvips.Image:
    """Return shares from 0 at ``start`` to 1 at ``stop``, both parts of the way across the image.

    :param direction: degrees, clockwise: 0 rises downwards, 90 to the left.
    """
    across, down = -math.sin(math.radians(direction)), math.cos(math.radians(direction))
    places = pyvips.Image.xyz(width, height) + 0.5
    along = (places[0] - width / 2) * across + (places[1] - height / 2) * down
    length = width * abs(across) + height * abs(down)
    share = along / length + 0.5
    span = stop - start
    # Without a span it is a step.
    raised = (share - start) / span if abs(span) > 1e-9 else (share >= start) / 255
    return raised.clamp(min=0, max=1)
