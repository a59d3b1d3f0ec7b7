"""Finds faces with a neural network, whose weights are part of this package; nothing is downloaded."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy
import pyvips

from image_processor.imaging.arrays import pixels_of
from image_processor.imaging.color import color_bands, in_color

if TYPE_CHECKING:
    import cv2

WEIGHTS = Path(__file__).parent / "yunet" / "face_detection_yunet_2023mar.onnx"

SIDES = (1024, 320)
"""The longer sides, in pixels, at which an image is searched. YuNet finds faces of 10 to 300 pixels: at the first size
the small ones, at the second one a face that fills the image."""

SCORE = 0.8
"""The least score of a face. With the default of OpenCV, 0.9, a third of small and blurred faces is missed; below 0.8 a
motorcycle counts as a face (`tests/test_faces.py`)."""

OVERLAP = 0.3
"""Of two boxes that share more than this part of their union, the one with the lower score is dropped. OpenCV's
default."""

MOST = 5000
"""The most candidates at one size. OpenCV's default."""


class Face(NamedTuple):
    """Where a face is, in pixels of the image."""

    left: int
    top: int
    width: int
    height: int

    def grown(self, share: float, image: pyvips.Image) -> "Face":
        """Return the face, enlarged on each side by ``share`` of its size, within the image."""
        left = max(0, round(self.left - self.width * share))
        top = max(0, round(self.top - self.height * share))
        right = min(image.width, round(self.left + self.width * (1 + share)))
        bottom = min(image.height, round(self.top + self.height * (1 + share)))
        return Face(left, top, right - left, bottom - top)


class _Candidate(NamedTuple):
    box: tuple[float, float, float, float]
    score: float


def faces_of(image: pyvips.Image) -> list[Face]:
    """Return the faces of a gray or sRGB image, the largest first.

    (W. Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023.)
    """
    opaque = in_color(color_bands(image))
    first, *smaller = SIDES
    sides = [first, *(side for side in smaller if side < max(image.width, image.height))]
    found = [candidate for side in sides for candidate in _candidates(opaque, side)]
    faces = [Face(*(round(value) for value in candidate.box)).grown(0, image) for candidate in _distinct(found)]
    inside = [face for face in faces if face.width > 0 and face.height > 0]
    return sorted(inside, key=lambda face: -face.width * face.height)


def _candidates(image: pyvips.Image, side: int) -> Iterator[_Candidate]:
    """Yield the faces found in the image scaled down to this size, in pixels of the image."""
    small = image.thumbnail_image(side, size="down", no_rotate=True)
    across, down = image.width / small.width, image.height / small.height
    detector = _detector()
    detector.setInputSize((small.width, small.height))
    _, rows = detector.detect(numpy.ascontiguousarray(pixels_of(small)[:, :, ::-1]))  # OpenCV wants blue first
    # OpenCV returns None, which its types conceal, where it finds no face. The last column is the score.
    for row in numpy.empty((0, 15)) if rows is None else rows.astype(float):
        left, top, width, height = row[:4].tolist()
        yield _Candidate((left * across, top * down, width * across, height * down), float(row[-1]))


def _distinct(found: list[_Candidate]) -> list[_Candidate]:
    """Return each face once: a face may be found at several sizes."""
    import cv2  # large, and never needed by the API

    kept = cv2.dnn.NMSBoxes(
        [candidate.box for candidate in found], [candidate.score for candidate in found], SCORE, OVERLAP
    )
    return [found[int(place)] for place in kept]


@cache
def _detector() -> "cv2.FaceDetectorYN":
    import cv2  # large, and never needed by the API

    level = cv2.utils.logging.getLogLevel()
    # OpenCV warns that it ignores the choice of a processor, although none was made.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)
    try:
        return cv2.FaceDetectorYN.create(str(WEIGHTS), "", (320, 320), SCORE, OVERLAP, MOST)
    finally:
        cv2.utils.logging.setLogLevel(level)
