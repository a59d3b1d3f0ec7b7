"""Environment variables for every server in the tests."""

import os
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SCRIPTS = Path(sys.executable).parent
MAX_UPLOAD = 256 * 1024 * 1024
CALLBACK_SECRET = "test-secret-of-webhooks-of-32-bytes-and-more"
LINK_SECRET = "test-secret-of-links-of-32-bytes-and-more"
RENDER_KEY = "test-key-of-render-urls-of-32-bytes-and-more"
WORKER_SECRET = "test-secret-of-workers-of-32-bytes-and-more"
RENDER_SECRET = "test-secret-of-the-render-service-of-32-bytes-and-more"
IMAGE_PROCESSOR_SECRET = "test-secret-of-image-processor-of-32-bytes-and-more"
INNER_SECRETS = {
    "PIXMILL_WORKER_INNER_SECRET": WORKER_SECRET,
    "PIXMILL_RENDER_INNER_SECRET": RENDER_SECRET,
    "PIXMILL_IMAGE_PROCESSOR_INNER_SECRET": IMAGE_PROCESSOR_SECRET,
}
"""The secrets with which Pixmill's own processes authenticate to the services."""
TRUSTED_PROXY = "127.0.0.9"
"""The proxy address whose X-Forwarded-Proto is trusted."""
ENVIRONMENT = {
    "FILE_STORAGE_HTTP__TRUSTED_PROXIES": f'["{TRUSTED_PROXY}/32"]',
    "RENDER_HTTP__TRUSTED_PROXIES": f'["{TRUSTED_PROXY}/32"]',
    "PIXMILL_CALLBACK_SECRET": CALLBACK_SECRET,
    "PIXMILL_LINK_SECRET": LINK_SECRET,
    **INNER_SECRETS,
    "ACCESS_HTTP__HOSTS": '["photos.example"]',
    "WEBHOOKS_ALLOW_NETWORKS": '["127.0.0.0/8"]',
    "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
    "LANG": "C.UTF-8",
    # Small enough for a test to exceed it.
    "FILE_STORAGE_UPLOAD__MAX_BYTES": str(MAX_UPLOAD),
    # Large enough for a busy machine; tests of this limit set their own.
    "WORKER_LIMITS__MAX_SECONDS": "120",
    "RENDER_LIMITS__MAX_SECONDS": "60",
    "RENDER_POOL__QUEUE_SECONDS": "120",
    # Make deletions visible soon.
    "RENDER_HTTP__LOOKUP_SECONDS": "2",
    "RENDER_NATIVE__KEYS": f'["{RENDER_KEY}"]',
}
_SOURCES = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
"""Servers run the same sources as the tests: ``tests.mutations`` runs both on a modified copy."""
if _SOURCES:
    ENVIRONMENT["PYTHONPATH"] = _SOURCES[0]
MISBEHAVING = {"PYTHONPATH": os.pathsep.join([str(PROJECT / "tests/faults/plugin"), *_SOURCES])}
"""Additional variables that install the algorithms break_out, crash, hang, hoard and pause."""

LEASE_SECONDS = 3
LEASE = MISBEHAVING | {"WORKER_LEASE__SECONDS": str(LEASE_SECONDS), "WORKER_LEASE__HEARTBEAT_SECONDS": "0.5"}
"""Additional variables with which another worker soon takes over the tasks of a dead worker."""

THUMBOR_KEY = "a-thumbor-key-of-the-tests"
IMGPROXY_KEY, IMGPROXY_SALT = "11" * 32, "22" * 16
RENDER_HOST = "thumbs.example"

STRICT = LEASE | {
    "WORKER_CONCURRENCY": "2",
    "WORKER_LIMITS__MAX_SECONDS": "8",
    "WORKER_LIMITS__MAX_MEMORY_BYTES": str(512 * 1024 * 1024),
    "WORKER_LIMITS__MAX_FILE_BYTES": str(100_000),
    "WORKER_LIMITS__MAX_TASK_BYTES": str(100_000),
    "WORKER_SHUTDOWN_SECONDS": "1",
    "FILE_STORAGE_STORAGE__QUOTA_BYTES": "40000000",
    "RENDER_THUMBOR__KEYS": f'["{THUMBOR_KEY}"]',
    "RENDER_THUMBOR__HOST": RENDER_HOST,
}
"""Additional variables with limits that a test can exceed, and a host name for images."""

MAX_WRITTEN_BYTES = 64 * 1024 * 1024
TUNED = {
    "RENDER_THUMBOR__KEYS": f'["{THUMBOR_KEY}"]',
    "RENDER_THUMBOR__HOST": RENDER_HOST,
    "RENDER_THUMBOR__UNSAFE": "true",
    "RENDER_IMGPROXY__KEYS": f'["{IMGPROXY_KEY}"]',
    "RENDER_IMGPROXY__SALTS": f'["{IMGPROXY_SALT}"]',
    "RENDER_IMAGOR__UNSAFE": "true",
    "RENDER_HTTP__FALLBACK_FILE_ID": "1",
    "RENDER_HTTP__CLIENT_HINTS": "true",
    "RENDER_POOL__MAX_RENDERS": "3",
    "WORKER_LIMITS__MAX_WRITTEN_BYTES": str(MAX_WRITTEN_BYTES),
    "WORKER_LIMITS__MAX_DECODED_BYTES": str(256 * 1024 * 1024),
    "VIPS_DISC_THRESHOLD": "1m",
}
"""Additional variables: image URLs of other servers, a fallback for missing images, and decoding limits."""
