"""The parameters of each family, from its config.json.

They were checked, parameter by parameter, against the models that transformers builds.
"""

from collections.abc import Callable

from penstock_producer.plan.kv import blocks
from penstock_producer.plan.kv.architecture import Matrix, Weights
from penstock_producer.plan.kv.blocks import Style, added
from penstock_producer.plan.kv.config import Config
from penstock_shared.errors import InvalidRequest

Build = Callable[[Config], Weights]


def dense(style: Style) -> Build:
    """How to count a Llama, or a family that differs from it in style only."""

    def weights(config: Config) -> Weights:
        layers = config.number("num_hidden_layers")
        return added(
            blocks.embeddings(config),
            blocks.attention(config, style, layers),
            blocks.gated_mlp(config, config.number("intermediate_size"), layers),
            blocks.norms(config, style, layers),
        )

    return weights


def mixtral(config: Config) -> Weights:
    """Mixtral: every layer has experts."""
    layers = config.number("num_hidden_layers")
    number, width = config.number("num_local_experts"), config.number("intermediate_size")
    return added(
        blocks.embeddings(config),
        blocks.attention(config, Style(), layers),
        blocks.experts(config, number, width, layers),
        blocks.norms(config, Style(), layers),
    )


def qwen3_moe(config: Config) -> Weights:
    """Qwen3 with experts in some layers or in all."""
    layers, style = config.number("num_hidden_layers"), Style(has_qk_norm=True)
    dense = set(config.get("mlp_only_layers") or ())
    step = config.number("decoder_sparse_step")
    sparse = sum(n not in dense and (n + 1) % step == 0 for n in range(layers))
    number, width = config.number("num_experts"), config.number("moe_intermediate_size")
    return added(
        blocks.embeddings(config),
        blocks.attention(config, style, layers),
        blocks.experts(config, number, width, sparse),
        blocks.gated_mlp(config, config.number("intermediate_size"), layers - sparse),
        blocks.norms(config, style, layers),
    )


def deepseek(config: Config) -> Weights:
    """Without the layers for multi-token prediction, which serving does not load by itself."""
    layers = config.number("num_hidden_layers")
    dense = min(layers, config.get("first_k_dense_replace") or 0)
    number, width = config.number("n_routed_experts"), config.number("moe_intermediate_size")
    shared = (config.optional("n_shared_experts") or 0) * width
    if config.number("moe_layer_freq", 1) != 1:
        raise InvalidRequest("config.json: a moe_layer_freq other than 1 is not known to this plan")
    has_bias = config.get("topk_method") == "noaux_tc"  # one number for each expert
    return added(
        blocks.embeddings(config),
        Weights((), number * (layers - dense) if has_bias else 0),
        blocks.latent_attention(config, layers),
        blocks.gated_mlp(config, config.number("intermediate_size"), dense),
        blocks.experts(config, number, width, layers - dense),
        blocks.gated_mlp(config, shared, layers - dense),
        blocks.norms(config, Style(), layers),
    )


def falcon_heads(config: Config) -> int:
    """KV heads: one for all queries, but for the families after the first."""
    if config.flag("new_decoder_architecture"):
        return config.number("num_kv_heads", config.number("num_attention_heads"))
    return 1 if config.flag("multi_query") else config.number("num_attention_heads")


def falcon(config: Config) -> Weights:
    """Falcon: two linear layers in place of a gated three, and norms with biases."""
    layers, hidden = config.number("num_hidden_layers"), config.number("hidden_size")
    if config.flag("bias"):
        raise InvalidRequest("config.json: a Falcon with biases is not known to this plan")
    width = config.number("ffn_hidden_size", 4 * hidden)
    keys = 2 * falcon_heads(config) * config.head_dim
    matrices = (
        Matrix(hidden + keys, hidden, layers),
        Matrix(hidden, hidden, layers),
        Matrix(width, hidden, layers),
        Matrix(hidden, width, layers),
    )
    if config.flag("new_decoder_architecture"):
        number = config.number("num_ln_in_parallel_attn", 2)
    else:
        number = 1 if config.flag("parallel_attn") else 2
    style = Style(norms=number, norm_vectors=2)
    return added(
        blocks.embeddings(config, norm_vectors=2),
        Weights(matrices, 0),
        blocks.norms(config, style, layers),
    )
