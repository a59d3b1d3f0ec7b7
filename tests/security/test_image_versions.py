"""The images of docker-compose have versions that still get security updates.

A date ends that without a change here, so only ``make test-all`` looks at the dates.
"""

import datetime
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parents[2]

UPDATES_END = {
    "python 3.11": datetime.date(2027, 10, 24),
    "postgres 16": datetime.date(2028, 11, 9),
    # Long-term support: Debian's own security team ended its work on 2026-06-10. The C library of a later Debian
    # sorts text differently, so the indexes of existing databases would have to be rebuilt; Python's images follow
    # PostgreSQL's.
    "debian bookworm": datetime.date(2028, 6, 10),
}
"""The last days of security updates, as https://endoflife.date has them."""
WITHOUT_DATE = {"nginx": (1, 30), "rabbitmq": (4, 2)}
"""Their versions end when a later one is released; ``renovate.json`` proposes that one. Earlier versions have ended
(https://nginx.org/en/download.html, https://www.rabbitmq.com/release-information)."""


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


@pytest.mark.parametrize("program", WITHOUT_DATE)
def test_a_program_is_of_a_branch_that_has_not_ended(program: str) -> None:
    tags = [image.split(":")[1] for image in images() if image.startswith(f"{program}:")]

    branches = [tuple(int(part) for part in tag.split("-")[0].split(".")[:2]) for tag in tags]
    assert branches
    assert all(branch >= WITHOUT_DATE[program] for branch in branches)


def test_renovate_pins_the_digests_of_images() -> None:
    settings = json.loads((PROJECT / "renovate.json").read_text())

    assert "docker:pinDigests" in settings["extends"]
    assert {"dockerfile", "docker-compose"} <= set(settings["enabledManagers"])


@pytest.mark.thorough
def test_each_version_of_an_image_still_gets_security_updates() -> None:
    today = datetime.datetime.now(datetime.UTC).date()

    ended = {version for version in versions() if UPDATES_END[version] < today}

    assert not ended, "choose later versions, and add their dates"
