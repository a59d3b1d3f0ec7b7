"""Query parameters as pydantic models."""

from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service_kit.problems import invalid_request


class Query(BaseModel):
    """The query parameters of a request: an unknown parameter is an error.

    flask-openapi3 needs the schema in every request; building it takes longer than many requests, so it is cached.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_validate(cls, obj: object, **options: object) -> Self:
        """Return the validated parameters.

        :raises Problem: 422; for an unknown parameter it lists the known ones.
        """
        try:
            return super().model_validate(obj, **options)  # type: ignore[arg-type]  # passed on unchanged
        except ValidationError as error:
            raise invalid_request(error, obj, model=cls) from error

    @classmethod
    @cache
    def model_json_schema(cls, *args: object, **options: object) -> dict[str, object]:  # type: ignore[override]  # cached
        return super().model_json_schema(*args, **options)  # type: ignore[arg-type]  # passed on unchanged
