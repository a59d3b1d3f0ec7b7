"""JPEG XL files of every kind, encoded with libjxl: imagecodecs' own function sets no profile and no metadata."""

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_float, c_int, c_size_t, c_uint32, c_void_p

import numpy
from image_processor.services.readers.libjxl import BasicInfo, ColorEncoding, ExtraChannel, PixelFormat, library
from PIL import Image, ImageCms

P3 = 11
"""The number of the P3 primaries; that of BT.2020 is 9."""
PQ, HLG, LINEAR, SRGB = 16, 18, 8, 13
"""The numbers of the transfer functions."""
_UINT8, _UINT16, _FLOAT = 2, 3, 0
_TYPES = {"uint8": _UINT8, "uint16": _UINT16, "float32": _FLOAT}
_ALPHA, _BLACK = 0, 4


class _FrameHeader(ctypes.Structure):
    _fields_ = (("duration", c_uint32), ("rest", c_uint32 * 31))


def jpegxl(
    *frames: numpy.ndarray,
    distance: float = 0,
    icc: bytes | None = None,
    primaries: int = 1,
    transfer: int = SRGB,
    orientation: int = 1,
    boxes: Sequence[tuple[bytes, bytes]] = (),
    compressed_boxes: bool = False,
    premultiplied: bool = False,
    black: numpy.ndarray | None = None,
) -> bytes:
    """Encode arrays with shape (height, width, 1 to 4 bands); losslessly if the distance is 0.

    :param black: the black (K) plane; the frame's bands are the other three.
    """
    jxl, frame = library(), frames[0]
    height, width, bands = frame.shape
    colors, alpha = (3 if bands > 2 else 1), bands in (2, 4)
    bits = frame.dtype.itemsize * 8
    jxl.JxlEncoderCreate.restype = jxl.JxlEncoderFrameSettingsCreate.restype = c_void_p
    encoder = c_void_p(jxl.JxlEncoderCreate(None))
    info = BasicInfo()
    jxl.JxlEncoderInitBasicInfo(byref(info))
    info.xsize, info.ysize, info.orientation = width, height, orientation
    info.bits_per_sample, info.exponent_bits_per_sample = bits, (8 if bits == 32 else 0)
    info.num_color_channels, info.num_extra_channels = colors, alpha + (black is not None)
    info.alpha_bits, info.alpha_premultiplied = (bits if alpha else 0), premultiplied
    info.uses_original_profile = distance == 0
    if len(frames) > 1:
        info.have_animation = 1
        info.animation[0], info.animation[1] = 10, 1
    if black is not None:
        _done(jxl.JxlEncoderSetCodestreamLevel(encoder, 10))
    if boxes:
        _done(jxl.JxlEncoderUseBoxes(encoder))
    _done(jxl.JxlEncoderSetBasicInfo(encoder, byref(info)))
    if black is not None or premultiplied:
        channel = ExtraChannel()
        jxl.JxlEncoderInitExtraChannelInfo(_ALPHA if black is None else _BLACK, byref(channel))
        channel.alpha_premultiplied = premultiplied
        _done(jxl.JxlEncoderSetExtraChannelInfo(encoder, c_size_t(0), byref(channel)))
    if icc is None:
        color = ColorEncoding()
        jxl.JxlColorEncodingSetToSRGB(byref(color), c_int(colors == 1))
        color.primaries, color.transfer_function = primaries, transfer
        _done(jxl.JxlEncoderSetColorEncoding(encoder, byref(color)))
    else:
        _done(jxl.JxlEncoderSetICCProfile(encoder, icc, c_size_t(len(icc))))
    for kind, content in boxes:
        _done(jxl.JxlEncoderAddBox(encoder, kind, content, c_size_t(len(content)), c_int(compressed_boxes)))
    settings = c_void_p(jxl.JxlEncoderFrameSettingsCreate(encoder, None))
    if distance:
        _done(jxl.JxlEncoderSetFrameDistance(settings, c_float(distance)))
    else:
        _done(jxl.JxlEncoderSetFrameLossless(settings, 1))
    form = PixelFormat(bands, _TYPES[frame.dtype.name], 0, 0)
    header = _FrameHeader()
    jxl.JxlEncoderInitFrameHeader(byref(header))
    header.duration = len(frames) - 1  # libjxl merges frames with a duration of 0
    _done(jxl.JxlEncoderSetFrameHeader(settings, byref(header)))
    for pixels in frames:
        content = pixels.tobytes()
        _done(jxl.JxlEncoderAddImageFrame(settings, byref(form), content, c_size_t(len(content))))
        if black is not None:
            ink, gray = black.tobytes(), PixelFormat(1, form.data_type, 0, 0)
            _done(jxl.JxlEncoderSetExtraChannelBuffer(settings, byref(gray), ink, c_size_t(len(ink)), 0))
    jxl.JxlEncoderCloseInput(encoder)
    made = ctypes.create_string_buffer(100_000 + 8 * frame.nbytes * len(frames))
    place, left = c_void_p(ctypes.addressof(made)), c_size_t(len(made))
    _done(jxl.JxlEncoderProcessOutput(encoder, byref(place), byref(left)))
    jxl.JxlEncoderDestroy(encoder)
    return made.raw[: len(made) - left.value]


def _done(status: int) -> None:
    assert status == 0


def jpeg_xl_files() -> list[bytes]:
    """Return JPEG XL files with each kind of samples, colors, boxes and frames."""
    ramp = numpy.arange(48 * 64 * 4, dtype="uint32").reshape(48, 64, 4)
    rgba = (ramp % 251).astype("uint8")
    rgb, gray = rgba[..., :3].copy(), rgba[..., :1].copy()
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    boxes = [(b"Exif", bytes(4) + exif.tobytes().removeprefix(b"Exif\0\0")), (b"xml ", b"<x:xmpmeta/>" * 20)]
    return [
        jpegxl(rgb),
        jpegxl(rgba, distance=1, primaries=P3),
        jpegxl(gray, orientation=6, boxes=boxes),
        jpegxl(rgb, icc=profile, boxes=boxes, compressed_boxes=True),
        jpegxl(rgb, icc=profile, distance=1),
        jpegxl(rgba.astype("uint16") * 257, transfer=LINEAR, premultiplied=True),
        jpegxl(rgb.astype("float32") / 255, distance=2),
        jpegxl(rgb, 255 - rgb),
        jpegxl(rgb, black=gray),
    ]
