"""Query parameters as pydantic models."""

from functools import cache
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from service_kit.problems import invalid_request


class Query(BaseModel):
    """The query of a request: an unknown parameter is an error.

    flask-openapi3 asks for the schema at every request; making it takes longer than many requests do.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def model_validate(cls, obj: object, **options: object) -> Self:
        """:raises Problem: 422, which tells of an unknown parameter what there is."""
        try:
            return super().model_validate(obj, **options)  # type: ignore[arg-type]  # passed through as they are
        except ValidationError as error:
            raise invalid_request(error, obj, model=cls) from error

    @classmethod
    @cache
    def model_json_schema(cls, *args: object, **options: object) -> dict[str, object]:  # type: ignore[override]  # cached
        return super().model_json_schema(*args, **options)  # type: ignore[arg-type]  # passed through as they are
