"""Text is cut into chunks of so many tokens, at the borders of paragraphs and sentences."""

import hashlib
import logging
import math
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from penstock_producer.batch.reading.input_file import missing_extra
from penstock_producer.batch.reading.options import ReadOptions
from penstock_producer.plan.kv.sources import find_config
from penstock_shared.errors import InvalidRequest
from penstock_shared.settings import Settings
from penstock_shared.tier_settings import TierSettings

_log = logging.getLogger(__name__)
_MOST_TOKENS: Final = 1_000


class Chunker:
    """Cuts by the tokens of the tier that will most likely read the chunks.

    That is the tier of the options, else the largest. Where its tokenizer is not on this machine,
    tokens are estimated by the router's ``bytes_per_token``, and a warning says so, once.
    Raises InvalidRequest when an overlap leaves no room.
    """

    def __init__(self, options: ReadOptions, settings: Settings) -> None:
        name = options.tier or settings.largest_tier
        tier = settings.tiers[name]
        self.chunk_tokens = options.chunk_tokens or _default_tokens(tier)
        if options.chunk_overlap >= self.chunk_tokens:
            raise InvalidRequest(
                f"chunk_overlap ({options.chunk_overlap}) must be smaller than chunk_tokens "
                f"({self.chunk_tokens})"
            )
        tokenizer = _tokenizer_file(tier)
        if tokenizer is None:
            _log.warning(
                "tier %s has no tokenizer.json on this machine; chunks are cut by an estimate of "
                "%s bytes per token (routing.bytes_per_token)",
                name,
                settings.routing.bytes_per_token,
            )
        measure = _measure(tokenizer, settings.routing.bytes_per_token)
        self._tokenizer, self._bytes_per_token = tokenizer, settings.routing.bytes_per_token
        self._plain, self._markdown = _splitters(measure, self.chunk_tokens, options.chunk_overlap)

    @property
    def identity(self) -> str:
        """What decides, besides a text, where it is cut: size, measure and version of the cutter.

        The overlap is left out: it is one of the options.
        """
        if self._tokenizer is None:
            measure = f"{self._bytes_per_token} bytes per token"
        else:
            measure = hashlib.sha256(self._tokenizer.read_bytes()).hexdigest()
        return f"{self.chunk_tokens} tokens, {measure}, cutter {version('semantic-text-splitter')}"

    def chunks(self, text: str, *, is_markdown: bool) -> list[str]:
        """The chunks in order, without the blanks around them."""
        splitter = self._markdown if is_markdown else self._plain
        return [chunk for chunk in splitter.chunks(text) if chunk.strip()]


def _default_tokens(tier: TierSettings) -> int:
    return min(_MOST_TOKENS, (tier.context_tokens or 2 * _MOST_TOKENS) // 2)


def _tokenizer_file(tier: TierSettings) -> Path | None:
    model = tier.other_options.get("tokenizer") or tier.model
    try:
        folder = find_config(str(model)).folder
    except InvalidRequest:
        folder = Path(str(model))
    file = folder / "tokenizer.json" if folder else None
    return file if file and file.is_file() else None


def _measure(tokenizer_file: Path | None, bytes_per_token: float) -> Any:
    """A tokenizer, or a function that estimates the tokens of a text."""
    if tokenizer_file is None:
        return lambda text: math.ceil(len(text.encode()) / bytes_per_token)
    try:
        from tokenizers import Tokenizer
    except ImportError:
        raise missing_extra("a folder of documents", "tokenizers") from None
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _splitters(measure: Any, capacity: int, overlap: int) -> tuple[Any, Any]:
    try:
        from semantic_text_splitter import MarkdownSplitter, TextSplitter
    except ImportError:
        raise missing_extra("a folder of documents", "semantic-text-splitter") from None
    if callable(measure):
        return (
            TextSplitter.from_callback(measure, capacity, overlap),
            MarkdownSplitter.from_callback(measure, capacity, overlap),
        )
    return (
        TextSplitter.from_huggingface_tokenizer(measure, capacity, overlap),
        MarkdownSplitter.from_huggingface_tokenizer(measure, capacity, overlap),
    )
