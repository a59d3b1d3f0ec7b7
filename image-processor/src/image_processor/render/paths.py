"""Finds out whether a request is for the render service, for a proxy in front of it."""

import re

from image_processor.render.config import RenderSettings

_API = re.compile(
    r"/api/image-processing/(thumbnails|metadata|preview|render-urls|renders)(/|$)"
    r"|/api/file-server/shared/[^/]+/[0-9]+/thumbnails/"
)


class RenderPaths:
    """The paths and host names at which the render service answers."""

    def __init__(self, settings: RenderSettings) -> None:
        peers = [peer for peer in (settings.thumbor, settings.imagor, settings.imgproxy) if peer.enabled]
        self._paths = (settings.native.path or "/img/", *(peer.path for peer in peers if peer.path))
        self._hosts = frozenset(peer.host for peer in peers if peer.host)

    def has(self, path: str, host: str) -> bool:
        """Return whether a request is for the render service.

        :param host: the request's Host header.
        """
        if host.partition(":")[0].lower() in self._hosts:
            return True
        return path.startswith(self._paths) or _API.match(path) is not None
