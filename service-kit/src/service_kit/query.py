"""Query parameters as pydantic models."""

from functools import cache
from typing import Self

from flask import has_request_context, request
from pydantic import BaseModel, ConfigDict, ValidationError

from service_kit.errors import FieldError
from service_kit.problems import Problem, invalid_request


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
        cls._check_repeated()
        try:
            return super().model_validate(obj, **options)  # type: ignore[arg-type]  # passed on unchanged
        except ValidationError as error:
            raise invalid_request(error, obj, model=cls) from error

    @classmethod
    @cache
    def model_json_schema(cls, *args: object, **options: object) -> dict[str, object]:  # type: ignore[override]  # cached
        return super().model_json_schema(*args, **options)  # type: ignore[arg-type]  # passed on unchanged

    @classmethod
    def _check_repeated(cls) -> None:
        """Check that only lists are repeated: of another parameter, all but the first would be lost in silence.

        :raises Problem: 422.
        """
        if not has_request_context():
            return
        repeated = [name for name, values in request.args.lists() if len(values) > 1 and not cls._is_list(name)]
        if repeated:
            name = repeated[0][:50]
            detail = f"The parameter '{name}' is given more than once; give it once."
            raise Problem("invalid-fields", 422, detail, [FieldError(pointer=f"/{name}", detail=detail)])

    @classmethod
    def _is_list(cls, name: str) -> bool:
        properties = cls.model_json_schema().get("properties")
        described = properties.get(name) if isinstance(properties, dict) else None
        choices = [described, *described.get("anyOf", [])] if isinstance(described, dict) else []
        return any(choice.get("type") == "array" for choice in choices)
