"""Recurrent layers against their formulas in NumPy, and how their states are pooled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.models.toys import clips, make

HIDDEN = 8  # of the tiny networks
State = tuple[np.ndarray, np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def rnn_step(from_x: np.ndarray, from_h: np.ndarray, state: State) -> State:
    return np.tanh(from_x + from_h), state[1]


def lstm_step(from_x: np.ndarray, from_h: np.ndarray, state: State) -> State:
    i, f, g, o = np.split(from_x + from_h, 4, axis=1)
    cell = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(cell), cell


def gru_step(from_x: np.ndarray, from_h: np.ndarray, state: State) -> State:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = np.split(from_x, 3, axis=1), np.split(from_h, 3, axis=1)
    r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
    return (1 - z) * np.tanh(n_x + r * n_h) + z * state[0], state[1]


STEPS = {"cnn_rnn": rnn_step, "cnn_lstm": lstm_step, "cnn_gru": gru_step}

every_recurrent_model = pytest.mark.parametrize("name", STEPS)


def states_in_numpy(
    layer: nn.RNNBase, x_btf: np.ndarray, step: Callable[..., State], *, suffix: str = ""
) -> np.ndarray:
    """The states (B, T, H) of one direction of the first layer."""
    weights = {name: value.detach().numpy() for name, value in layer.named_parameters()}
    states, state = [], (np.zeros((len(x_btf), HIDDEN)),) * 2
    for x in x_btf.swapaxes(0, 1):
        from_x = x @ weights[f"weight_ih_l0{suffix}"].T + weights[f"bias_ih_l0{suffix}"]
        from_h = state[0] @ weights[f"weight_hh_l0{suffix}"].T + weights[f"bias_hh_l0{suffix}"]
        state = step(from_x, from_h, state)
        states.append(state[0])
    return np.stack(states, axis=1)


def features_states_and_logits(name: str, **settings: Any) -> tuple[nn.Module, np.ndarray, Any]:
    model = make(name, **settings).eval()
    return model, model.trunk(clips()).detach().numpy(), model(clips()).detach().numpy()


def linear(layer: nn.Linear, x: np.ndarray) -> np.ndarray:
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()


@every_recurrent_model
def test_the_output_is_a_linear_layer_on_the_last_state_of_the_formula(name: str) -> None:
    model, features, logits = features_states_and_logits(name)
    states = states_in_numpy(model.recurrent, features, STEPS[name])
    np.testing.assert_allclose(logits, linear(model.head[1], states[:, -1]), atol=1e-5)


@every_recurrent_model
def test_two_directions_each_give_the_state_that_has_read_every_frame(name: str) -> None:
    model, features, logits = features_states_and_logits(name, bidirectional=True)
    ahead = states_in_numpy(model.recurrent, features, STEPS[name])
    back = states_in_numpy(model.recurrent, features[:, ::-1], STEPS[name], suffix="_reverse")
    both = np.concatenate([ahead[:, -1], back[:, -1]], axis=1)
    np.testing.assert_allclose(logits, linear(model.head[1], both), atol=1e-5)


@every_recurrent_model
def test_mean_pooling_takes_every_state_alike(name: str) -> None:
    model, features, logits = features_states_and_logits(name, pooling="mean")
    states = states_in_numpy(model.recurrent, features, STEPS[name])
    np.testing.assert_allclose(logits, linear(model.head[1], states.mean(axis=1)), atol=1e-5)


@every_recurrent_model
def test_attention_pooling_weighs_the_states(name: str) -> None:
    model, features, logits = features_states_and_logits(name, pooling="attention")
    states = states_in_numpy(model.recurrent, features, STEPS[name])
    pooled = model.pool(torch.from_numpy(states).float()).detach().numpy()
    np.testing.assert_allclose(logits, linear(model.head[1], pooled), atol=1e-5)


def test_saved_weights_of_earlier_runs_keep_their_names() -> None:
    assert list(make("cnn_gru").state_dict()) == [
        "trunk.convolutions.0.weight",
        "trunk.convolutions.0.bias",
        "trunk.convolutions.3.weight",
        "trunk.convolutions.3.bias",
        "trunk.dense.0.weight",
        "trunk.dense.0.bias",
        "recurrent.weight_ih_l0",
        "recurrent.weight_hh_l0",
        "recurrent.bias_ih_l0",
        "recurrent.bias_hh_l0",
        "head.1.weight",
        "head.1.bias",
    ]
