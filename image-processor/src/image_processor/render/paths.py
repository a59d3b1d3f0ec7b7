"""Which requests are for the render service, for a front that passes on."""

import re

from image_processor.render.config import RenderSettings

_API = re.compile(r"/api/image-processing/(thumbnails|metadata|preview|render-urls|renders)(/|$)")


class RenderPaths:
    """The paths and host names of these settings."""

    def __init__(self, settings: RenderSettings) -> None:
        peers = [peer for peer in (settings.thumbor, settings.imagor, settings.imgproxy) if peer.enabled]
        self._paths = (settings.native.path or "/img/", *(peer.path for peer in peers if peer.path))
        self._hosts = frozenset(peer.host for peer in peers if peer.host)

    def has(self, path: str, host: str) -> bool:
        """Return whether the render service answers.

        :param host: the Host header.
        """
        if host.partition(":")[0].lower() in self._hosts:
            return True
        return path.startswith(self._paths) or _API.match(path) is not None
