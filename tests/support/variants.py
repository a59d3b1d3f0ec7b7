"""Every algorithm with the params of its example, and with each method that uses different code."""

from collections.abc import Mapping
from itertools import chain
from typing import NamedTuple

import numpy
from image_processor.algorithms.registry import Algorithm, all_algorithms

from tests.support.images import opened, photo

Params = Mapping[str, object]


class Variant(NamedTuple):
    """An algorithm with params; ``str`` returns a name for a test."""

    algorithm: Algorithm
    params: Params

    @property
    def name(self) -> str:
        return self.algorithm.name

    def __str__(self) -> str:
        return " ".join([self.name, *(str(value) for value in self.params.values() if isinstance(value, str))])


_CORNERS = [{"x": 0.2, "y": 0.1}, {"x": 0.9, "y": 0.2}, {"x": 0.8, "y": 0.9}, {"x": 0.1, "y": 0.7}]
_OTHERS: Mapping[str, list[Params]] = {
    "blur": [{"method": "box", "radius": 4}, {"method": "motion", "radius": 6, "angle": 30}, {"radius": 1.2}],
    "blur_faces": [{"method": "blur"}],
    "convolve": [{"kernel": [-1, 0, 1, -2, 0, 2, -1, 0, 1]}, {"kernel": [1] * 25}],
    "crop": [{"width": 20, "height": 20, "gravity": "entropy"}, {"width": 20, "height": 20}],
    "denoise": [{"method": "median"}, {"method": "bilateral"}],
    "edges": [{"method": "sobel"}],
    "equalize": [{"method": "global"}, {"method": "clahe", "window": 16}],
    "extend": [{"width": 90, "height": 90, "mode": mode} for mode in ("background", "copy", "mirror", "repeat")],
    "montage": [{"others": [2], "fit": "contain", "width": 60, "height": 60}],
    "overlay": [
        {"file_id": 2, "blend": blend}
        for blend in ("normal", "multiply", "overlay", "color-dodge", "soft-light", "difference", "add", "mask")
    ],
    "pad": [{"left": 9, "top": 9, "mode": mode} for mode in ("background", "copy", "mirror")],
    "perspective": [{"corners": _CORNERS, "width": 20, "height": 16}],
    "resize": [
        {"width": 30, "height": 12, "fit": "cover", "gravity": "attention"},
        {"width": 20, "kernel": "mitchell"},
        {"width": 100, "kernel": "lanczos3"},
        {"width": 96, "kernel": "nearest"},
        {"width": 20, "linear": True},
    ],
    "rotate": [{"angle": 90}],
    "sharpen": [{"radius": 1.5, "amount": 200}, {"radius": 12.0, "amount": 80}, {"threshold": 9.0}],
    "to_colorspace": [{"space": space} for space in ("srgb", "p3", "cmyk")],
    "trim": [{"margin": 1}],
    "watermark": [{"mark": {"file_id": 2}}],
}
"""Params in addition to the examples."""

VARIANTS = list(
    chain.from_iterable(
        [Variant(algorithm, params) for params in (algorithm.example, *_OTHERS.get(algorithm.name, []))]
        for algorithm in all_algorithms().values()
    )
)

CUBE = "LUT_3D_SIZE 2\n" + "\n".join(f"{1 - r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1))


def files_for(algorithm: Algorithm, content: bytes) -> dict[int, bytes]:
    """Return the files for the ids 2 and 3 in the examples.

    :param content: an image of the source's size, for ``compare``.
    """
    if algorithm.name == "lut":
        return {2: CUBE.encode()}
    return {2: content if algorithm.name == "compare" else photo(33, 21, mode="RGBA"), 3: photo(20, 40)}


def textured(width: int, height: int) -> numpy.ndarray:
    """Return a smooth picture with random squares."""
    random = numpy.random.default_rng(4)
    squares = numpy.kron(random.integers(0, 255, (height // 4, width // 4, 3)), numpy.ones((4, 4, 1)))
    mixed: numpy.ndarray = ((squares + numpy.asarray(opened(photo(width, height)))) / 2).astype("uint8")
    return mixed
