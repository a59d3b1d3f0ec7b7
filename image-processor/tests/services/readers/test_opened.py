"""Decoder errors mean a damaged file, unless the machine lacks memory or disk space."""

import errno
import struct

import pytest
from image_processor.services.readers.opened import DamagedError, reading


@pytest.mark.parametrize(
    ("raised", "reason"),
    [
        (ValueError("bad marker\nof length 3."), "of length 3"),
        (OSError("image file is truncated"), "the file is truncated"),
        (KeyError(), "the decoder gave no reason"),
        (OSError("cannot identify image file '/var/lib/secret/source'"), "cannot identify image file"),
        (OSError(errno.EINVAL, "Invalid argument"), "Invalid argument"),  # a seek before the start
        (RuntimeError("word " * 100), "word " * 40 + "…"),
        (RuntimeError("x" * 1000), "x" * 200 + " …"),
        (RuntimeError("Bits/sample must be 1"), "Bits/sample must be 1"),
        (struct.error("unpack requires a buffer of 4 bytes"), "the file is truncated or corrupt"),
    ],
)
def test_an_error_of_a_decoder_is_damage_with_its_reason(raised: Exception, reason: str) -> None:
    with pytest.raises(DamagedError) as damaged, reading():
        raise raised

    assert str(damaged.value) == reason


@pytest.mark.parametrize(
    "raised",
    [
        MemoryError(),
        OSError("out of memory when reading image file"),  # Pillow
        RuntimeError("Memory allocation error: Unspecified: Allocating 13536015 bytes failed."),  # libheif
    ],
)
def test_too_little_memory_is_not_damage(raised: Exception) -> None:
    with pytest.raises(MemoryError), reading():
        raise raised


def test_a_full_disk_is_not_damage() -> None:
    with pytest.raises(OSError, match="No space") as error, reading():
        raise OSError(errno.ENOSPC, "No space left on device")

    assert error.value.errno == errno.ENOSPC
