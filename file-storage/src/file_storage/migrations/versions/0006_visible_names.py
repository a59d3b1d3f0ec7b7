"""Clean names that older versions stored with control characters, because a copy's extension was stored as received."""

import unicodedata
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

ROWS = 10_000
"""Number of rows read at a time."""

_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_files = sa.table("files", *(sa.column(name) for name in ("id", "name", "extension", "search_name")))


def upgrade() -> None:
    for file_id, name, extension in _rows():
        visible, ending = _visible(name) or "file", _visible(extension)
        ending = "" if ending == "." else ending
        if (visible, ending) != (name, extension):
            row = sa.update(_files).where(_files.c.id == file_id)
            op.execute(row.values(name=visible, extension=ending, search_name=_folded(visible + ending)))


def _rows() -> Iterator[tuple[int, str, str]]:
    last = 0
    page = sa.select(_files.c.id, _files.c.name, _files.c.extension).order_by(_files.c.id).limit(ROWS)
    while rows := op.get_bind().execute(page.where(_files.c.id > last)).all():
        for row in rows:
            yield row[0], row[1], row[2]
        last = rows[-1][0]


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    visible = (c for c in text if unicodedata.category(c) not in ("Cc", "Cs") and c not in _BIDI_CONTROLS)
    return "".join(visible).strip()


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
