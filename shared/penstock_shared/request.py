"""A request: what a caller wants, checked once, frozen, the same on every way in."""

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from penstock_shared import clock
from penstock_shared.errors import InvalidRequest
from penstock_shared.response_format import ResponseFormat, TextFormat
from penstock_shared.words import RequestKind, TaskType

MAX_PROMPT_BYTES: Final = 4 * 1024 * 1024
MAX_METADATA_BYTES: Final = 64 * 1024
MAX_INPUTS: Final = 2_048  # texts of one embedding
LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999

Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Message(BaseModel):
    """One turn of a chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: str


class Sampling(BaseModel):
    """How the engine draws tokens; names and meaning are those of vLLM and OpenAI.

    The default temperature is 0: the same prompt gives the same answer, which can be cached.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(256, ge=1, le=1_000_000)
    temperature: float = Field(0.0, ge=0, le=2)
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    min_p: float = Field(0.0, ge=0, le=1)
    presence_penalty: float = Field(0.0, ge=-2, le=2)
    frequency_penalty: float = Field(0.0, ge=-2, le=2)
    repetition_penalty: float = Field(1.0, gt=0, le=2)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: Annotated[tuple[str, ...], BeforeValidator(_as_list)] = Field((), max_length=16)
    ignore_eos: bool = False
    min_tokens: int = Field(0, ge=0)

    @field_validator("stop")
    @classmethod
    def _is_text(cls, stop: tuple[str, ...]) -> tuple[str, ...]:
        _check_text("".join(stop), "it")
        return stop

    @property
    def is_repeatable(self) -> bool:
        """True when the same prompt gives the same answer."""
        return self.temperature == 0


