"""The Prometheus metrics of the render service."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

MEDIA_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)


class RenderMetrics:
    """The metrics of one process."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "pixmill_render_requests", "Requests by form of URL and status.", ["form", "status"], registry=registry
        )
        self.renders = Counter("pixmill_renders", "Results that were made.", ["format"], registry=registry)
        self.hits = Counter("pixmill_render_hits", "Results that were in the cache.", registry=registry)
        self.joined = Counter(
            "pixmill_render_joined", "Requests that waited for the render of an equal one.", registry=registry
        )
        self.refused = Counter("pixmill_render_refused", "Renders without a result.", ["reason"], registry=registry)
        self.killed = Counter("pixmill_render_killed", "Render processes that died.", ["reason"], registry=registry)
        self.seconds = Histogram(
            "pixmill_render_seconds", "From the start of a render to its end.", registry=registry, buckets=_SECONDS
        )
        self.queue_seconds = Histogram(
            "pixmill_render_queue_seconds", "Until a process was free.", registry=registry, buckets=_SECONDS
        )

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Publish the return value of a function as a gauge."""
        Gauge(name, text, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all metrics in Prometheus's format."""
        return generate_latest(self._registry)
