"""Response headers that restrict what a browser may do with a response."""

import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

_COMMON = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}

API: Mapping[str, str] = {**_COMMON, "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
"""Headers for all responses that browsers should not display."""

DOWNLOAD: Mapping[str, str] = {**_COMMON, "Content-Security-Policy": "sandbox; default-src 'none'"}
"""Headers for stored files: a browser that displays a file runs no scripts in it and fetches nothing for it."""

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def of_page(html: str) -> dict[str, str]:
    """Return the headers of a generated page; only its present inline scripts may run."""
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in _INLINE_SCRIPT.findall(html)]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in hashes)])
    policy = (
        f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
        " object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
    return {
        **_COMMON,
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
