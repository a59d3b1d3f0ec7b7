"""Presets that users create through the API."""

from service_kit.database import epoch_now
from sqlalchemy import JSON, Double, String
from sqlalchemy.orm import Mapped, mapped_column

from image_processor.models.task import Base


class Preset(Base):
    """A named pipeline for its owner's tasks and images; presets of the settings are not stored here."""

    __tablename__ = "presets"

    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    params: Mapped[dict[str, object]] = mapped_column(JSON)
    created_at: Mapped[float] = mapped_column(Double, default=epoch_now())
    updated_at: Mapped[float] = mapped_column(Double, default=epoch_now(), onupdate=epoch_now())
