"""The weights of the blocks that models are built of."""

from typing import NamedTuple

from penstock_producer.plan.kv.architecture import Matrix, Weights
from penstock_producer.plan.kv.config import Config


class Style(NamedTuple):
    """In what a family differs from Llama."""

    norms: int = 2  # of each layer
    norm_vectors: int = 1  # a LayerNorm has two, weight and bias
    has_qk_norm: bool = False
    has_qkv_bias: bool = False  # always, whatever attention_bias says


def embeddings(config: Config, norm_vectors: int = 1) -> Weights:
    """Embedding, last norm, and an output head where it is not the embedding once more."""
    hidden = config.number("hidden_size")
    tables = 1 if config.flag("tie_word_embeddings") else 2
    table = config.number("vocab_size") * hidden
    return Weights((), tables * table + norm_vectors * hidden)


def attention(config: Config, style: Style, layers: int) -> Weights:
    """Query, key, value and output of so many layers, with biases and the norms of heads."""
    hidden, head = config.number("hidden_size"), config.head_dim
    queries, keys = config.number("num_attention_heads") * head, config.kv_heads * head
    others = 2 * head if style.has_qk_norm else 0
    if style.has_qkv_bias or config.flag("attention_bias"):
        others += queries + 2 * keys
    if config.flag("attention_bias"):
        others += hidden
    matrices = (
        Matrix(queries + 2 * keys, hidden, layers),
        Matrix(hidden, queries, layers),
    )
    return Weights(matrices, layers * others)


def latent_attention(config: Config, layers: int) -> Weights:
    """DeepSeek's: queries and keys go through a narrow vector each, with a norm."""
    hidden, heads = config.number("hidden_size"), config.number("num_attention_heads")
    rotary, plain = config.number("qk_rope_head_dim"), config.number("qk_nope_head_dim")
    value, rank = config.number("v_head_dim"), config.number("kv_lora_rank")
    query_rank = config.optional("q_lora_rank")
    queries = heads * (rotary + plain)
    shapes = [
        (rank + rotary, hidden),
        (heads * (plain + value), rank),
        (hidden, heads * value),
    ]
    shapes += [(query_rank, hidden), (queries, query_rank)] if query_rank else [(queries, hidden)]
    matrices = tuple(Matrix(outputs, inputs, layers) for outputs, inputs in shapes)
    return Weights(matrices, layers * (rank + (query_rank or 0)))


def gated_mlp(config: Config, width: int, count: int) -> Weights:
    """Gate, up and down, so many times: of layers, or of experts."""
    hidden = config.number("hidden_size")
    biases = count * (2 * width + hidden) if config.flag("mlp_bias") else 0
    return Weights((Matrix(2 * width, hidden, count), Matrix(hidden, width, count)), biases)


def experts(config: Config, number: int, width: int, layers: int) -> Weights:
    """A router and its experts in each of so many layers."""
    routers = Weights((), layers * number * config.number("hidden_size"))
    return added(routers, gated_mlp(config, width, layers * number))


def norms(config: Config, style: Style, layers: int) -> Weights:
    """The norms of so many layers."""
    return Weights((), layers * style.norms * style.norm_vectors * config.number("hidden_size"))


def added(*parts: Weights) -> Weights:
    """Parts of a model together."""
    matrices = tuple(matrix for part in parts for matrix in part.matrices)
    return Weights(matrices, sum(part.others for part in parts))
