"""A Celery consumer that connects to the broker faster."""

from celery.worker.consumer import Consumer


class WorkConsumer(Consumer):
    """Celery's consumer without its 28 queues for delayed messages, which Pixmill does not send.

    Celery has no setting for this. With quorum queues, each queue would be a replicated log for which the worker waits.
    """

    class Blueprint(Consumer.Blueprint):  # type: ignore[valid-type, misc]  # celery-types calls this class a variable
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)
