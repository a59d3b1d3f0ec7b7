"""Creates the gate from the settings of access control.

It is separate from :mod:`service_kit.access.injectors`, which imports Flask: ASGI applications start faster without it.
"""

from service_kit.access import rates
from service_kit.access.config import AccessSettings
from service_kit.access.gate import Gate, Rules
from service_kit.access.keys import KeyService
from service_kit.access.wrong_keys import WrongKeys
from service_kit.database import Database


def create_gate(settings: AccessSettings, keys: KeyService, database: Database) -> Gate:
    """Return the gate for these settings; it counts requests together with all others of this service.

    :param database: the database of keys, for counting wrong ones.
    """
    rules = Rules(
        mode=settings.auth.mode,
        inner_secret=settings.auth.inner_secret.get_secret_value(),
        hosts=settings.http.hosts,
        cors_origins=settings.http.cors_origins,
    )
    return Gate(rules, keys, WrongKeys(database), rates.SHARED)
