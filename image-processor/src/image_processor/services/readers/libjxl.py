"""Calls libjxl's decoder through its C interface (jxl/decode.h), from the wheel of imagecodecs.

The function of imagecodecs itself returns only pixels, without profile, orientation or metadata.
"""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_char, c_double, c_float, c_int, c_size_t, c_uint32, c_void_p
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from service_kit.texts import sentence

from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError, high_dynamic_range
from image_processor.services.readers.opened import DamagedError

_LONGEST_BOX = 4 * 1024 * 1024
_SUCCESS, _ERROR, _NEED_MORE_INPUT, _NEED_IMAGE_BUFFER, _NEED_BOX_BUFFER = 0, 1, 2, 5, 7
_BASIC_INFO, _COLOR_ENCODING, _FULL_IMAGE, _BOX = 0x40, 0x100, 0x1000, 0x4000
_ORIGINAL, _DATA = 0, 1
"""Which profile to request: the original image's, or that of the decoded pixels."""
_BLACK = 4
_SAMPLES = {8: 2, 16: 3, 32: 0}
"""JxlDataType by bits: unsigned integers of 8 and 16 bits, floating-point numbers of 32."""
_RGB, _GRAY = 0, 1
_D65 = _SRGB_PRIMARIES = 1
_SRGB_TRANSFER, _PQ, _HLG = 13, 16, 18


class BasicInfo(ctypes.Structure):
    """JxlBasicInfo."""

    _fields_ = (
        ("have_container", c_int),
        ("xsize", c_uint32),
        ("ysize", c_uint32),
        ("bits_per_sample", c_uint32),
        ("exponent_bits_per_sample", c_uint32),
        ("intensity_target", c_float),
        ("min_nits", c_float),
        ("relative_to_max_display", c_int),
        ("linear_below", c_float),
        ("uses_original_profile", c_int),
        ("have_preview", c_int),
        ("have_animation", c_int),
        ("orientation", c_int),
        ("num_color_channels", c_uint32),
        ("num_extra_channels", c_uint32),
        ("alpha_bits", c_uint32),
        ("alpha_exponent_bits", c_uint32),
        ("alpha_premultiplied", c_int),
        ("preview", c_uint32 * 2),
        ("animation", c_uint32 * 4),
        ("intrinsic_xsize", c_uint32),
        ("intrinsic_ysize", c_uint32),
        ("padding", ctypes.c_uint8 * 100),
    )


class ColorEncoding(ctypes.Structure):
    """JxlColorEncoding."""

    _fields_ = (
        ("color_space", c_int),
        ("white_point", c_int),
        ("white_point_xy", c_double * 2),
        ("primaries", c_int),
        ("primaries_xy", c_double * 6),
        ("transfer_function", c_int),
        ("gamma", c_double),
        ("rendering_intent", c_int),
    )


class PixelFormat(ctypes.Structure):
    """JxlPixelFormat; endianness 0 is the machine's."""

    _fields_ = (("num_channels", c_uint32), ("data_type", c_int), ("endianness", c_int), ("align", c_size_t))


class ExtraChannel(ctypes.Structure):
    """JxlExtraChannelInfo."""

    _fields_ = (
        ("type", c_int),
        ("bits_per_sample", c_uint32),
        ("exponent_bits_per_sample", c_uint32),
        ("dim_shift", c_uint32),
        ("name_length", c_uint32),
        ("alpha_premultiplied", c_int),
        ("spot_color", c_float * 4),
        ("cfa_channel", c_uint32),
    )


_ALLOCATE = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_size_t)
_FREE = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)


class _MemoryManager(ctypes.Structure):
    """JxlMemoryManager."""

    _fields_ = (("opaque", c_void_p), ("allocate", _ALLOCATE), ("free", _FREE))


class _Cms(ctypes.Structure):
    """JxlCmsInterface."""

    _fields_ = (("functions", c_void_p * 8),)


@dataclass(frozen=True)
class Header:
    """The properties of an image, read before any pixel is decoded.

    :param width: width of the upright image, as is ``height``, because the decoder turns it.
    :param bits: bits of a decoded sample, 8 or 16, or 32 for floating-point numbers.
    :param profile: profile of the decoded pixels; ``None`` if they are sRGB, or gray with sRGB's transfer function.
    :param lossless: the image is neither XYB nor a recompressed JPEG.
    """

    width: int
    height: int
    colors: int
    alpha: bool
    bits: int
    animated: bool
    lossless: bool
    profile: bytes | None
    exif: bytes | None
    xmp: bytes | None


