"""Confines processes that decode images, to limit what a compromised decoder can reach.

A worker's process claims tasks and stores results, so it can reach its database and the file server. A render process
has no database.
"""

from image_processor.config import SandboxMode
from image_processor.confinement import landlock, system_calls
from image_processor.confinement.places import Places


def describe(mode: SandboxMode) -> tuple[bool, str]:
    """Return whether decoding will be confined, and how or why not, in one line for the operator."""
    if mode == "off":
        return False, "turned off by the setting sandbox"
    try:
        version = landlock.version()
    except OSError as error:
        files = f"files and ports are not restricted: no Landlock ({error.strerror})"
    else:
        files = f"Landlock {version} restricts files{' and ports' if version >= landlock.PORTS_SINCE else ''}"
    calls = "seccomp restricts system calls" if system_calls.available() else "no seccomp for this machine"
    return files.startswith("Landlock") or system_calls.available(), f"{files}; {calls}"


def confine(mode: SandboxMode, places: Places) -> None:
    """Confine this process, which must not have other threads yet, as far as the mode and the kernel allow it.

    :raises OSError: the kernel has Landlock or seccomp but refuses the rules.
    """
    if mode == "off":
        return
    try:
        landlock.version()
    except OSError:
        pass
    else:
        landlock.restrict(places.readable, places.writable, places.ports)
    if system_calls.available():
        system_calls.restrict(unix_sockets=places.unix_sockets, udp=places.udp)
