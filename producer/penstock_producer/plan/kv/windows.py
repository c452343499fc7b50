"""Which layers look at a sliding window only, and how wide it is."""

from collections.abc import Sequence
from typing import Final

from penstock_producer.plan.kv.config import Config
from penstock_shared.errors import InvalidRequest

Windows = Sequence[int | None]
_SLIDING: Final = {"full_attention": False, "sliding_attention": True}


def windows_of(config: Config) -> Windows:
    """For each layer its window in tokens, or None.

    ``layer_types`` decides where there is one. Without, every layer has the window that
    config.json names, as in vLLM. Raises InvalidRequest for a kind of layer that is not known.
    """
    named = config.get("layer_types")
    if named is not None:
        return _named(config, named)
    return [config.optional("sliding_window")] * config.number("num_hidden_layers")


def windows_of_qwen(config: Config) -> Windows:
    """Qwen's window is off unless ``use_sliding_window``, and then for its last layers."""
    if config.get("layer_types") is not None:
        return windows_of(config)
    layers = config.number("num_hidden_layers")
    if not config.flag("use_sliding_window"):
        return [None] * layers
    first = config.number("max_window_layers")
    return [config.optional("sliding_window") if n >= first else None for n in range(layers)]


def windows_of_gemma(config: Config) -> Windows:
    """All layers have a window, but every so many (``sliding_window_pattern``) looks at all."""
    if config.get("layer_types") is not None:
        return windows_of(config)
    pattern = config.number("sliding_window_pattern")
    window = config.number("sliding_window")
    layers = range(1, config.number("num_hidden_layers") + 1)
    return [window if number % pattern else None for number in layers]


def _named(config: Config, named: object) -> Windows:
    layers = config.number("num_hidden_layers")
    if not isinstance(named, list) or len(named) != layers:
        raise InvalidRequest(f"config.json: layer_types does not name its {layers} layers")
    for kind in named:
        if kind not in _SLIDING:
            raise InvalidRequest(
                f"config.json: layers of the kind {kind!r} are not known to this plan; "
                "measure the model with vLLM instead"
            )
    return [config.number("sliding_window") if _SLIDING[kind] else None for kind in named]