@cache
def library() -> ctypes.CDLL:
    """Return imagecodecs' module as a library, which exports the functions of libjxl linked into it."""
    found = find_spec("imagecodecs")
    folders = [] if found is None else found.submodule_search_locations or []
    (module,) = (path for folder in folders for path in Path(folder).glob("_jpegxl.*"))
    jxl = ctypes.CDLL(str(module))
    jxl.JxlDecoderCreate.restype = c_void_p
    jxl.JxlDecoderReleaseBoxBuffer.restype = c_size_t
    jxl.JxlGetDefaultCms.restype = POINTER(_Cms)
    jxl.JxlDecoderSetCms.argtypes = (c_void_p, _Cms)
    for name in ("Destroy", "CloseInput", "ProcessInput", "ReleaseBoxBuffer"):
        getattr(jxl, f"JxlDecoder{name}").argtypes = (c_void_p,)
    for name in ("SubscribeEvents", "SetUnpremultiplyAlpha", "SetDecompressBoxes"):
        getattr(jxl, f"JxlDecoder{name}").argtypes = (c_void_p, c_int)
    jxl.JxlDecoderSetInput.argtypes = (c_void_p, ctypes.c_char_p, c_size_t)
    jxl.JxlDecoderGetBasicInfo.argtypes = (c_void_p, POINTER(BasicInfo))
    jxl.JxlDecoderGetExtraChannelInfo.argtypes = (c_void_p, c_size_t, POINTER(ExtraChannel))
    jxl.JxlDecoderGetColorAsEncodedProfile.argtypes = (c_void_p, c_int, POINTER(ColorEncoding))
    jxl.JxlDecoderGetICCProfileSize.argtypes = (c_void_p, c_int, POINTER(c_size_t))
    jxl.JxlDecoderGetColorAsICCProfile.argtypes = (c_void_p, c_int, c_void_p, c_size_t)
    jxl.JxlDecoderSetOutputColorProfile.argtypes = (c_void_p, c_void_p, ctypes.c_char_p, c_size_t)
    jxl.JxlDecoderGetBoxType.argtypes = (c_void_p, c_void_p, c_int)
    jxl.JxlDecoderSetBoxBuffer.argtypes = (c_void_p, c_void_p, c_size_t)
    jxl.JxlDecoderImageOutBufferSize.argtypes = (c_void_p, POINTER(PixelFormat), POINTER(c_size_t))
    jxl.JxlDecoderSetImageOutBuffer.argtypes = (c_void_p, POINTER(PixelFormat), c_void_p, c_size_t)
    return jxl


def header_of(content: bytes) -> Header:
    """Return the header of the file's image.

    :raises DamagedError: the headers are damaged.
    :raises ImageError: the pixels of this kind of image would be decoded incorrectly.
    """
    with _decoder(content, _BASIC_INFO | _COLOR_ENCODING | _BOX) as decoder:
        info, profile, boxes = BasicInfo(), None, _Boxes(decoder)
        while (event := _next(decoder)) != _SUCCESS:
            if event == _BASIC_INFO:
                library().JxlDecoderGetBasicInfo(decoder, byref(info))
                _refuse_black(decoder, info)
            elif event == _COLOR_ENCODING:
                profile = _profile(decoder, info)
            elif event == _BOX:
                boxes.begin()
            elif event == _NEED_BOX_BUFFER:
                boxes.give_up()
        boxes.end()
    if not info.xsize:
        raise DamagedError(sentence("it contains no image"))
    return Header(
        width=info.xsize,
        height=info.ysize,
        colors=info.num_color_channels,
        alpha=info.alpha_bits > 0,
        bits=_decoded_bits(info),
        animated=bool(info.have_animation),
        lossless=bool(info.uses_original_profile) and b"jbrd" not in boxes.seen,
        profile=profile,
        exif=boxes.found.get(b"Exif"),
        xmp=boxes.found.get(b"xml "),
    )


