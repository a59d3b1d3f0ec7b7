"""Ask the feed of known vulnerabilities about all locked packages. `make audit` and `make test-all` run it.

A finding fails unless requirements/audit.toml excepts it, with a reason and a date. Without a feed nothing is checked.
"""

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.request import urlopen

FOLDER = Path(__file__).parent
LOCKED = (FOLDER.parent / "pixmill" / "requirements.txt", FOLDER / "development.txt", FOLDER / "build.txt")
EXCEPTIONS = FOLDER / "audit.toml"
CANARY = "https://pypi.org/pypi/jinja2/2.10/json"
"""A version that is known to be vulnerable, to recognize mirrors, which answer but know no vulnerabilities."""
NO_FEED = "pip-audit: no feed of vulnerabilities can be reached here; nothing was checked"


@dataclass(frozen=True)
class Finding:
    package: str
    version: str
    id: str
    fixed: tuple[str, ...]


def findings_of(report: str) -> Iterator[Finding]:
    """Yield the findings of pip-audit's report."""
    for package in json.loads(report)["dependencies"]:
        for flaw in package.get("vulns", []):
            yield Finding(package["name"], package["version"], flaw["id"], tuple(flaw["fix_versions"]))


def excepted(text: str, today: date) -> set[tuple[str, str]]:
    """Return the packages and ids that are excepted today.

    :raises ValueError: an exception has no reason.
    """
    valid = set()
    for exception in tomllib.loads(text).get("exception", []):
        if not exception["reason"].strip():
            raise ValueError(f"{exception['id']}: write why it is excepted")
        if exception["until"] >= today:
            valid.add((exception["package"], exception["id"]))
    return valid


def unknown_in(report: str) -> list[str]:
    """Return the packages that pip-audit could not look up."""
    return [package["name"] for package in json.loads(report)["dependencies"] if "skip_reason" in package]


def feed_answers(canary: str = CANARY) -> bool:
    """Return whether the feed can be reached and knows the vulnerable version."""
    try:
        # Only a test names another address.
        with urlopen(canary, timeout=10) as answer:  # noqa: S310  # nosec B310
            return bool(json.load(answer).get("vulnerabilities"))
    except (OSError, ValueError):
        return False


def main() -> int:
    if not feed_answers():
        print(NO_FEED)
        return 0
    requirements = [word for path in LOCKED for word in ("--requirement", str(path))]
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip"]
    # No shell, and all of the command is written here.
    run = subprocess.run(  # noqa: S603  # nosec B603
        [*command, "--require-hashes", *requirements], capture_output=True, text=True, check=False
    )
    if not run.stdout.lstrip().startswith("{"):
        if not feed_answers():
            print(NO_FEED)
            return 0
        print(run.stderr, file=sys.stderr)
        return 1
    allowed = excepted(EXCEPTIONS.read_text("utf-8"), date.today())
    found = [finding for finding in findings_of(run.stdout) if (finding.package, finding.id) not in allowed]
    for finding in found:
        print(f"{finding.package} {finding.version}: {finding.id}, fixed in {', '.join(finding.fixed) or 'no version'}")
    if unknown := unknown_in(run.stdout):
        print(f"pip-audit: the feed does not know {', '.join(unknown)}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
