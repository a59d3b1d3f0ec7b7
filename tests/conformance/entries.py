"""Typed entries of a file of facts."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

Peer = Literal["thumbor", "imagor", "imgproxy", "imgproxy-pro"]
Kind = Literal["parse", "reject", "signature", "geometry"]


class Fact(BaseModel):
    """The meaning of a URL to a peer."""

    model_config = ConfigDict(extra="allow")

    peer: Peer
    kind: Kind
    url: str
    expected: dict[str, JsonValue]
    config: dict[str, JsonValue] = {}
    source_size: tuple[int, int] | None = None

    @property
    def title(self) -> str:
        size = "" if self.source_size is None else f" of {self.source_size[0]} × {self.source_size[1]}"
        return f"{self.peer} {self.kind} {self.url}{size}"


class Pixels(BaseModel):
    """The SHA-256 of the RGBA pixels that imgproxy produces in one of its tests.

    :param images: the folder of the pictures.
    """

    case: str
    sha256: str
    images: Path

    @property
    def title(self) -> str:
        return f"imgproxy pixels {self.case}"


Entry = Fact | Pixels


def entries(path: Path) -> Iterator[Entry]:
    """Yield the entries of a file; its pictures are in ``images`` next to it."""
    for entry in json.loads(path.read_text("utf-8")):
        if isinstance(entry, Mapping) and "case" in entry:
            yield Pixels(case=entry["case"], sha256=entry["sha256"], images=path.parent / "images")
        else:
            yield Fact.model_validate(entry)
