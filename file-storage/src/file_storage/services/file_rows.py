"""Statements on the table of files.

They bypass the ORM, which takes longer to build an object than the database takes to find the row.
"""

from collections.abc import Sequence

from service_kit.database import each_of
from sqlalchemy import BigInteger, CursorResult, String, bindparam, cast, func, insert, select

from file_storage.models import File

FILE = select(*File.__table__.columns).where(File.id == bindparam("id"))
FILES = (
    select(*File.__table__.columns)
    .where(File.id.in_(select(cast(cast(each_of("ids"), String), BigInteger))))
    .order_by(File.id)
)
FIRST_FILES = (
    select(*File.__table__.columns)
    .where(
        File.id.in_(
            select(func.min(File.id)).where(File.sha256.in_(bindparam("digests", expanding=True))).group_by(File.sha256)
        )
    )
    .order_by(File.id)
)
INSERT_FILES = insert(File).returning(*File.__table__.columns, sort_by_parameter_order=True)


def files_of(rows: CursorResult[*tuple[object, ...]]) -> Sequence[File]:
    """Return the files of a result with all columns of the table."""
    return [File(**row) for row in rows.mappings()]
