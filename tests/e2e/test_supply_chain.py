"""Shipped packages and their licenses: NOTICE, the bill of materials, the audit."""

import json
import re
from datetime import date
from pathlib import Path

import cyclonedx.schema
import jsonschema_rs
import pytest
from license_expression import get_spdx_licensing

from requirements.audit import excepted, feed_answers, findings_of, unknown_in
from requirements.notice import NOTICE, notice
from requirements.packages import READ, SHIPPED, packages_of
from requirements.sbom import bill

SCHEMA = Path(cyclonedx.schema.__file__).parent / "_res" / "bom-1.6.SNAPSHOT.schema.json"
DOCKERFILES = sorted(Path().glob("*/*.Dockerfile"))


def locked_names(path: Path) -> set[str]:
    return set(re.findall(r"^([a-zA-Z0-9_.-]+)==", path.read_text(), re.MULTILINE))


def test_notice_is_current() -> None:
    assert NOTICE.read_text("utf-8") == notice()


def test_notice_names_every_locked_package_that_ships() -> None:
    named = set(
        re.findall(r"^  (\S+) +\S+ +\S.*$", NOTICE.read_text("utf-8").partition("Packages from PyPI")[2], re.MULTILINE)
    )

    assert named == locked_names(SHIPPED)


def test_every_license_of_what_ships_is_one_that_spdx_knows() -> None:
    licensing = get_spdx_licensing()

    wrong = {package.name: licensing.validate(package.license).errors for package in packages_of(SHIPPED)}

    assert {name: errors for name, errors in wrong.items() if errors} == {}


def test_no_license_is_kept_of_a_package_that_is_not_locked_any_more() -> None:
    assert set(READ) <= locked_names(Path("requirements/development.txt"))


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_every_image_contains_the_notice_and_our_license(dockerfile: Path) -> None:
    last_stage = dockerfile.read_text().rpartition("\nFROM ")[2]

    assert re.search(r"^COPY NOTICE LICENSE /usr/share/doc/pixmill/$", last_stage, re.MULTILINE)
    assert {"!NOTICE", "!LICENSE"} <= set(Path(".dockerignore").read_text().splitlines())


@pytest.fixture(scope="module")
def bom() -> dict[str, object]:
    made: dict[str, object] = json.loads(bill())
    return made


def test_the_bill_of_materials_is_valid_cyclonedx(bom: dict[str, object]) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    others = [
        (f"http://cyclonedx.org/schema/{path.name}", json.loads(path.read_text("utf-8")))
        for path in SCHEMA.parent.glob("*.SNAPSHOT.schema.json")
        if path != SCHEMA
    ]
    registry = jsonschema_rs.Registry(others)

    errors = list(jsonschema_rs.validator_for(schema, registry=registry).iter_errors(bom))

    assert [error.message for error in errors] == []


def test_the_bill_has_each_locked_package_with_its_license_and_hashes(bom: dict[str, object]) -> None:
    components = bom["components"]
    assert isinstance(components, list)

    assert {part["name"] for part in components} == locked_names(Path("requirements/development.txt"))
    assert all(part["licenses"] and part["hashes"] for part in components)
    assert {part["name"] for part in components if part["scope"] == "required"} == locked_names(SHIPPED)


REPORT = """{"fixes": [], "dependencies": [
  {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"], "aliases": []}]},
  {"name": "flask", "version": "3.1", "vulns": []},
  {"name": "ours", "skip_reason": "not found"}]}"""


def test_a_known_vulnerability_is_a_finding() -> None:
    (finding,) = findings_of(REPORT)

    assert (finding.package, finding.id, finding.fixed) == ("jinja2", "PYSEC-2019-217", ("2.10.1",))


def test_a_package_that_the_feed_does_not_know_is_reported() -> None:
    assert unknown_in(REPORT) == ["ours"]


EXCEPTION = '[[exception]]\npackage = "jinja2"\nid = "PYSEC-2019-217"\nreason = "{reason}"\nuntil = 2026-12-31\n'


def test_an_exception_holds_until_its_date() -> None:
    text = EXCEPTION.format(reason="No template comes from strangers.")

    assert excepted(text, date(2026, 12, 31)) == {("jinja2", "PYSEC-2019-217")}
    assert excepted(text, date(2027, 1, 1)) == set()


def test_an_exception_without_a_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="PYSEC-2019-217"):
        excepted(EXCEPTION.format(reason=" "), date(2026, 12, 1))


@pytest.mark.parametrize("answer", ['{"vulnerabilities": []}', "<html>"])
def test_a_mirror_that_knows_of_no_vulnerability_is_not_a_feed(answer: str, tmp_path: Path) -> None:
    (tmp_path / "canary.json").write_text(answer)

    assert not feed_answers((tmp_path / "canary.json").as_uri())


def test_a_feed_that_knows_the_vulnerable_version_is_one(tmp_path: Path) -> None:
    (tmp_path / "canary.json").write_text('{"vulnerabilities": [{"id": "PYSEC-2019-217"}]}')

    assert feed_answers((tmp_path / "canary.json").as_uri())


def test_without_a_network_there_is_no_feed() -> None:
    assert not feed_answers("http://127.0.0.1:9/")


def test_the_exceptions_that_we_have_can_be_read() -> None:
    assert isinstance(excepted(Path("requirements/audit.toml").read_text("utf-8"), date.today()), set)
