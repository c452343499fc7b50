"""The vision tower that Gemma 3 carries: it takes memory, and keeps nothing in the KV cache."""

from typing import Any

from penstock_producer.plan.kv.architecture import Weights
from penstock_producer.plan.kv.config import Config
from penstock_shared.errors import InvalidRequest


def gemma_vision(values: Any, text_hidden: int) -> Weights:
    """SigLIP without its pooling head, and the projection into the text model; all in 16 bits.

    Raises InvalidRequest where config.json has no such tower.
    """
    if not isinstance(values, dict) or values.get("model_type") != "siglip_vision_model":
        raise InvalidRequest("config.json: a Gemma 3 without a SigLIP tower is not known")
    config = Config(values, {"num_channels": 3})
    hidden, width = config.number("hidden_size"), config.number("intermediate_size")
    patch = config.number("patch_size")
    places = (config.number("image_size") // patch) ** 2
    stem = hidden * (config.number("num_channels") * patch**2 + 1) + places * hidden
    # four projections and two linear layers with biases, and two norms with weight and bias
    layer = 4 * hidden * (hidden + 1) + 2 * hidden * width + width + hidden + 4 * hidden
    layers = config.number("num_hidden_layers")
    projection = hidden * text_hidden + hidden
    return Weights((), stem + layers * layer + 2 * hidden + projection)
