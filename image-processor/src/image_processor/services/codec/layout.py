"""Determines the frames of a file, and which of them are read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyvips
from service_kit.texts import counted, sentence

from image_processor.imaging.errors import UnsuitableImageError
from image_processor.imaging.picture import frames_of, with_pages
from image_processor.imaging.samples import from_ycbcr, marked_raw, with_white_at_one
from image_processor.services.codec import avif, png, tiff
from image_processor.services.codec.cielab import from_cielab, with_alpha_of_255
from image_processor.services.codec.pages import check_page

_INTEGERS = ("uchar", "ushort")
_KINDS_OF_CIELAB = {tiff.CIELAB: (*_INTEGERS, "char", "short", "float"), tiff.ICCLAB: (*_INTEGERS, "char", "short")}
"""The samples whose meaning is known; those that are always signed are refused later, with a separate message."""


@dataclass(frozen=True)
class Layout:
    """The frames to read.

    :param pages: their numbers in the file, from 0.
    :param together: whether libvips can load them in one call: they are alike and consecutive.
    :param frames: the number of frames in the file, if it is larger than the number of frames to read.
    :param sizes: displayed width and height of all pages of a TIFF.
    :param unread: why the other frames cannot be read, as a sentence; ``None`` if they can, or there are no others.
    :param directories: for a TIFF, the directories of the frames to read.
    :param premultiplied: the colors are multiplied by their alpha, and libvips does not divide them.
    """

    pages: Sequence[int]
    together: bool = True
    frames: int = 1
    sizes: Sequence[tuple[int, int]] = ()
    unread: str | None = None
    directories: Sequence[tiff.Directory] = ()
    premultiplied: bool = False

    def usable(self, image: pyvips.Image, number: int) -> pyvips.Image:
        """Return frame ``number`` as RGB or CIELAB, without spare bands; mark it if its samples are unusual."""
        if self.premultiplied and image.hasalpha():
            return image.unpremultiply().rint().cast(image.format).copy(interpretation=image.interpretation)
        if number >= len(self.directories):
            return image
        directory = self.directories[number]
        _refuse_unread(image, directory)
        is_ycbcr = directory.ycbcr is not None and image.bands == directory.number(tiff.SAMPLES)
        if directory.is_in_planes:
            image = _from_planes(image, directory, is_ycbcr=is_ycbcr)
        if directory.ycbcr is not None and is_ycbcr:
            image = from_ycbcr(image, directory.ycbcr.coefficients, directory.ycbcr.limits)
        if image.format == "uint" and directory.is_multiplied_by_alpha:
            raise UnsuitableImageError(
                sentence(
                    "The image has 32-bit samples that are multiplied by their alpha, which is not supported: save it"
                    " with 16 bits, or with unassociated alpha."
                )
            )
        meaning = directory.number(tiff.PHOTOMETRIC) or 0
        if meaning in (tiff.CIELAB, tiff.ICCLAB) and image.format in ("uchar", "ushort") and image.bands >= 3:
            image = from_cielab(image, signed=meaning == tiff.CIELAB)
        if image.format == "float" and directory.number(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO:
            image = with_white_at_one(image)  # libvips does this only for integers
        image = _without_spare_bands(image, directory)
        if image.interpretation == "labs":
            image = with_alpha_of_255(image)
        return marked_raw(image)


def _refuse_unread(image: pyvips.Image, directory: tiff.Directory) -> None:
    """Check that the meaning of the samples is known.

    :raises UnsuitableImageError: libvips takes them for gray or RGB, or for other numbers.
    """
    meaning = directory.number(tiff.PHOTOMETRIC) or 0
    colors = tiff.UNREAD.get(meaning)
    kinds = _KINDS_OF_CIELAB.get(meaning, _INTEGERS if directory.ycbcr is not None else None)
    if kinds is not None and (image.format not in kinds or (image.format == "short" and directory.is_floating_point)):
        colors = sentence("CIELAB or YCbCr with samples of an unusual kind")
    if colors is not None:
        raise UnsuitableImageError(
            sentence("The image has {colors}, which is not supported: save it as RGB.", colors=colors)
        )


def _from_planes(image: pyvips.Image, directory: tiff.Directory, *, is_ycbcr: bool) -> pyvips.Image:
    """Return the image of separate planes, as gray if it was opened as RGB to keep its rows in order.

    :raises UnsuitableImageError: libvips mixes up the rows of the planes.
    """
    if is_ycbcr:
        raise UnsuitableImageError(
            sentence("The image has YCbCr in separate planes, which is not supported: save it as RGB.")
        )
    if image.format == "float" and directory.depths == {16}:
        raise UnsuitableImageError(
            sentence(
                "The image has half-precision samples in separate planes, which is not supported:"
                " save it with 8 or 16 bits."
            )
        )
    return _gray(image, directory) if directory.is_gray_in_planes else image


def _gray(image: pyvips.Image, directory: tiff.Directory) -> pyvips.Image:
    """Return gray with other bands, with white at the greatest integer."""
    if directory.number(tiff.PHOTOMETRIC) == tiff.WHITE_IS_ZERO and image.format != "float":
        image = image[0].invert().bandjoin(image[1:])
    return image.copy(interpretation="grey16" if image.format == "ushort" else "b-w")


def _without_spare_bands(image: pyvips.Image, directory: tiff.Directory) -> pyvips.Image:
    bands = directory.samples(image.bands)
    if len(bands) == image.bands:
        return image
    chosen = image[bands[0]].bandjoin([image[band] for band in bands[1:]]) if len(bands) > 1 else image[0]
    return chosen.copy(interpretation=image.interpretation)


def layout_of(source: Path, header: pyvips.Image, format_name: str, page: int | None = None) -> Layout:
    """Return the frames of a file in this format.

    :param page: the only page to read, from 1; ``None`` reads all.
    :raises ImageError: there is no such page.
    """
    if format_name == "tiff":
        return layout_of_tiff(tiff.directories(source)[: frames_of(header)], page)
    if format_name == "png":
        frames = png.frames_of_animation(source)
        return _first(page, frames, _unread("PNG", frames) if frames > 1 else None)
    if format_name == "avif":
        frames = avif.frames_of_sequence(source)
        first = _first(page, frames, _unread("AVIF", frames) if frames > 1 else None)
        return replace(first, premultiplied=avif.has_premultiplied_alpha(source))
    frames = frames_of(header)
    check_page(page, frames)
    return Layout(range(frames)) if page is None else Layout([page - 1], frames=frames)


def layout_of_tiff(directories: Sequence[tiff.Directory], page: int | None) -> Layout:
    """Return the frames of a TIFF with these directories; ``page`` and errors as for :func:`layout_of`."""
    pages = [number for number, directory in enumerate(directories) if directory.is_page] or [0]
    kinds = [directories[number].kind for number in pages] if directories else []
    sizes = [directories[number].size for number in pages] if directories else []
    if page is not None:
        check_page(page, len(pages))
        chosen = pages[page - 1]
        return Layout([chosen], frames=len(pages), sizes=sizes, directories=directories[chosen : chosen + 1])
    if len(set(sizes)) > 1:
        return Layout(pages[:1], sizes=sizes, directories=[directories[pages[0]]])
    in_row = pages == list(range(pages[0], pages[0] + len(pages)))
    return Layout(
        pages,
        together=in_row and all(kind == kinds[0] for kind in kinds),
        sizes=sizes,
        directories=[directories[number] for number in pages if directories],
    )


def _first(page: int | None, frames: int, unread: str | None) -> Layout:
    """Return the layout of a file of which only the first frame can be read."""
    if page is None:
        return Layout([0], frames=frames, unread=unread)
    check_page(page, 1, unread)
    return Layout([0], frames=frames)


def with_page_sizes(image: pyvips.Image, layout: Layout) -> pyvips.Image:
    """Return the frame with the total number of frames, and the page sizes of a TIFF, in its metadata."""
    return with_pages(image, max(len(layout.pages), len(layout.sizes), layout.frames), layout.sizes)


def _unread(name: str, frames: int) -> str:
    return counted(
        "This {format} is an animation of {frames} frame, of which only the first can be read",
        "This {format} is an animation of {frames} frames, of which only the first can be read",
        "frames",
        format=name,
        frames=frames,
    )
