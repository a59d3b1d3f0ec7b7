"""Searches for the quality at which a file reaches an SSIM or is small enough.

For a large image, a sample is encoded at each quality and the whole image only a few times. The final file itself is
always measured.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from itertools import accumulate, pairwise
from pathlib import Path

import pyvips
from service_kit.texts import counted, sentence

from image_processor.imaging.color import in_srgb
from image_processor.imaging.output import DEFAULT_QUALITY, Output
from image_processor.imaging.picture import frames_of
from image_processor.imaging.ssim import comparable, ssim
from image_processor.services.causes import Cause
from image_processor.services.codec.errors import ImageError
from image_processor.services.codec.saving import GIF_QUALITIES, most_effort_of, save

SAMPLED_FROM = 2_000_000
"""Number of pixels above which a sample is encoded first."""
_SIDE, _COUNT = 256, 3
"""The sample is a grid of at most 3 × 3 squares of 256 × 256 pixels."""
_BLOCK = 16
"""Squares are aligned to JPEG blocks, so that they show artifacts of an earlier encoding just as the image does."""
_FEW = 3
"""Maximum number of encodings of a whole large image; after them, the best one is used."""
_NEAR = 0.03
"""Share of all steps: a quality this close to the estimate is good enough."""

Measure = Callable[[int], float]


class Encoder:
    """Encodes an image in a format, with a given quality or one to search for.

    :param image: already has the colors and metadata of the output file.
    """

    def __init__(self, image: pyvips.Image, format_name: str, output: Output, path: Path) -> None:
        self.format_name = format_name
        self._output = output
        self.path = path
        self._trial = path.with_name(f"{path.name}.trial")
        self._whole = image
        self._most_effort = most_effort_of(format_name, image, output)
        self.is_lossless = output.lossless or (format_name == "png" and not output.palette)
        self.max_bytes = output.max_bytes
        self.is_measured = output.min_ssim is not None
        self.is_sampled = image.width * image.height > SAMPLED_FROM
        quality = output.quality if self._searches or _has_quality(format_name, output) else None
        self._quality = quality or (100 if self._searches else DEFAULT_QUALITY.get(format_name, 100))
        own = GIF_QUALITIES if format_name == "gif" else ()
        self._qualities = [quality for quality in own if quality <= self._quality] or list(range(1, self._quality + 1))

    @cached_property
    def _sample(self) -> pyvips.Image:
        return sample_of(self._whole)

    @cached_property
    def _measured_sample(self) -> Measure:
        return cache(self._measure_of(self._sample))

    def write(self) -> None:
        """Write the file.

        :raises ImageError: no quality meets the request.
        """
        if not self._searches:
            self._save(self._whole, self._quality, self.path)
            return
        try:
            self._search()
        finally:
            self._trial.unlink(missing_ok=True)
        self._check_size()

    def expected_bytes(self) -> float:
        """Return the bytes of the encoded sample, for comparison with other formats."""
        quality = self._quality
        try:
            if self._searches:
                quality = self._quality_at(min(self._first_of_sample(1), len(self._qualities)))
            self._save(self._sample, quality, self._trial)
            return self._trial.stat().st_size
        except (ImageError, pyvips.Error):
            return math.inf  # writing the image will raise the error
        finally:
            self._trial.unlink(missing_ok=True)

    def _save(self, image: pyvips.Image, quality: int, path: Path) -> None:
        """Save the whole image or its sample, both with the effort of the whole."""
        save(image, self.format_name, self._output, quality, self._most_effort, path)

    @property
    def _searches(self) -> bool:
        return self._output.max_bytes is not None or self._output.min_ssim is not None

    @property
    def _limit(self) -> float:
        """The maximum acceptable measure."""
        return self._output.max_bytes or 0 if self._output.min_ssim is None else 1 - self._output.min_ssim

    def _quality_at(self, step: int) -> int:
        """Return the quality of a step, counted from 1; the measure decreases with each step."""
        return self._qualities[-step if self._output.min_ssim is None else step - 1]

    def _measure_of(self, image: pyvips.Image) -> Measure:
        """Return a function that encodes the image at a step and returns its size in bytes, or 1 - SSIM."""
        is_size = self._output.min_ssim is None
        luma = image if is_size or not self._searches else comparable(in_srgb(image)).copy_memory()

        def measured(step: int) -> float:
            self._save(image, self._quality_at(step), self._trial)
            if is_size:
                return self._trial.stat().st_size
            # Rounded as in the result of `compare`.
            trial = _with_frames_of(image, _read(self._trial))
            return 1 - round(ssim(luma, comparable(in_srgb(trial))), 6)

        return measured

    def _first_of_sample(self, ratio: float) -> int:
        """Return the first step at which the sample's measure times ``ratio`` is within the limit."""
        steps = range(1, len(self._qualities) + 1)
        return 1 + bisect_left(steps, True, key=lambda step: self._measured_sample(step) * ratio <= self._limit)  # noqa: FBT003 (bisect looks for the first True)

    def _search(self) -> None:
        """Write the file at the first step within the limit; for a large image, possibly a few steps later."""
        measured = self._measure_of(self._whole)
        last = len(self._qualities)
        failed, found, value = 0, last + 1, 0.0
        ratio = self._first_ratio()
        tried = 0
        while found - failed > 1:
            guess = self._first_of_sample(ratio) if self.is_sampled and tried < _FEW else (failed + found) // 2
            if self.is_sampled and found <= last and (tried >= _FEW or guess > found - last * _NEAR):
                return
            step = min(max(guess, failed + 1), found - 1)
            value = measured(step)
            tried += 1
            if value <= self._limit:
                found = step
                self._trial.replace(self.path)
            else:
                failed = step
            if self.is_sampled and value > 0 and tried < _FEW:
                ratio = value / (self._measured_sample(step) or value)
        if found > last:
            raise self._unfulfilled(value)

    def _first_ratio(self) -> float:
        if not self.is_sampled or self._output.min_ssim is not None:
            return 1
        return float(self._whole.width * self._whole.height / (self._sample.width * self._sample.height))

    def _check_size(self) -> None:
        size = self.path.stat().st_size
        if self._output.max_bytes is not None and size > self._output.max_bytes:
            raise self._too_large(size, sentence(" at an SSIM of {min_ssim}", min_ssim=self._output.min_ssim))

    def _unfulfilled(self, value: float) -> ImageError:
        if self._output.min_ssim is None:
            return self._too_large(round(value), "")
        detail = sentence(
            "As {format}, the result has an SSIM of {ssim:.6f} at quality {quality}, which is less than {min_ssim}: "
            "choose another format, a higher quality, or a lower SSIM.",
            format=self.format_name.upper(),
            ssim=1 - value,
            quality=self._quality,
            min_ssim=self._output.min_ssim,
        )
        return ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)

    def _too_large(self, size: int, wanted: str) -> ImageError:
        detail = counted(
            "As {format}, the smallest result{wanted} has {size:,} byte, which is more than {max_bytes:,}: "
            "make the image smaller first, or choose another format.",
            "As {format}, the smallest result{wanted} has {size:,} bytes, which is more than {max_bytes:,}: "
            "make the image smaller first, or choose another format.",
            "size",
            format=self.format_name.upper(),
            wanted=wanted,
            size=size,
            max_bytes=self._output.max_bytes or 0,
        )
        return ImageError(detail, Cause.OUTPUT_IMPOSSIBLE)


