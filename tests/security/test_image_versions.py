"""The images of docker-compose have versions that still get security updates.

A date ends that without a change here, so only ``make test-all`` looks at the dates.
"""

import datetime
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]

UPDATES_END = {
    "python 3.11": datetime.date(2027, 10, 24),
    "postgres 16": datetime.date(2028, 11, 9),
    # Long-term support: Debian's own security team ended its work on 2026-06-10.
    "debian bookworm": datetime.date(2028, 6, 10),
}
"""The last days of security updates, as https://endoflife.date has them."""
WITHOUT_DATE = {"nginx", "rabbitmq"}
"""Their versions end when a later one is released; ``renovate.json`` proposes that one."""


def images() -> set[str]:
    services = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())["services"].values()
    dockerfiles = [path.read_text() for path in PROJECT.glob("*/*.Dockerfile")]
    named = {service["image"] for service in services} | set(re.findall(r"^FROM (\S+)", "\n".join(dockerfiles), re.M))
    return {image for image in named if not image.startswith("pixmill/")}


def versions() -> Iterator[str]:
    """Yield ``name version`` of each program, and of each Debian that an image's tag names."""
    for image in images():
        name, tag = image.split(":")
        version, *variants = tag.split("-")
        if name not in WITHOUT_DATE:
            # Python has security updates by minor version, PostgreSQL by major version.
            yield f"{name} {'.'.join(version.split('.')[:2])}"
        yield from (f"debian {variant}" for variant in variants if variant != "slim")


def test_each_program_of_an_image_is_known() -> None:
    assert {image.split(":")[0] for image in images()} == {"python", "postgres", *WITHOUT_DATE}


@pytest.mark.thorough
def test_each_version_of_an_image_still_gets_security_updates() -> None:
    today = datetime.datetime.now(datetime.UTC).date()

    ended = {version for version in versions() if UPDATES_END[version] < today}

    assert not ended, "choose later versions, and add their dates"
