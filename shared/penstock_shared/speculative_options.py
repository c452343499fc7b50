"""Checks a tier's speculative_config by vLLM's rules. Pure functions."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final, TypeGuard

from penstock_shared.engine_catalogue import catalogue
from penstock_shared.engine_options import WrongOption, one_of, unknown
from penstock_shared.old_engine_options import advice_for_speculation

SCHEDULE: Final = "num_speculative_tokens_per_batch_size"
_NEED_TOKENS: Final = frozenset({"ngram", "ngram_gpu", "draft_model"})
_NEED_MODEL: Final = frozenset({"draft_model", "eagle", "eagle3", "medusa", "custom_class"})
_COUNTS: Final = (
    "num_speculative_tokens",
    "draft_tensor_parallel_size",
    "max_model_len",
    "prompt_lookup_max",
    "prompt_lookup_min",
)


def method_of(config: Mapping[str, Any]) -> str:
    """The method of a speculative_config; like vLLM, a model without a method is a draft model."""
    named = config.get("method")
    if named is not None:
        return str(named)
    model = str(config.get("model", ""))
    if model in {"ngram", "[ngram]"}:
        return "ngram"
    parts = model.split(".")
    is_class = len(parts) > 1 and all(part.isidentifier() for part in parts)
    return "custom_class" if is_class else "draft_model"


def check_speculation(config: Mapping[str, Any]) -> None:
    """Raise WrongOption, its key inside the table, at the first thing that vLLM would refuse."""
    for option in config:
        if option not in catalogue().speculative_options:
            raise _unknown(option, config)
    method = method_of(config)
    one_of(catalogue().speculative_methods, method, "method", "speculative method")
    for option in _COUNTS:
        _check_count(option, config.get(option))
    for option, known in (
        ("quantization", catalogue().quantization_methods),
        ("kv_cache_dtype", catalogue().kv_cache_dtypes),
    ):
        if config.get(option) is not None:
            one_of(known, config[option], option, f"{option} value")
    if method in _NEED_MODEL and not config.get("model"):
        raise WrongOption("model", f"method {method!r} needs a model: a folder or a hub name")
    if method in _NEED_TOKENS and "num_speculative_tokens" not in config:
        raise WrongOption(
            "num_speculative_tokens", f"method {method!r} needs it, such as 5 tokens ahead"
        )
    least, most = config.get("prompt_lookup_min"), config.get("prompt_lookup_max")
    if least is not None and most is not None and least > most:
        raise WrongOption("prompt_lookup_min", f"{least} is larger than prompt_lookup_max, {most}")
    if config.get(SCHEDULE) is not None:
        _check_schedule(config[SCHEDULE])


def _unknown(option: str, config: Mapping[str, Any]) -> WrongOption:
    advice = advice_for_speculation(option, config)
    if advice is not None:
        return WrongOption(option, str(advice))
    known = catalogue().speculative_options
    return unknown(option, known, f"known here are {', '.join(known)}")


def _check_count(option: str, value: object) -> None:
    if value is not None and not (_is_number(value) and value >= 1):
        raise WrongOption(option, f"{value!r} is no whole number of at least 1")


def _check_schedule(schedule: object) -> None:
    """Entries [first batch size, last, tokens]; gaps and the end go on with the entry before."""
    if not isinstance(schedule, list | tuple) or not schedule:
        raise WrongOption(SCHEDULE, f"write a list such as {_EXAMPLE}")
    for entry in schedule:
        if not _is_entry(entry):
            raise WrongOption(
                SCHEDULE,
                f"{entry!r} is no [first batch size, last batch size, tokens]; "
                f"write a list such as {_EXAMPLE}",
            )
    ordered = sorted(schedule, key=lambda entry: entry[0])
    if ordered[0][0] != 1:
        raise WrongOption(SCHEDULE, f"the first range starts at {ordered[0][0]} instead of 1")
    for before, after in pairwise(ordered):
        if after[0] <= before[1]:
            raise WrongOption(SCHEDULE, f"{before!r} and {after!r} overlap")


_EXAMPLE: Final = "[[1, 8, 5], [9, 32, 2], [33, 128, 0]]"


def _is_entry(entry: Any) -> bool:
    match entry:
        case [first, last, tokens] if all(map(_is_number, entry)):
            return bool(1 <= first <= last and tokens >= 0)
    return False


def _is_number(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
