"""Messages become token ids, and token ids text: with the model's own tokenizer and template.

This runs in the worker, not in the engine's process, which is left to generate.
"""

from collections.abc import Sequence
from typing import Any, Self

from penstock_shared.errors import ContextTooLong, InvalidRequest
from penstock_shared.request import Request
from penstock_shared.settings import TierSettings
from penstock_workers.models import locate


class Renderer:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: Any, max_model_len: int) -> None:
        self._tokenizer = tokenizer
        self._max_model_len = max_model_len

    @classmethod
    def load(cls, tier: TierSettings) -> Self:
        """Load the tokenizer that lies beside a tier's model."""
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(locate(tier.model), revision=tier.revision)
        return cls(tokenizer, tier.max_model_len)

    def render(self, request: Request) -> tuple[int, ...]:
        """Token ids of the prompt.

        Raises ContextTooLong, now that the length is exact, and InvalidRequest when the model's
        chat template refuses the messages.
        """
        try:
            ids = self._encode(request)
        except Exception as error:  # noqa: BLE001 - a template raises what it likes, even the text
            raise InvalidRequest(
                f"the model's chat template refuses these messages ({type(error).__name__})"
            ) from None
        if len(ids) + request.sampling.max_tokens > self._max_model_len:
            raise ContextTooLong(
                f"the prompt has {len(ids):,} tokens; with max_tokens "
                f"{request.sampling.max_tokens:,} it does not fit into the "
                f"{self._max_model_len:,} of this tier"
            )
        return tuple(ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of a completion, without special tokens."""
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=True))

    def _encode(self, request: Request) -> list[int]:
        if self._tokenizer.chat_template is None:
            return list(self._tokenizer.encode(request.text))
        messages = [message.model_dump() for message in request.messages]
        return list(
            self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_dict=False
            )
        )
