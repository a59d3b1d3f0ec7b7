"""What uWSGI's main process imports before it forks (``shared-import``): its processes share the memory of all modules.

Each process makes its own application, and so reads the settings again when it is replaced.
"""

from service_kit.garbage import freeze_existing_objects

import image_processor.app  # noqa: F401  # imported for its modules

freeze_existing_objects()
