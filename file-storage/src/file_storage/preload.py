"""Imported by uWSGI's main process before it forks (``shared-import``), so that processes share modules' memory.

Each process creates its own applications, so a replaced process reads the settings again.
"""

import service_kit.access.app  # noqa: F401  # imported for its modules
from service_kit.garbage import freeze_existing_objects

import file_storage.app  # imported for its modules
import file_storage.services.media.pillow_headers  # noqa: F401  # likewise; uploads need it

freeze_existing_objects()
