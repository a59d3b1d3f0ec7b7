"""Query parameters as pydantic models."""

from functools import cache

from pydantic import BaseModel, ConfigDict


class Query(BaseModel):
    """The query of a request: an unknown parameter is an error.

    flask-openapi3 asks for the schema at every request; making it takes longer than many requests do.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    @cache
    def model_json_schema(cls, *args: object, **options: object) -> dict[str, object]:  # type: ignore[override]  # cached
        return super().model_json_schema(*args, **options)  # type: ignore[arg-type]  # passed through as they are