def pixels_of(content: bytes, header: Header) -> bytearray:
    """Return the samples of the first frame, upright, row by row.

    :raises DamagedError: the samples cannot be decoded.
    """
    jxl, samples = library(), bytearray()
    channels = header.colors + header.alpha
    pixel_format = PixelFormat(channels, _SAMPLES[header.bits], 0, 0)
    with _decoder(content, _COLOR_ENCODING | _FULL_IMAGE) as decoder:
        while (event := _next(decoder)) != _FULL_IMAGE:
            if event == _COLOR_ENCODING:
                _keep_profile(decoder)
            elif event == _NEED_IMAGE_BUFFER:
                samples = bytearray(header.width * header.height * channels * header.bits // 8)
                buffer = (c_char * len(samples)).from_buffer(samples)
                _check(jxl.JxlDecoderSetImageOutBuffer(decoder, byref(pixel_format), buffer, len(samples)))
            elif event == _SUCCESS:
                raise DamagedError(sentence("it contains no image"))
    return samples


def _decoded_bits(info: BasicInfo) -> int:
    if info.exponent_bits_per_sample:
        return 32
    return 8 if max(info.bits_per_sample, info.alpha_bits) <= 8 else 16


class _Boxes:
    """Collects the metadata boxes of a container.

    :ivar seen: the types of all boxes.
    """

    def __init__(self, decoder: c_void_p) -> None:
        self._decoder = decoder
        self._kind = b""
        self._buffer: ctypes.Array[c_char] | None = None
        self.found: dict[bytes, bytes] = {}
        self.seen: set[bytes] = set()

    def begin(self) -> None:
        self.end()
        kind = ctypes.create_string_buffer(4)
        library().JxlDecoderGetBoxType(self._decoder, kind, 1)
        self._kind = kind.raw
        self.seen.add(self._kind)
        if self._kind in (b"Exif", b"xml ") and self._kind not in self.found:
            self._buffer = ctypes.create_string_buffer(_LONGEST_BOX)
            library().JxlDecoderSetBoxBuffer(self._decoder, self._buffer, _LONGEST_BOX)

    def give_up(self) -> None:
        """Skip a box that is longer than ``_LONGEST_BOX``."""
        library().JxlDecoderReleaseBoxBuffer(self._decoder)
        self._buffer = None

    def end(self) -> None:
        if self._buffer is not None:
            left = library().JxlDecoderReleaseBoxBuffer(self._decoder)
            self.found[self._kind] = self._buffer.raw[: _LONGEST_BOX - left]
            self._buffer = None


class _Memory:
    """A memory manager that records failed allocations: libjxl reports them with the same error as damage."""

    def __init__(self) -> None:
        c = ctypes.CDLL(None)
        c.malloc.argtypes, c.malloc.restype, c.free.argtypes = (c_size_t,), c_void_p, (c_void_p,)
        self._c = c
        self.is_out = False
        self.manager = _MemoryManager(None, _ALLOCATE(self._allocate), _FREE(self._free))

    def _allocate(self, _: int | None, size: int) -> int | None:
        place: int | None = self._c.malloc(size)
        self.is_out |= place is None
        return place

    def _free(self, _: int | None, place: int | None) -> None:
        self._c.free(place)


@contextmanager
def _decoder(content: bytes, events: int) -> Iterator[c_void_p]:
    jxl = library()
    memory = _Memory()
    decoder = c_void_p(jxl.JxlDecoderCreate(byref(memory.manager)))
    if not decoder:
        raise MemoryError
    try:
        _check(jxl.JxlDecoderSubscribeEvents(decoder, events))
        _check(jxl.JxlDecoderSetUnpremultiplyAlpha(decoder, 1))
        _check(jxl.JxlDecoderSetDecompressBoxes(decoder, 1))
        _check(jxl.JxlDecoderSetCms(decoder, jxl.JxlGetDefaultCms().contents))
        _check(jxl.JxlDecoderSetInput(decoder, content, len(content)))
        jxl.JxlDecoderCloseInput(decoder)
        yield decoder
    except DamagedError as error:
        if memory.is_out:
            raise MemoryError("the decoder of JPEG XL") from error
        raise
    finally:
        jxl.JxlDecoderDestroy(decoder)


def _next(decoder: c_void_p) -> int:
    event = int(library().JxlDecoderProcessInput(decoder))
    if event == _NEED_MORE_INPUT:
        raise DamagedError(sentence("it is truncated"))
    _check(event)
    return event


def _check(status: int) -> None:
    if status == _ERROR:
        raise DamagedError(sentence("it is not a valid JPEG XL, or it is truncated"))


def _refuse_black(decoder: c_void_p, info: BasicInfo) -> None:
    channel = ExtraChannel()
    for number in range(info.num_extra_channels):
        library().JxlDecoderGetExtraChannelInfo(decoder, number, byref(channel))
        if channel.type == _BLACK:
            raise ImageError(
                sentence("The colors of this JPEG XL are CMYK, which is not supported."), Cause.IMAGE_UNSUPPORTED
            )


def _keep_profile(decoder: c_void_p) -> None:
    """Decode XYB pixels to the ICC profile of the original image, or to sRGB if libjxl cannot."""
    if library().JxlDecoderGetColorAsEncodedProfile(decoder, _ORIGINAL, byref(ColorEncoding())) == _SUCCESS:
        return
    original = _icc(decoder, _ORIGINAL)
    library().JxlDecoderSetOutputColorProfile(decoder, None, original, len(original))


def _profile(decoder: c_void_p, info: BasicInfo) -> bytes | None:
    _keep_profile(decoder)
    color = ColorEncoding()
    if library().JxlDecoderGetColorAsEncodedProfile(decoder, _DATA, byref(color)) == _SUCCESS:
        if color.transfer_function in (_PQ, _HLG):
            raise high_dynamic_range("JPEG XL")
        plain = color.transfer_function == _SRGB_TRANSFER and color.white_point == _D65
        if plain and (color.color_space == _GRAY or (color.color_space, color.primaries) == (_RGB, _SRGB_PRIMARIES)):
            return None
    profile = _icc(decoder, _DATA)
    spaces = (b"GRAY",) if info.num_color_channels == 1 else (b"RGB ",)
    if profile[16:20] not in spaces:
        raise DamagedError(sentence("its profile is for another color space"))
    return profile


def _icc(decoder: c_void_p, target: int) -> bytes:
    size = c_size_t()
    _check(library().JxlDecoderGetICCProfileSize(decoder, target, byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    _check(library().JxlDecoderGetColorAsICCProfile(decoder, target, buffer, size.value))
    return buffer.raw
