"""The error that an algorithm raises."""


class UnsuitableImageError(Exception):
    """The algorithm cannot be applied to this image with these params; the message says why."""
