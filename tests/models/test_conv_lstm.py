"""The ConvLSTM layer against its formula in NumPy."""

from __future__ import annotations

import numpy as np
import torch

from videoproc.models.conv_lstm import ConvLstmLayer


def convolve(x_bchw: np.ndarray, weight_kcij: np.ndarray) -> np.ndarray:
    """A 3x3 convolution, as the sum of its nine products, zeros around the maps."""
    height, width = x_bchw.shape[2:]
    padded = np.pad(x_bchw, ((0, 0), (0, 0), (1, 1), (1, 1)))
    return sum(
        np.einsum(
            "kc,bchw->bkhw", weight_kcij[:, :, i, j], padded[:, :, i : i + height, j : j + width]
        )
        for i in range(3)
        for j in range(3)
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_layer_is_its_formula() -> None:
    torch.manual_seed(0)
    layer = ConvLstmLayer(2, 3).double()
    x_btchw = np.random.default_rng(0).normal(size=(2, 4, 2, 5, 6))
    w, bias, u = (value.detach().numpy() for value in layer.parameters())
    hidden = cell = np.zeros((2, 3, 5, 6))
    expected = []
    for x in x_btchw.swapaxes(0, 1):
        gates = convolve(x, w) + bias[:, None, None] + convolve(hidden, u)
        i, f, g, o = np.split(gates, 4, axis=1)
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        hidden = sigmoid(o) * np.tanh(cell)
        expected.append(hidden)
    got = layer(torch.from_numpy(x_btchw)).detach().numpy()
    np.testing.assert_allclose(got, np.stack(expected, axis=1), atol=1e-12)
