"""What the worker does at each connection to the broker."""

from celery.worker.consumer import Consumer


class WorkConsumer(Consumer):
    """Celery's, which beside a quorum queue declares 28 more for messages to be delivered later: Pixmill sends none.

    Celery has no setting for that. Each would be a replicated log of RabbitMQ's, and a worker would wait for them all.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type, misc]  # celery-types calls this class a variable
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)
