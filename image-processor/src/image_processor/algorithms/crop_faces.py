"""``crop_faces``: ``{"padding": 40, "aspect_ratio": 1}``"""

from typing import Annotated, Literal

from pydantic import Field
from service_kit.texts import sentence

from image_processor.algorithms.registry import Params, UnsuitableImageError, algorithm
from image_processor.imaging.faces import Face, faces_of
from image_processor.imaging.params import hint
from image_processor.imaging.picture import Picture


class CropFacesParams(Params):
    faces: Literal["largest", "all"] = Field("all", description="Which faces to keep.", examples=["largest"])
    padding: float = Field(
        40.0,
        ge=0,
        le=500,
        description="The margin around the faces, in percent of their size.",
        examples=[60],
        json_schema_extra=hint(unit="%"),
    )
    aspect_ratio: Annotated[float, Field(ge=0.1, le=10)] | None = Field(
        None, description="Width divided by height, as far as the image allows.", examples=[1]
    )


@algorithm(category="faces")
def crop_faces(picture: Picture, params: CropFacesParams) -> Picture:
    """Crop the image to the faces in it; an image without faces is an error."""
    found = faces_of(picture.first)
    if not found:
        raise UnsuitableImageError(sentence("No face was found in the image."))
    wanted = found[:1] if params.faces == "largest" else found
    left, top = min(face.left for face in wanted), min(face.top for face in wanted)
    right = max(face.left + face.width for face in wanted)
    bottom = max(face.top + face.height for face in wanted)
    whole = Face(left, top, right - left, bottom - top)
    area = _shaped(whole.grown(params.padding / 100, picture.first), params.aspect_ratio, picture)
    return picture.map(lambda frame: frame.crop(area.left, area.top, area.width, area.height))


def _shaped(area: Face, ratio: float | None, picture: Picture) -> Face:
    """Return the area, grown to the ratio and moved into the picture."""
    if ratio is None:
        return area
    width = min(picture.width, max(area.width, round(area.height * ratio)))
    height = min(picture.height, max(area.height, round(width / ratio)))
    left = area.left + (area.width - width) // 2
    top = area.top + (area.height - height) // 2
    return Face(min(max(left, 0), picture.width - width), min(max(top, 0), picture.height - height), width, height)
