"""The steps that a worker takes when it connects to the broker."""

from celery.worker.consumer import Consumer


class WorkConsumer(Consumer):
    """Celery's consumer without its 28 queues for delayed messages, which Pixmill does not send.

    Celery has no setting for this. With quorum queues, each would be a replicated log that the worker waits for.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type, misc]  # celery-types calls this class a variable
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)
