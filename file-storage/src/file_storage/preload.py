"""What uWSGI's main process imports before it forks (``shared-import``): its processes share the memory of all modules.

Each process makes its own applications, and so reads the settings again when it is replaced.
"""

import service_kit.access.app  # noqa: F401  # imported for its modules
from service_kit.garbage import freeze_existing_objects

import file_storage.app  # noqa: F401  # imported for its modules

freeze_existing_objects()
