"""``strip_metadata``: ``{"keep_copyright": true}``"""

from pydantic import Field

from image_processor.algorithms.registry import Params, algorithm
from image_processor.imaging.output import Output


class StripMetadataParams(Params):
    keep_copyright: bool = Field(
        default=True,
        description="Whether to keep the EXIF tags Artist and Copyright, taken from IPTC or XMP if EXIF lacks them.",
    )
    keep_profile: bool = Field(
        default=True, description="Whether to keep the ICC profile; otherwise colors are converted to sRGB first."
    )


@algorithm(category="encoding", sequential=True, any_color_space=True)
def strip_metadata(params: StripMetadataParams) -> Output:
    """Remove EXIF (with the place where the photograph was taken), XMP and IPTC."""
    return Output(
        metadata="copyright" if params.keep_copyright else "strip",
        profile="keep" if params.keep_profile else "strip",
    )