class Request(BaseModel):
    """One prompt with everything that its caller says about it.

    A completion has one message, the text to continue; of an embedding, each message is a text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages: tuple[Message, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    tier: Name | None = None
    task_type: TaskType | None = None
    tenant: Name = "default"
    workflow: Name | None = None
    deadline_ms: int | None = Field(None, le=LAST_MS)
    idempotency_key: Name | None = None
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    cache: bool = True
    kind: RequestKind = RequestKind.CHAT
    response_format: ResponseFormat | None = None  # None: text

    @classmethod
    def build(
        cls,
        prompt: str | Sequence[Mapping[str, Any] | Message],
        *,
        deadline: datetime | timedelta | float | None = None,
        **fields: Any,
    ) -> Self:
        """Make a request from a prompt (or chat messages) and flat keyword arguments.

        ``deadline`` is a moment, or a timedelta or a number of seconds from now. Sampling
        parameters stand beside the other fields. Raises InvalidRequest, in one line.
        """
        if isinstance(prompt, str):
            prompt = [Message(role="user", content=prompt)]
        elif not isinstance(prompt, Sequence):
            raise InvalidRequest("the prompt must be text or a list of messages")
        sampling = {name: fields.pop(name) for name in list(fields) if name in _SAMPLING_FIELDS}
        unknown = fields.keys() - cls.model_fields.keys()
        if unknown:
            raise InvalidRequest(f"unknown parameter {sorted(unknown)[0]!r}; {_known_parameters()}")
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            return cls.model_validate(
                {
                    "messages": list(prompt),
                    "sampling": {k: v for k, v in sampling.items() if v is not None},
                    "deadline_ms": _deadline_ms(deadline),
                    **given,
                }
            )
        except ValidationError as error:
            raise InvalidRequest(_first_line(error)) from None

    @field_validator("response_format")
    @classmethod
    def _text_is_the_default(cls, value: ResponseFormat | None) -> ResponseFormat | None:
        if value is not None:
            _check_json(value.model_dump_json())
        return None if isinstance(value, TextFormat) else value

    @field_validator("metadata")
    @classmethod
    def _can_be_stored(cls, value: dict[str, JsonValue]) -> dict[str, JsonValue]:
        text = json.dumps(value, ensure_ascii=False)
        _check_json(text)
        if len(text.encode()) > MAX_METADATA_BYTES:
            raise ValueError(f"it is larger than {MAX_METADATA_BYTES:,} bytes")
        return value

    @model_validator(mode="after")
    def _is_servable(self) -> Self:
        size = sum(len(message.content.encode(errors="replace")) for message in self.messages)
        if size > MAX_PROMPT_BYTES:
            raise ValueError(
                f"the prompt has {size:,} bytes and a request may have {MAX_PROMPT_BYTES:,}; "
                "split the text"
            )
        _check_text(self.text, "the prompt")
        if not any(m.content.strip() for m in self.messages if m.role == "user"):
            raise ValueError("the prompt is empty; write what you want to ask")
        if self.messages[-1].role != "user":
            raise ValueError("the last message must have the role 'user'")
        _check_kind(self)
        if self.sampling.min_tokens > self.sampling.max_tokens:
            raise ValueError("min_tokens is larger than max_tokens")
        return self

    @property
    def question(self) -> str:
        """The last user message."""
        return self.messages[-1].content

    @property
    def text(self) -> str:
        """All messages, for signals and length."""
        return "\n".join(message.content for message in self.messages)

    def what_is_special(self) -> dict[str, str]:
        """The fields that a plain chat does not have, as text: those that are not the default."""
        special: dict[str, str] = {}
        if self.kind is not RequestKind.CHAT:
            special["kind"] = self.kind.value
        if self.response_format is not None:
            special["response_format"] = self.response_format.model_dump_json()
        return special

    def digest(self) -> str:
        """Fingerprint of what an idempotency key stands for: everything but the key itself.

        A field that came later counts only where it is set, so that digests in the ledger stay.
        """
        left_out = {"idempotency_key", "deadline_ms"}
        left_out |= {name for name in _LATER_FIELDS if name not in self.what_is_special()}
        body = self.model_dump_json(exclude=left_out)
        return hashlib.sha256(body.encode()).hexdigest()


_SAMPLING_FIELDS: Final = frozenset(Sampling.model_fields)
_LATER_FIELDS: Final = ("kind", "response_format")
_ESCAPED_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_QUOTES: Final = re.compile("[\"'`“‘«]")


def normalize(text: str) -> str:
    """The form in which two prompts are the same text: NFC, outer and repeated blanks folded.

    Line structure, indentation and letter case stay, because code and names depend on them, and
    so does every blank of a text with quotes.
    """
    lines = unicodedata.normalize("NFC", text).strip("\n").splitlines()
    if len(lines) <= 1:
        lines = [line.strip() for line in lines]
    if _QUOTES.search(text):
        return "\n".join(line.rstrip() for line in lines).rstrip()
    return "\n".join(_folded(line) for line in lines).rstrip()


def _folded(line: str) -> str:
    indentation = line[: len(line) - len(line.lstrip())]
    return (indentation + " ".join(line.split())).rstrip()


def _check_text(text: str, what: str) -> None:
    """What no ledger can keep: UTF-8 has no surrogates, and a text of PostgreSQL no NUL."""
    if "\x00" in text:
        raise ValueError(f"{what} contains a NUL byte; remove it or decode the file first")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{what} is not valid Unicode (a lone surrogate)") from None


def _check_json(text: str) -> None:
    """The same for the texts in a JSON value, where a NUL is written as an escape."""
    _check_text("\x00" if _ESCAPED_NUL.search(text) else text, "it")


def _check_kind(request: Request) -> None:
    if request.kind is RequestKind.CHAT:
        return
    if any(message.role != "user" for message in request.messages):
        raise ValueError(f"the messages of {_a(request.kind)} must all have the role 'user'")
    if request.kind is RequestKind.COMPLETION:
        if len(request.messages) != 1:
            raise ValueError("a completion has one prompt; send each of several on its own")
        return
    if request.response_format is not None:
        raise ValueError("an embedding is vectors; leave response_format out")
    if len(request.messages) > MAX_INPUTS:
        raise ValueError(
            f"an embedding may have {MAX_INPUTS:,} texts and this one has "
            f"{len(request.messages):,}; split it"
        )
    for number, message in enumerate(request.messages, start=1):
        if not message.content.strip():
            raise ValueError(f"text {number} of the embedding is empty; leave it out")


def _a(kind: RequestKind) -> str:
    return f"{'an' if kind is RequestKind.EMBEDDING else 'a'} {kind.value}"


def _deadline_ms(deadline: datetime | timedelta | float | None) -> int | None:
    if deadline is None:
        return None
    now = clock.now_ms()
    try:
        if isinstance(deadline, datetime):
            moment = clock.from_datetime(deadline)
        elif isinstance(deadline, timedelta):
            moment = now + round(deadline.total_seconds() * 1000)
        else:
            moment = now + round(float(deadline) * 1000)
    except (TypeError, ValueError, OverflowError):
        raise InvalidRequest(
            "the deadline must be a moment, a timedelta or a number of seconds"
        ) from None
    if moment <= now:
        raise InvalidRequest("the deadline has passed already")
    return moment


def _known_parameters() -> str:
    names = sorted((Request.model_fields.keys() | _SAMPLING_FIELDS) - {"sampling", "deadline_ms"})
    return "known are " + ", ".join([*names, "deadline"])


def _first_line(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    parts = [str(part) for part in first["loc"] if part != "sampling"]
    # pydantic repeats which member of a union it is about
    where = ".".join(p for n, p in enumerate(parts) if n == 0 or p != parts[n - 1])
    message = first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
