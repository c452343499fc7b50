"""The size of a model's weights in the formats that it may be served in."""

from typing import Final

from penstock_producer.plan.kv.architecture import Weights

QUANTIZATIONS: Final = ("bf16", "fp8", "int8", "int4")
DEFAULT_GROUP: Final = 128  # weights that share a scale, as AWQ and GPTQ have it
_SCALE_BYTES: Final = 2


def weights_bytes(weights: Weights, quantization: str, group: int = DEFAULT_GROUP) -> int:
    """Bytes of a model whose linear layers are in ``quantization``, and all else in 16 bits.

    8 bits have a scale of 16 bits for each output channel, 4 bits one for each group of inputs.
    """
    if quantization == "bf16":
        return 2 * weights.parameters
    total = 2 * weights.others
    for matrix in weights.matrices:
        if quantization == "int4":
            numbers = -(-matrix.inputs // 2)
            scales = -(-matrix.inputs // group)
        else:
            numbers, scales = matrix.inputs, 1
        total += matrix.number * matrix.outputs * (numbers + _SCALE_BYTES * scales)
    return total