def _has_quality(format_name: str, output: Output) -> bool:
    """Return whether a quality applies to the format; in other formats it would only reduce the colors."""
    return format_name not in ("png", "gif") or (format_name == "png" and output.palette)


def sample_of(image: pyvips.Image) -> pyvips.Image:
    """Return squares from all over the image as one image with its profile but without other metadata."""
    across, down = min(_COUNT, max(1, image.width // _SIDE)), min(_COUNT, max(1, image.height // _SIDE))
    width, height = min(_SIDE, image.width), min(_SIDE, image.height)
    squares = [
        image.crop(left, top, width, height)
        for top in _places(image.height - height, down)
        for left in _places(image.width - width, across)
    ]
    sample = pyvips.Image.arrayjoin(squares, across=across).copy(interpretation=image.interpretation).copy_memory()
    for field in sample.get_fields():
        if field.startswith("exif-") or field in ("xmp-data", "iptc-data", "page-height", "n-pages", "delay"):
            sample.remove(field)
    return sample


def _places(room: int, count: int) -> list[int]:
    """Return the offsets of ``count`` evenly spaced squares."""
    return [room * (2 * number + 1) // (2 * count) // _BLOCK * _BLOCK for number in range(count)]


def _read(path: Path) -> pyvips.Image:
    image = pyvips.Image.new_from_file(str(path))
    return pyvips.Image.new_from_file(str(path), n=-1) if frames_of(image) > 1 else image


def _with_frames_of(image: pyvips.Image, trial: pyvips.Image) -> pyvips.Image:
    """Return the decoded trial with as many frames as the image: encoders merge frames that are equal."""
    if trial.height == image.height:
        return trial
    height = trial.get_page_height()
    shown = _ends(_delays(trial))
    starts = [0.0, *_ends(_delays(image))]
    # The frame that is shown in the middle of the time of each frame; encoders round these times.
    chosen = [bisect_left(shown, (start + end) / 2) for start, end in pairwise(starts)]
    return pyvips.Image.arrayjoin([trial.crop(0, at * height, trial.width, height) for at in chosen], across=1)


def _delays(image: pyvips.Image) -> list[int]:
    # Not frames_of(), which returns the number in the file.
    frames = image.height // image.get_page_height()
    return list(image.get("delay"))[:frames] if image.get_typeof("delay") else [1] * frames


def _ends(delays: Sequence[int]) -> list[float]:
    """Return the time at which each frame ends, as a share of the whole."""
    ends = list(accumulate(max(1, delay) for delay in delays))
    return [end / ends[-1] for end in ends]
