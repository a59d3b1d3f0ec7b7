"""The files and ports that a render process may use."""

from pathlib import Path

from image_processor.confinement.places import Places, places_to_decode
from image_processor.render.cache import MAKING, ORIGINS
from image_processor.render.config import RenderSettings


def places_of_render(settings: RenderSettings) -> Places:
    """Return the places that a render process may use with these settings; finished results are out of its reach."""
    cache = Path(settings.cache.folder)
    places = places_to_decode(settings.file_storage, settings.sandbox_ports, data=[cache])
    return places._replace(readable=[*places.readable, cache / ORIGINS], writable=[*places.writable, cache / MAKING])
