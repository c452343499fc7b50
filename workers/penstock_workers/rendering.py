"""Messages become token ids, and token ids text: with the model's own tokenizer and template.

This runs in the worker, not in the engine's process, which is left to generate.
"""

from collections.abc import Sequence
from typing import Any, Self

from penstock_shared.errors import ContextTooLong, InvalidRequest
from penstock_shared.request import Request
from penstock_shared.tier_settings import TierSettings
from penstock_shared.words import RequestKind
from penstock_workers.models import locate


class Renderer:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, tier: TierSettings) -> Self:
        """Load the tokenizer of a tier, the one that lies beside the model unless it names one."""
        from transformers import AutoTokenizer

        options = tier.other_options
        tokenizer = AutoTokenizer.from_pretrained(
            locate(options.get("tokenizer", tier.model)),
            revision=options.get("tokenizer_revision", tier.revision),
            trust_remote_code=options.get("trust_remote_code", False),
        )
        return cls(tokenizer)

    def render(self, request: Request, max_model_len: int | None = None) -> tuple[int, ...]:
        """Token ids of the prompt.

        Raises ContextTooLong when prompt and answer together have more than ``max_model_len``
        tokens, now that the length is exact, and InvalidRequest when the model's chat template
        refuses the messages.
        """
        try:
            ids = self._encode(request)
        except Exception as error:  # noqa: BLE001 - a template raises what it likes, even the text
            part = "tokenizer" if request.kind is RequestKind.COMPLETION else "chat template"
            raise InvalidRequest(
                f"the model's {part} refuses these messages ({type(error).__name__})"
            ) from None
        needed = len(ids) + request.sampling.max_tokens
        if max_model_len is not None and needed > max_model_len:
            raise ContextTooLong(
                f"the prompt has {len(ids):,} tokens; with max_tokens "
                f"{request.sampling.max_tokens:,} it does not fit into the "
                f"{max_model_len:,} of this tier"
            )
        return tuple(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a completion, without special tokens."""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def _encode(self, request: Request) -> list[int]:
        if request.kind is RequestKind.COMPLETION:
            return list(self._tokenizer.encode(request.question))
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer.encode(request.text))
        messages = [message.model_dump() for message in request.messages]
        return list(
            self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False
            )
        )
