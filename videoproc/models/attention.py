"""Attention, as the models use it: between sets of vectors, over time, and as a pooling."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn


class MultiHeadAttention(nn.Module):
    """softmax(Q K' / sqrt(d)) V in each of `heads` heads, d = width / heads (Vaswani et al. 2017).

    Queries (N, S, `width`) ask a context (N, S', `width`), which gives keys and values; the result
    is (N, S, `width`). Self-attention asks its own input, cross-attention another stream.
    """

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self._heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x_nsd: torch.Tensor, context_nsd: torch.Tensor) -> torch.Tensor:
        key, value = self.key_value(context_nsd).chunk(2, dim=2)
        mixed_nhsd = F.scaled_dot_product_attention(
            self._split(self.query(x_nsd)), self._split(key), self._split(value)
        )
        return self.out(mixed_nhsd.transpose(1, 2).flatten(2))

    def _split(self, x_nsd: torch.Tensor) -> torch.Tensor:
        return x_nsd.unflatten(2, (self._heads, -1)).transpose(1, 2)


class EncoderLayer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), on (N, S, `width`) (Xiong et al. 2020)."""

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = MultiHeadAttention(width, heads=heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(4 * width, width),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x_nsd: torch.Tensor) -> torch.Tensor:
        normed = self.attention_norm(x_nsd)
        x_nsd = x_nsd + self.dropout(self.attention(normed, normed))
        return x_nsd + self.dropout(self.mlp(x_nsd))


class Encoder(nn.Module):
    """`layers` of EncoderLayer and a pooling: vectors (N, S, `width`) to one, (N, `width`).

    pooling: `mean` over the vectors; `class`: one more vector stands first, is learned, and is the
    result (Devlin et al. 2019); `attention`: as in AttentionPooling.
    """

    def __init__(
        self, width: int, *, layers: int, heads: int, dropout: float, pooling: str
    ) -> None:
        super().__init__()
        self.class_vector = (
            nn.Parameter(0.02 * torch.randn(1, 1, width)) if pooling == "class" else None
        )
        self.layers = nn.Sequential(
            *(EncoderLayer(width, heads=heads, dropout=dropout) for _ in range(layers))
        )
        self.norm = nn.LayerNorm(width)
        self.pool = AttentionPooling(width) if pooling == "attention" else None

    def forward(self, x_nsd: torch.Tensor) -> torch.Tensor:
        if self.class_vector is not None:
            x_nsd = torch.cat([self.class_vector.expand(x_nsd.shape[0], -1, -1), x_nsd], dim=1)
        x_nsd = self.norm(self.layers(x_nsd))
        if self.class_vector is not None:
            return x_nsd[:, 0]
        return x_nsd.mean(dim=1) if self.pool is None else self.pool(x_nsd)


ENCODER_POOLINGS = ("mean", "class", "attention")


class AttentionPooling(nn.Module):
    """(N, S, `width`) to (N, `width`): the sum of the vectors h, each weighted by the softmax over
    S of v' tanh(W h + b) (Bahdanau et al. 2015)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(self, x_nsd: torch.Tensor) -> torch.Tensor:
        weights_ns1 = self.score(self.hidden(x_nsd).tanh()).softmax(dim=1)
        return (weights_ns1 * x_nsd).sum(dim=1)


def positions(length: int, width: int, *, like: torch.Tensor) -> torch.Tensor:
    """(length, width), for any length: sin(p / 10000 ** (2i / width)) of place p in the first half
    of the columns i, cos in the second (Vaswani et al. 2017)."""
    place = torch.arange(length, device=like.device, dtype=torch.float32)
    step = torch.arange(0, width, 2, device=like.device, dtype=torch.float32)
    angle = place[:, None] * torch.exp(step * (-math.log(10_000) / width))
    return torch.cat([angle.sin(), angle.cos()], dim=1)[:, :width].to(like.dtype)
