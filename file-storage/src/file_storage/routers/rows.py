"""The JSON form of files for responses and events; a separate module, because the event stream needs no Flask."""

from werkzeug.http import http_date

from file_storage.models import File


def as_json(file: File) -> dict[str, object]:
    """Return a file in the form of ``FileOut`` in :mod:`file_storage.routers.schemas`."""
    shown: dict[str, object] = {
        "id": file.id,
        "name": file.name,
        "extension": file.extension,
        "comment": file.comment,
        "size": file.size,
        "sha256": file.sha256,
        "media_type": file.media_type,
        "width": file.width,
        "height": file.height,
        "created_at": http_date(file.created_at),
        "updated_at": http_date(file.updated_at),
        "origin": file.origin,
    }
    dates = {"taken_at": file.taken_at, "expires_at": file.expires_at}
    others: dict[str, object] = {name: getattr(file, name) for name in ("source_id", "task_id", "batch_id")}
    others["folder"] = file.folder or None
    others |= {name: None if time is None else http_date(time) for name, time in dates.items()}
    return shown | {name: value for name, value in others.items() if value is not None}


def with_owner(file: File) -> dict[str, object]:
    """Return a file in the form of ``FoundOut`` in :mod:`file_storage.routers.files`, for Pixmill's own processes."""
    return as_json(file) | {"owner": file.owner}
