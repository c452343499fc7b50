# mypy: allow-subclassing-any
"""A Llama small enough to train on one core; its weights carry the names that transformers uses."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_DIM = 32
ROPE_THETA = 500_000.0
NORM_EPS = 1e-5


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Heads are HEAD_DIM wide; `max_tokens` is the longest context the model is served with."""

    layers: int
    width: int
    hidden: int
    max_tokens: int
    vocabulary: int = 2048

    @property
    def heads(self) -> int:
        """Attention heads; each has keys and values of its own."""
        return self.width // HEAD_DIM


DIMENSIONS = {
    "draft": Dimensions(layers=1, width=64, hidden=192, max_tokens=8192),
    "small": Dimensions(layers=2, width=96, hidden=256, max_tokens=2048),
    "medium": Dimensions(layers=3, width=128, hidden=384, max_tokens=4096),
    "large": Dimensions(layers=4, width=160, hidden=448, max_tokens=8192),
}


def rotary(positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine of shape [rows, 1, tokens, HEAD_DIM] for positions [rows, tokens]."""
    powers = torch.arange(0, HEAD_DIM, 2, device=positions.device) / HEAD_DIM
    angles = positions[..., None].float() / ROPE_THETA**powers
    angles = torch.cat((angles, angles), dim=-1)[:, None]
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    turned = torch.cat((-right, left), dim=-1)
    return (x * cos + turned * sin).to(x.dtype)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None:
        return functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    # Spelled out, since the fused kernel is several times slower than this on rows this short.
    scores = query @ key.transpose(-1, -2) * HEAD_DIM**-0.5
    return scores.masked_fill(~mask, -1e4).softmax(-1, dtype=query.dtype) @ value


class Attention(nn.Module):
    """Every token looks at those before it."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.heads = size.heads
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            setattr(self, name, nn.Linear(size.width, size.width, bias=False))

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """[rows, tokens, width] to the same; `turn` is rotary's, `mask` is ToyLlama's."""
        rows, tokens, width = x.shape
        split = (rows, tokens, self.heads, HEAD_DIM)
        query, key, value = (
            project(x).view(split).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        mixed = _attend(_rotate(query, *turn), _rotate(key, *turn), value, mask)
        out: Tensor = self.o_proj(mixed.transpose(1, 2).reshape(rows, tokens, width))
        return out


class FeedForward(nn.Module):
    """The gated layer that works on each token alone."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(size.width, size.hidden, bias=False)
        self.up_proj = nn.Linear(size.width, size.hidden, bias=False)
        self.down_proj = nn.Linear(size.hidden, size.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, tokens, width] to the same."""
        out: Tensor = self.down_proj(functional.silu(self.gate_proj(x)) * self.up_proj(x))
        return out


class Layer(nn.Module):
    """Attention, then feed-forward, each added to what came in."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(size.width, eps=NORM_EPS)
        self.self_attn = Attention(size)
        self.post_attention_layernorm = nn.RMSNorm(size.width, eps=NORM_EPS)
        self.mlp = FeedForward(size)

    def forward(self, x: Tensor, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """[rows, tokens, width] to the same; `turn` is rotary's, `mask` is ToyLlama's."""
        x = x + self.self_attn(self.input_layernorm(x), turn, mask)
        out: Tensor = x + self.mlp(self.post_attention_layernorm(x))
        return out


class ToyLlama(nn.Module):
    """Hidden states for token ids; the embedding is the output layer too."""

    def __init__(self, size: Dimensions) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(size.vocabulary, size.width)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.norm = nn.RMSNorm(size.width, eps=NORM_EPS)
        self.apply(_initialize)
        for layer in self.layers:
            layer.self_attn.o_proj.weight.data /= (2 * size.layers) ** 0.5
            layer.mlp.down_proj.weight.data /= (2 * size.layers) ** 0.5

    def forward(self, ids: Tensor, positions: Tensor, mask: Tensor | None) -> Tensor:
        """[rows, tokens, width] from ids and positions [rows, tokens].

        `mask` [rows, 1, tokens, tokens] says who sees whom; without it, plain causal attention.
        """
        turn = rotary(positions)
        x = self.embed_tokens(ids)
        for layer in self.layers:
            x = layer(x, turn, mask)
        out: Tensor = self.norm(x)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """[..., vocabulary] from hidden states [..., width]."""
        return functional.linear(hidden, self.embed_tokens.weight)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.05)
