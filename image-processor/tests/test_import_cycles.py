"""The folders of the package, and those of render, depend on each other in one direction."""

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import image_processor
import pytest

from tests.support.imports import imports_within

PACKAGE = Path(image_processor.__file__).parent
RENDER = PACKAGE / "render"


def test_no_folder_imports_one_that_imports_it() -> None:
    folders = imports_within(PACKAGE, "image_processor")

    assert {"confinement", "config"} <= folders["handler"]
    order = list(TopologicalSorter(folders).static_order())
    assert order.index("confinement") < min(order.index("handler"), order.index("render"))


def test_no_folder_of_render_imports_one_that_imports_it() -> None:
    folders = imports_within(RENDER, "image_processor.render")

    order = list(TopologicalSorter(folders).static_order())
    layers = ["plans", "dialects", "processes", "service", "routers", "app"]
    assert sorted(layers, key=order.index) == layers


def test_the_dialects_of_render_import_each_other_in_one_direction() -> None:
    folders = imports_within(RENDER / "dialects", "image_processor.render.dialects")

    assert "thumbor" in folders["imagor"]
    TopologicalSorter(folders).prepare()


def test_routers_import_services_and_no_other_process() -> None:
    folders = imports_within(PACKAGE, "image_processor")

    assert "services" in folders["routers"]
    assert folders["routers"].isdisjoint({"background", "handler", "render"})


def test_a_cycle_of_folders_is_found(tmp_path: Path) -> None:
    for name, other in (("front", "back"), ("back", "front")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "module.py").write_text(f"def use():\n    from {tmp_path.name}.{other} import module\n")

    with pytest.raises(CycleError):
        TopologicalSorter(imports_within(tmp_path, tmp_path.name)).prepare()
