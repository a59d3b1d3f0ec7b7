"""The distribution of tests to test runners."""

import pytest

from tests.support.distribution import unit_of
from tests.support.environment import PROJECT


@pytest.mark.parametrize(
    ("test", "unit"),
    [
        ("tests/api/test_upload.py::test_a_name[full]", "full"),
        ("tests/api/test_upload.py::test_a_name[embedded-7]", "embedded"),
        ("tests/security/test_routes.py::test_a_route[full-GET /]", "full"),
    ],
)
def test_tests_of_a_stack_are_one_unit_across_modules(test: str, unit: str) -> None:
    assert unit_of(test) == unit


def test_the_full_stack_of_e2e_is_a_unit_of_its_own() -> None:
    assert unit_of("tests/e2e/test_page.py::test_a_page[full]") == "full of tests/e2e"
    assert unit_of("tests/e2e/test_page.py::test_a_page[embedded]") == "embedded"


def test_a_function_without_a_parameter_has_the_stack_that_its_module_asks_for() -> None:
    assert unit_of("tests/e2e/test_limits.py::test_a_limit") == "strict"
    assert unit_of("tests/e2e/test_render.py::test_a_picture") == "tuned"


@pytest.mark.parametrize(
    "test",
    [
        "tests/e2e/test_s3.py::test_a_file_is_stored_in_the_bucket_and_downloaded[nginx]",
        "tests/e2e/test_wheel.py::test_a_wheel",
        "tests/e2e/test_sizes.py::test_a_size[fullness]",
        "image-processor/tests/test_kinds.py::test_a_kind[full-1]",
    ],
)
def test_every_other_module_is_a_unit(test: str) -> None:
    assert unit_of(test) == test.partition("::")[0]


def test_every_module_that_shares_the_strict_or_the_tuned_stack_is_found() -> None:
    modules = [str(path.relative_to(PROJECT)) for path in sorted((PROJECT / "tests").rglob("test_*.py"))]
    for name in ("strict", "tuned"):
        asking = {module for module in modules if f"({name}: " in (PROJECT / module).read_text("utf-8")}

        assert len(asking) > 1
        assert {unit_of(f"{module}::test") for module in asking} == {name}
