"""Look-up tables that are too long or declare a wrong size."""

import tracemalloc

import pytest
from image_processor.imaging.cube import read_cube
from image_processor.imaging.errors import UnsuitableImageError

FILE_BYTES = 16 * 1024 * 1024


@pytest.mark.slow
def test_a_file_of_16_mb_is_refused_at_the_first_color_too_many_and_its_lines_are_not_collected() -> None:
    row = "0 0 0\n"
    text = "LUT_1D_SIZE 65536\n" + row * (FILE_BYTES // len(row))
    tracemalloc.start()

    with pytest.raises(UnsuitableImageError, match="more than 65,536 colors; its size of 65536 needs 65,536"):
        read_cube(text)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


@pytest.mark.parametrize("line", ["LUT_1D_SIZE 65537", "LUT_3D_SIZE 257", "LUT_1D_SIZE 1"])
def test_an_impossible_size_is_refused(line: str) -> None:
    with pytest.raises(UnsuitableImageError, match="cannot have the size"):
        read_cube(f"{line}\n0 0 0\n")


def test_a_line_that_no_look_up_table_has_is_refused_before_it_is_split() -> None:
    text = "LUT_1D_SIZE 2\n" + "0 " * (FILE_BYTES // 2)
    tracemalloc.start()

    with pytest.raises(UnsuitableImageError, match="Line 2 of the LUT"):
        read_cube(text)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * FILE_BYTES


def test_colors_before_a_size_are_refused() -> None:
    with pytest.raises(UnsuitableImageError, match="before its colors"):
        read_cube("0 0 0\n1 1 1\nLUT_1D_SIZE 2\n")


def test_a_table_with_too_few_colors_is_refused() -> None:
    with pytest.raises(UnsuitableImageError, match="has 1 color; its size of 2 needs 2"):
        read_cube("LUT_1D_SIZE 2\n0 0 0\n")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_end_of_line_is_read(end: str) -> None:
    assert read_cube(end.join(["TITLE x", "LUT_1D_SIZE 2", "# ", "0 0 0", "", "1 1 1"])) is not None
