"""Add the kind of an upload, which only its Upload-Concat showed; a promise had a value there that no client sends."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    op.add_column("uploads", sa.Column("kind", sa.String(8), nullable=False, server_default="file"))
    op.execute("""
        UPDATE uploads
        SET kind = CASE concat_header WHEN 'partial' THEN 'part' WHEN 'whole' THEN 'promise' ELSE 'final' END,
            concat_header = nullif(concat_header, 'whole')
        WHERE concat_header IS NOT NULL
    """)
    op.drop_index("ix_uploads_unfinished", "uploads")
    op.create_index(
        "ix_uploads_unfinished",
        "uploads",
        ["kind"],
        postgresql_where=sa.text("finished IS false"),
        sqlite_where=sa.text("finished IS 0"),
    )
