"""Attention against its formulas in NumPy."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from videoproc.models.attention import AttentionPooling, Encoder, MultiHeadAttention, positions

WIDTH, HEADS = 6, 2


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    product = x @ layer.weight.detach().double().numpy().T
    return product if layer.bias is None else product + layer.bias.detach().double().numpy()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def attention_in_numpy(layer: MultiHeadAttention, x: np.ndarray, context: np.ndarray) -> np.ndarray:
    query, key_value = linear(layer.query, x), linear(layer.key_value, context)
    key, value = key_value[..., :WIDTH], key_value[..., WIDTH:]
    d, heads = WIDTH // HEADS, []
    for head in range(HEADS):
        part = slice(head * d, (head + 1) * d)
        scores = query[..., part] @ key[..., part].swapaxes(1, 2) / np.sqrt(d)
        heads.append(softmax(scores, axis=2) @ value[..., part])
    return linear(layer.out, np.concatenate(heads, axis=2))


def test_self_attention_is_its_formula() -> None:
    torch.manual_seed(0)
    layer, x = MultiHeadAttention(WIDTH, heads=HEADS).double(), noise(2, 5, WIDTH)
    got = layer(torch.from_numpy(x), torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(got, attention_in_numpy(layer, x, x), atol=1e-12)


def test_cross_attention_asks_a_context_of_another_length() -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(WIDTH, heads=HEADS).double()
    x, context = noise(2, 5, WIDTH), noise(2, 3, WIDTH, seed=1)
    got = layer(torch.from_numpy(x), torch.from_numpy(context)).detach().numpy()
    np.testing.assert_allclose(got, attention_in_numpy(layer, x, context), atol=1e-12)


def test_attention_pooling_is_its_formula() -> None:
    torch.manual_seed(0)
    pool, states = AttentionPooling(WIDTH).double(), noise(2, 5, WIDTH)
    weights = softmax(linear(pool.score, np.tanh(linear(pool.hidden, states))), axis=1)
    got = pool(torch.from_numpy(states)).detach().numpy()
    np.testing.assert_allclose(got, (weights * states).sum(axis=1), atol=1e-12)


def test_attention_without_places_ignores_order() -> None:
    torch.manual_seed(0)
    encoder = Encoder(WIDTH, layers=2, heads=HEADS, dropout=0.0, pooling="attention").double()
    x = torch.from_numpy(noise(2, 5, WIDTH))
    torch.testing.assert_close(encoder(x.flip(1)), encoder(x))


def test_places_are_sines_and_cosines_of_falling_frequency() -> None:
    place, column = np.arange(7)[:, None], np.arange(3)[None]
    angle = place / 10_000 ** (2 * column / 6)
    expected = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    got = positions(7, 6, like=torch.zeros(1)).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_a_longer_clip_has_the_same_places_at_its_beginning() -> None:
    like = torch.zeros(1)
    assert positions(9, 5, like=like)[:4].equal(positions(4, 5, like=like))
