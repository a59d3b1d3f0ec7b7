"""Imported by uWSGI's main process before it forks (``shared-import``), so that processes share modules' memory.

Each process creates its own application, so a replaced process reads the settings again.
"""

from service_kit.garbage import freeze_existing_objects

import image_processor.app  # noqa: F401  # imported for its modules

freeze_existing_objects()
