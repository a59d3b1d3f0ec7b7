"""Sends webhooks until SIGTERM: ``python -m image_processor.webhooks``. Any number of these processes may run."""

import signal

from service_kit import logs
from service_kit.settings import load_or_exit, warn_of_short_passwords

from image_processor.config import WebhookSettings
from image_processor.webhook_injectors import create_webhook_threads

STOP_SECONDS = 5
"""Time for running deliveries; less than uWSGI's ``reload-mercy`` and the ``stop_grace_period`` of docker-compose."""
_STOPPING = (signal.SIGTERM, signal.SIGINT)


def main() -> None:
    """Send webhooks, configured by ``config/webhooks/conf.yml`` and the environment."""
    # Threads inherit the blocked signals, so only sigwait() receives them.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    settings = load_or_exit(WebhookSettings)
    logs.configure(settings.log.level)
    warn_of_short_passwords(settings)
    housekeeping, sender = create_webhook_threads(settings)
    housekeeping.start()
    sender.start()
    signal.sigwait(_STOPPING)
    housekeeping.stop()
    sender.stop(STOP_SECONDS)


if __name__ == "__main__":
    main()
