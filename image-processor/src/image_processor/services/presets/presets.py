"""Manages presets: those of the settings, visible to all, and each owner's own."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import structlog
from service_kit.access.principals import Principal
from service_kit.database import Database, epoch_now, one_at_a_time
from service_kit.errors import DomainError, FieldError
from service_kit.texts import Sentence, counted, sentence
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from image_processor.models import Preset
from image_processor.services.codec.configured_presets import ConfiguredPresets
from image_processor.services.codec.plan import PIPELINE, plan_of
from image_processor.services.files.client import FileStorage, FileStorageUnavailableError

log = structlog.get_logger()

MAX_PRESETS = 200
"""Maximum number of presets per owner."""
MAX_NAME = 64
MAX_BYTES = 64 * 1024
"""Maximum size of a preset's params as UTF-8 JSON."""


@dataclass(frozen=True)
class NamedPreset:
    """A preset.

    :param params: the params of a ``pipeline``.
    :param updated_at: seconds since 1970; ``None`` for a preset of the settings, which the API cannot change.
    """

    name: str
    params: Mapping[str, object]
    updated_at: float | None = None

    @property
    def read_only(self) -> bool:
        """Whether the preset is from the settings."""
        return self.updated_at is None

    @property
    def etag(self) -> str:
        """Return a strong ETag, without quotes: equal for equal contents."""
        text = json.dumps([self.name, self.params, self.read_only], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Condition:
    """Preconditions of a change (RFC 9110, 13.1).

    :param matching: the preset must have one of these ETags, or exist if this is ``*``; ``None``: no such condition.
    :param not_matching: the preset must have none of these ETags, or not exist if this is ``*``.
    """

    matching: Collection[str] | None = None
    not_matching: Collection[str] | None = None

    def check(self, name: str, current: NamedPreset | None) -> None:
        """Check the preconditions.

        :raises DomainError: ``precondition-failed``.
        """
        tags = set() if current is None else {"*", current.etag}
        if self.matching is not None and not tags.intersection(self.matching):
            raise _refused(_changed(name, current), name, current)
        if self.not_matching is not None and tags.intersection(self.not_matching):
            raise _refused(sentence("The preset '{name}' exists already.", name=name), name, current)


UNCONDITIONAL = Condition()


class PresetService:
    """Finds and changes presets; presets of other owners are invisible."""

    def __init__(self, database: Database, configured: ConfiguredPresets, storage: FileStorage) -> None:
        self._database = database
        self._configured = configured
        self._storage = storage

    def all(self, principal: Principal) -> Sequence[NamedPreset]:
        """Return the presets of the settings, then those of the principal's owner by name."""
        configured = [NamedPreset(name, params) for name, params in self._configured.items()]
        hidden = {preset.name for preset in configured}
        statement = select(Preset).where(Preset.owner == principal.owner).order_by(Preset.name).limit(MAX_PRESETS)
        with self._database.read() as session:
            own = [_named(row) for row in session.scalars(statement)]
        return [*configured, *(preset for preset in own if preset.name not in hidden)]

    def get(self, principal: Principal, name: str) -> NamedPreset:
        """Return a preset; the settings take precedence over the owner's presets.

        :raises DomainError: ``preset-not-found``.
        """
        return find_preset(self._database, self._configured, principal, name)

    def put(
        self, principal: Principal, name: str, params: Mapping[str, object], condition: Condition = UNCONDITIONAL
    ) -> tuple[NamedPreset, bool]:
        """Create or replace a preset of the principal's owner; return it, and whether it is new.

        Existing tasks keep the steps that they were created with.

        :raises DomainError: ``preset-read-only`` if the settings have a preset of this name; ``precondition-failed``;
            ``too-many-presets``; ``invalid-fields`` or ``unknown-algorithm`` if the params are not a pipeline;
            ``file-not-found`` if they name a file that is not the owner's; ``file-storage-unavailable``.
        """
        if name in self._configured:
            raise _read_only(name)
        self._check(principal, params)
        with self._database.write() as session:
            session.execute(select(one_at_a_time(_lock(principal.owner))))
            row = session.get(Preset, (principal.owner, name))
            condition.check(name, None if row is None else _named(row))
            if row is None:
                _check_count(session, principal)
                row = Preset(owner=principal.owner, name=name, params=dict(params))
                session.add(row)
                is_new = True
            else:
                row.params, row.updated_at = dict(params), epoch_now()
                is_new = False
            session.flush()
            session.refresh(row)
        log.info("preset stored", owner=principal.owner, preset=name, new=is_new)
        return _named(row), is_new

    def delete(self, principal: Principal, name: str, condition: Condition = UNCONDITIONAL) -> None:
        """Delete a preset of the principal's owner.

        :raises DomainError: ``preset-not-found``; ``preset-read-only`` if it is from the settings;
            ``precondition-failed``.
        """
        with self._database.write() as session:
            session.execute(select(one_at_a_time(_lock(principal.owner))))
            row = session.get(Preset, (principal.owner, name)) if _is_name(name) else None
            if row is None and name in self._configured:
                raise _read_only(name)
            condition.check(name, None if row is None else _named(row))
            if row is None:
                raise _not_found(name, [])
            session.delete(row)
        log.info("preset deleted", owner=principal.owner, preset=name)

    def _check(self, principal: Principal, params: Mapping[str, object]) -> None:
        """Check a preset's params when it is stored, rather than when it is used."""
        size = len(json.dumps(params, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if size > MAX_BYTES:
            detail = counted(
                "The params have {size:,} byte as JSON; a preset may have at most {limit:,}.",
                "The params have {size:,} bytes as JSON; a preset may have at most {limit:,}.",
                "size",
                size=size,
                limit=MAX_BYTES,
            )
            raise DomainError(
                "invalid-fields", detail, [FieldError(pointer="/params", detail=detail, code="preset_too_large")]
            )
        file_ids = plan_of(PIPELINE, params).file_ids()
        if not file_ids:
            return
        # Requests with signed URLs do not check the owner of these files again.
        storage = self._storage.acting_for(principal.owner, sees_all=principal.sees_all)
        try:
            found = storage.find(file_ids)
        except FileStorageUnavailableError as error:
            detail = sentence("The file server does not answer; try again.")
            raise DomainError("file-storage-unavailable", detail, retry_after=5) from error
        missing = [file_id for file_id in file_ids if file_id not in found]
        if missing:
            errors = [
                FieldError(pointer="/params", detail=sentence("There is no file {file_id}.", file_id=file_id))
                for file_id in missing
            ]
            detail = sentence("The preset names files that do not exist: {named}.", named=", ".join(map(str, missing)))
            raise DomainError("file-not-found", detail, errors, context={"file_id": missing[0]})


def find_preset(database: Database, configured: ConfiguredPresets, principal: Principal, name: str) -> NamedPreset:
    """Return a preset; the settings take precedence over the owner's presets.

    :raises DomainError: ``preset-not-found``.
    """
    if name in configured:
        return NamedPreset(name, configured[name])
    with database.read() as session:
        row = session.get(Preset, (principal.owner, name)) if _is_name(name) else None
        if row is not None:
            return _named(row)
        names = session.scalars(select(Preset.name).where(Preset.owner == principal.owner).order_by(Preset.name)).all()
    raise _not_found(name, [*(known for known, _ in configured.items()), *names])


def _named(row: Preset) -> NamedPreset:
    return NamedPreset(row.name, row.params, row.updated_at)


def _is_name(name: str) -> bool:
    """Return whether this can be a preset's name; PostgreSQL refuses to compare some other strings."""
    return 0 < len(name) <= MAX_NAME and name.isprintable()


def _check_count(session: Session, principal: Principal) -> None:
    own = select(func.count()).select_from(Preset).where(Preset.owner == principal.owner)
    if session.execute(own).scalar_one() >= MAX_PRESETS:
        detail = counted(
            "The owner '{owner}' already has {limit} preset, which is the limit; delete one first.",
            "The owner '{owner}' already has {limit} presets, which is the limit; delete one first.",
            "limit",
            owner=principal.owner,
            limit=MAX_PRESETS,
        )
        raise DomainError("too-many-presets", detail)


def _lock(owner: str) -> int:
    return int.from_bytes(hashlib.sha256(f"presets of {owner}".encode()).digest()[:8], signed=True)


def _changed(name: str, current: NamedPreset | None) -> Sentence:
    if current is None:
        return sentence("The preset '{name}' does not exist, but If-Match requires it.", name=name)
    return sentence(
        "The preset '{name}' has changed: its ETag is now \"{etag}\"; get it and try again.",
        name=name,
        etag=current.etag,
    )


def _refused(detail: str, name: str, current: NamedPreset | None) -> DomainError:
    etag = None if current is None else current.etag
    return DomainError("precondition-failed", detail, context={"name": name, "etag": etag})


def _read_only(name: str) -> DomainError:
    detail = sentence(
        "The preset '{name}' is defined in the server's settings, which the API cannot change; choose another name.",
        name=name,
    )
    return DomainError("preset-read-only", detail)


def _not_found(name: str, names: Sequence[str]) -> DomainError:
    wanted, known = name[:MAX_NAME], ", ".join(names)
    detail = (
        sentence("There is no preset '{name}'; there are: {names}.", name=wanted, names=known)
        if names
        else sentence("There is no preset '{preset}'.", preset=wanted)
    )
    return DomainError("preset-not-found", detail, context={"name": wanted})
