"""How an input is to be read; the flags of ``penstock batch run``."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from penstock_shared.errors import InvalidRequest
from penstock_shared.request import Sampling
from penstock_shared.settings import Settings

Format = Literal["openai", "jsonl", "csv", "parquet", "folder"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)
CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
ENDPOINTS: Final = (CHAT, COMPLETIONS, EMBEDDINGS)
_TABLES: Final = ("jsonl", "csv", "parquet")
# The options that not every kind has: as the command line writes them, and the kinds.
_OF_KINDS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "template": ("--template", (*_TABLES, "folder")),
    "system": ("--system", (*_TABLES, "folder")),
    "id_column": ("--id-column", _TABLES),
    "chunk_tokens": ("--chunk", ("folder",)),
    "chunk_overlap": ("--overlap", ("folder",)),
    "map_prompt": ("--map", ("folder",)),
    "reduce_prompt": ("--reduce", ("folder",)),
}


@dataclass(frozen=True)
class ReadOptions:
    """What holds for all lines of an input; what a line says itself is stronger.

    ``format`` None is told by the name and the first bytes. ``endpoint`` None is taken from the
    first line that has one (tables and folders: chat). ``template``, ``system``, ``map_prompt`` and
    ``reduce_prompt`` are Jinja2 templates. ``chunk_tokens`` None is half of the tier's context, at
    most 1,000. ``sampling`` has the usual names: max_tokens, temperature and so on.
    """

    format: Format | None = None
    template: str | None = None
    system: str | None = None
    id_column: str | None = None
    chunk_tokens: int | None = None
    chunk_overlap: int = 0
    map_prompt: str | None = None
    reduce_prompt: str | None = None
    endpoint: str | None = None
    tenant: str | None = None
    workflow: str | None = None
    tier: str | None = None
    task_type: str | None = None
    cache: bool | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    response_format: dict[str, Any] | None = None

    def check(self, settings: Settings) -> None:
        """Raises InvalidRequest for what would be wrong with every line."""
        _one_of("format", self.format, FORMATS)
        _one_of("endpoint", self.endpoint, ENDPOINTS)
        _one_of("tier", self.tier, tuple(settings.tiers))
        for name in self.sampling:
            _one_of("sampling parameter", name, tuple(Sampling.model_fields))
        if self.chunk_tokens is not None and self.chunk_tokens < 1:
            raise InvalidRequest(f"chunk_tokens is {self.chunk_tokens}; write at least 1")
        if self.chunk_overlap < 0:
            raise InvalidRequest(f"chunk_overlap is {self.chunk_overlap}; write at least 0")

    def check_kind(self, kind: Format, label: str) -> None:
        """Raises InvalidRequest for an option that would do nothing with an input of this kind."""
        for name, (flag, kinds) in _OF_KINDS.items():
            if getattr(self, name) not in (None, 0) and kind not in kinds:
                raise InvalidRequest(
                    f"{flag} ({name}) is for {', '.join(kinds)}, and {label} is {kind}; leave it "
                    "out (--format says what an input is)"
                )
        if kind == "folder" and self.template is not None and self.map_prompt is not None:
            raise InvalidRequest("--template and --map are the same for a folder; say one of them")


def _one_of(what: str, value: str | None, known: tuple[str, ...]) -> None:
    if value is not None and value not in known:
        raise InvalidRequest(f"there is no {what} {value!r}; known are {', '.join(known)}")
