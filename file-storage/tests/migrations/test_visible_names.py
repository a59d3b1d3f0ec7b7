"""Migration 0006 cleans the names stored by earlier versions."""

from importlib.resources import files
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

STORED = {
    "a": ".x\r\nX-Injected: yes",
    "b": ".\u202egpj.exe",
    "c": ".\u0001\u000b\u007f",
    "снимок": ".Jpg",
    "d\u200f\n": "",
    "\u202e": ".png",
}
CLEANED = {"a": ".xX-Injected: yes", "b": ".gpj.exe", "c": "", "снимок": ".Jpg", "d": "", "file": ".png"}


def test_names_and_extensions_lose_control_characters(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/files.db")
    with engine.begin() as connection:
        upgrade(connection, "0005")
        connection.execute(sa.text("INSERT INTO blobs (sha256, size, file_count) VALUES ('', 1, 6)"))
        for name, extension in STORED.items():
            insert(connection, name, extension)

        upgrade(connection, "0006")

        rows = connection.execute(sa.text("SELECT name, extension, search_name FROM files ORDER BY id")).all()
    assert {name: extension for name, extension, _ in rows} == CLEANED
    assert [search for _, _, search in rows] == ["a.xx-injected: yes", "b.gpj.exe", "c", "снимок.jpg", "d", "file.png"]


def upgrade(connection: sa.Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("file_storage") / "migrations"))
    config.set_main_option("version_table", "file_storage_version")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def insert(connection: sa.Connection, name: str, extension: str) -> None:
    row = {
        "name": name,
        "extension": extension,
        "search_name": (name + extension).casefold(),
        "comment": "",
        "size": 1,
        "sha256": "",
        "media_type": "text/plain",
        "created_at": 1.0,
        "updated_at": 1.0,
    }
    columns = ", ".join(row)
    values = ", ".join(f":{column}" for column in row)
    connection.execute(sa.text(f"INSERT INTO files ({columns}) VALUES ({values})"), row)
