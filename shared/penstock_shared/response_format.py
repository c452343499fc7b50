"""The form that an answer must have: OpenAI's ``response_format``, with its schema checked."""

import json
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from penstock_shared.json_schema import problem_of, written

MAX_DESCRIPTION_CHARS: Final = 4_096

FormatName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class TextFormat(BaseModel):
    """Text, as without a response format."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text"]


class JsonObjectFormat(BaseModel):
    """Any JSON object."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["json_object"]


class NamedSchema(BaseModel):
    """A JSON Schema (draft 2020-12) under a name.

    ``strict`` is taken for OpenAI's sake: here an answer matches its schema in any case.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_by_name=True, serialize_by_alias=True
    )

    name: FormatName
    definition: dict[str, Any] = Field(alias="schema")
    description: str | None = Field(None, max_length=MAX_DESCRIPTION_CHARS)
    strict: bool | None = None

    @field_validator("definition")
    @classmethod
    def _is_a_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        text = written(schema)
        problem = _problem_of(text)
        if problem is not None:
            raise ValueError(problem)
        return dict(json.loads(text))  # of our own: nobody changes it after the check


class JsonSchemaFormat(BaseModel):
    """JSON that matches a schema."""

    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)

    type: Literal["json_schema"]
    json_schema: NamedSchema

    @property
    def definition(self) -> dict[str, Any]:
        """The schema itself."""
        return dict(self.json_schema.definition)


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")
]

# Thousands of requests of a batch have the same schema, and each is read again when it is claimed.
_problem_of = lru_cache(maxsize=256)(problem_of)
