"""Environment variables of every server in the tests."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
MAX_UPLOAD = 256 * 1024 * 1024
CALLBACK_SECRET = "test-secret-of-webhooks-of-32-bytes-and-more"
LINK_SECRET = "test-secret-of-links-of-32-bytes-and-more"
RENDER_KEY = "test-key-of-render-urls-of-32-bytes-and-more"
INNER_SECRET = "test-secret-of-inner-calls-of-32-bytes-and-more"
TRUSTED_PROXY = "127.0.0.9"
"""The address of the proxies whose X-Forwarded-Proto counts."""
ENVIRONMENT = {
    "FILE_STORAGE_HTTP__TRUSTED_PROXIES": f'["{TRUSTED_PROXY}/32"]',
    "RENDER_HTTP__TRUSTED_PROXIES": f'["{TRUSTED_PROXY}/32"]',
    "PIXMILL_CALLBACK_SECRET": CALLBACK_SECRET,
    "PIXMILL_LINK_SECRET": LINK_SECRET,
    "PIXMILL_INNER_SECRET": INNER_SECRET,
    "ACCESS_HTTP__HOSTS": '["photos.example"]',
    "WEBHOOKS_ALLOW_NETWORKS": '["127.0.0.0/8"]',
    "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    "LANG": "C.UTF-8",
    # Small enough that a test can exceed it.
    "FILE_STORAGE_UPLOAD__MAX_BYTES": str(MAX_UPLOAD),
    # Large, so that tests do not fail on a busy machine; tests of this limit set their own.
    "WORKER_LIMITS__MAX_SECONDS": "120",
    "RENDER_LIMITS__MAX_SECONDS": "60",
    "RENDER_POOL__QUEUE_SECONDS": "120",
    # Deletions show soon.
    "RENDER_HTTP__LOOKUP_SECONDS": "2",
    "RENDER_NATIVE__KEYS": f'["{RENDER_KEY}"]',
}
_SOURCES = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
"""Servers run the same sources as the tests: ``tests.mutations`` runs both on a changed copy."""
if _SOURCES:
    ENVIRONMENT["PYTHONPATH"] = _SOURCES[0]
MISBEHAVING = {"PYTHONPATH": os.pathsep.join([str(PROJECT / "tests/faults/plugin"), *_SOURCES])}
"""Additional variables that install the algorithms crash, hang, hoard and pause."""
