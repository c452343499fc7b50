"""Checks what a tier's table says to vLLM, by the names that vLLM knows. Pure functions."""

import difflib
import json
from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any, Final

from penstock_shared.engine_catalogue import catalogue
from penstock_shared.old_engine_options import advice_for, speculation_of

_GENERATES: Final = "Penstock generates text only; delete the line"
_MORE_WORKERS: Final = (
    "Penstock spreads a tier over devices by workers; start another worker of the tier instead"
)
_OURS: Final = {
    "disable_log_stats": "the meter reads the engine's statistics; delete the line",
    "per_request_spec_decode_metrics": "Penstock counts drafted tokens itself; delete the line",
    "served_model_name": "answers carry the name that stands in model; delete the line",
    "skip_tokenizer_init": "stop strings need the engine's tokenizer; delete the line",
    "tokens_only": "stop strings need the engine's tokenizer; delete the line",
    "runner": _GENERATES,
    "convert": _GENERATES,
    "pooler_config": _GENERATES,
    "hf_token": "a secret does not belong here; give the worker the variable HF_TOKEN",
}
_SHORT_SPECULATION: Final = frozenset({"spec_method", "spec_model", "spec_tokens"})
_TOKENIZER_MODES: Final = ("auto", "hf")
_DEVICES: Final = (
    "tensor_parallel_size",
    "pipeline_parallel_size",
    "prefill_context_parallel_size",
)


class WrongOption(ValueError):
    """An option is wrong; ``key`` names it, seen from the table that was checked."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def check_tier(tier: Mapping[str, Any], own: Collection[str]) -> None:
    """Check the names in a tier's table, of which ``own`` are typed. Raises WrongOption."""
    for option, value in tier.items():
        if option not in own:
            _check_name(option, tier, own)
            _check_value(option, value)
    if tier.get("kv_cache_dtype") is not None:
        one_of(catalogue().kv_cache_dtypes, tier["kv_cache_dtype"], "kv_cache_dtype")
    if tier.get("tokenizer_mode", "auto") not in _TOKENIZER_MODES:
        raise WrongOption(
            "tokenizer_mode", "the worker reads Hugging Face tokenizers only; write auto or hf"
        )


def check_devices(options: Mapping[str, Any]) -> None:
    """Raise WrongOption for an executor of several devices where there is one."""
    backend = options.get("distributed_executor_backend")
    if backend not in (None, "uni") and devices_of(options) == 1:
        raise WrongOption(
            "distributed_executor_backend",
            "one device needs none; it is for tensor_parallel_size = 2 and more",
        )


def devices_of(options: Mapping[str, Any]) -> int:
    """How many devices an engine with these options takes."""
    given = (options.get(option) for option in _DEVICES)
    return prod(number for number in given if isinstance(number, int))


def one_of(known: Sequence[str], value: object, key: str = "", what: str = "value") -> None:
    """Raise WrongOption with the nearest known name when ``value`` is none of them."""
    if value not in known:
        hint = _nearest(str(value), known) or f"; known are {', '.join(known)}"
        raise WrongOption(key, f"{value!r} is no {what} of vLLM {catalogue().vllm}{hint}")


def unknown(option: str, known: Collection[str], otherwise: str) -> WrongOption:
    """The error for an option that nobody knows, with the nearest one, or else ``otherwise``."""
    hint = _nearest(option, known) or f"; {otherwise}"
    return WrongOption(option, f"vLLM {catalogue().vllm} has no such option{hint}")


def _check_name(option: str, tier: Mapping[str, Any], own: Collection[str]) -> None:
    if option.startswith("data_parallel_"):
        raise WrongOption(option, _MORE_WORKERS)
    if option in _SHORT_SPECULATION:
        raise WrongOption(option, f"write {speculation_of(tier)}")
    if option in _OURS:
        raise WrongOption(option, _OURS[option])
    if option in catalogue().options:
        return
    advice = advice_for(option, tier)
    if advice is not None:
        raise WrongOption(option, str(advice))
    otherwise = f"Penstock's own are {', '.join(sorted(own))}, vLLM's the fields of its EngineArgs"
    raise unknown(option, {*own, *catalogue().options}, otherwise)


def _check_value(option: str, value: object) -> None:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        raise WrongOption(
            option, "write a string, a number, true, false, a list or a table"
        ) from None


def _nearest(name: str, known: Collection[str]) -> str:
    matches = difflib.get_close_matches(name.replace("-", "_"), sorted(known), n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else ""
