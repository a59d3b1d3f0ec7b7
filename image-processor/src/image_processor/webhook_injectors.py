"""Creates the services of the process that sends webhooks.

Separate from :mod:`image_processor.injectors`, because a process that connects to clients' hosts should not contain
image decoders.
"""

from functools import partial
from pathlib import Path

from service_kit.database import Database
from service_kit.housekeeping import Chore, Housekeeping, OwnChore

from image_processor.background.clock_watch import ClockWatch
from image_processor.background.webhook_sender import WebhookSender
from image_processor.config import WebhookSettings, signing_secrets
from image_processor.models import TaskChore
from image_processor.services.outbound import public_http_pool
from image_processor.services.tasks.webhooks import ROWS_PER_DELETE, WebhookService

CLOCK_INTERVAL_SECONDS = 1
"""Interval between checks of the database's clock."""
CLOCK_TOLERANCE_SECONDS = 5
"""A smaller step of the clock delays a webhook no longer than a failed delivery does."""
FORGET_INTERVAL_SECONDS = 60
"""Interval between deletions of old hosts."""
KEEP_HOSTS_SECONDS = 30 * 86_400
"""Time for which a host's delivery state is kept."""


def create_webhook_threads(settings: WebhookSettings) -> tuple[Housekeeping, WebhookSender]:
    """Return the two threads of the process."""
    database = Database(settings.database.url, settings.database.pool_size)
    callbacks = WebhookService(database, settings.timeout_seconds, settings.max_seconds, settings.max_silent_seconds)
    http = public_http_pool(settings.allow_networks, settings.timeout_seconds)
    secrets = signing_secrets(settings.secret.get_secret_value())
    alive = Path(settings.alive_file) if settings.alive_file else None
    # After a step of the clock, the stored times of retries are wrong.
    clock = ClockWatch(database, CLOCK_TOLERANCE_SECONDS, [callbacks.reset_delays])

    forget_hosts = partial(callbacks.forget_hosts, KEEP_HOSTS_SECONDS)
    housekeeping = Housekeeping(
        database,
        TaskChore,
        [Chore("hosts of webhooks", FORGET_INTERVAL_SECONDS, forget_hosts, ROWS_PER_DELETE)],
        # It compares the database's clock with that of this process.
        [OwnChore(CLOCK_INTERVAL_SECONDS, clock.check)],
    )
    return housekeeping, WebhookSender(callbacks, http, secrets, alive)
