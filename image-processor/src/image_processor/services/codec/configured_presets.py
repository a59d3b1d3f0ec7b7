"""Presets defined by the operator: pipelines in the settings."""

from collections.abc import Iterator, Mapping

from service_kit.errors import DomainError
from service_kit.settings import SettingsError
from service_kit.texts import sentence

from image_processor.services.codec.plan import PIPELINE, plan_of


class ConfiguredPresets:
    """Maps preset names to the params of a ``pipeline``.

    :raises SettingsError: a preset is not a valid pipeline.
    """

    def __init__(self, params: Mapping[str, Mapping[str, object]]) -> None:
        for name, pipeline in params.items():
            try:
                plan_of(PIPELINE, pipeline)
            except DomainError as error:
                wrong = (
                    f"{field['pointer'].removeprefix('/params') or 'the whole'}: {field['detail']}"
                    for field in error.errors
                )
                raise SettingsError(f"setting presets.{name}: {'; '.join(wrong)}") from error
        self._params = params

    def __contains__(self, name: str) -> bool:
        return name in self._params

    def __getitem__(self, name: str) -> Mapping[str, object]:
        """Return the params of a preset.

        :raises DomainError: ``preset-not-found``.
        """
        if name not in self._params:
            names = ", ".join(self._params) or sentence("none in this server's configuration")
            detail = sentence("There is no preset '{name}'; there are: {names}.", name=name, names=names)
            raise DomainError("preset-not-found", detail, context={"name": name})
        return self._params[name]

    def items(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Return all presets in the order of the configuration."""
        return iter(self._params.items())
