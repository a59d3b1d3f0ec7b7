"""Opens a frame when it is first used."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import overload

import pyvips


class LaterFrame(Sequence[pyvips.Image]):
    """A sequence of one frame for :attr:`Picture.frames`, which opens the frame on first access."""

    def __init__(self, opened: Callable[[], pyvips.Image]) -> None:
        self._opened = opened

    @cached_property
    def _frames(self) -> list[pyvips.Image]:
        return [self._opened()]

    def __len__(self) -> int:
        return 1

    @overload
    def __getitem__(self, place: int) -> pyvips.Image: ...

    @overload
    def __getitem__(self, place: slice) -> list[pyvips.Image]: ...

    def __getitem__(self, place: int | slice) -> pyvips.Image | list[pyvips.Image]:
        return self._frames[place]
