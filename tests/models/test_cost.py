"""Counts beside counts by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.models.toys import FRAME_SHAPE, make
from videoproc.models import MODELS
from videoproc.models.attention import MultiHeadAttention
from videoproc.models.cost import Cost, cost, table

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"
SHAPE = (4, 6, 6, 3)


class Below(nn.Module):
    """A layer on the frames, shaped as it takes them."""

    def __init__(self, layer: nn.Module, *shape: int) -> None:
        super().__init__()
        self.layer, self._shape = layer, shape

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x = frames_bthwc.float().reshape(frames_bthwc.shape[0], *self._shape)
        if isinstance(self.layer, MultiHeadAttention):
            return self.layer(x, x)
        out = self.layer(x)
        return out[0] if isinstance(out, tuple) else out


# 4 x 6 x 6 x 3 = 432 values a clip.
@pytest.mark.parametrize(
    ("layer", "shape", "parameters", "multiply_adds"),
    [
        (nn.Linear(108, 5), (4, 108), 108 * 5 + 5, 4 * 108 * 5),
        (nn.Conv2d(12, 5, 3, padding=1), (12, 6, 6), 5 * 12 * 9 + 5, 36 * 5 * 12 * 9),
        (nn.Conv2d(12, 4, 3, groups=2), (12, 6, 6), 4 * 6 * 9 + 4, 16 * 4 * 6 * 9),
        (
            nn.Conv3d(3, 5, 3, stride=2, padding=1),
            (3, 4, 6, 6),
            5 * 3 * 27 + 5,
            2 * 3 * 3 * 5 * 3 * 27,
        ),
        (
            nn.RNN(108, 7, batch_first=True),
            (4, 108),
            7 * (108 + 7) + 2 * 7,
            4 * 7 * (108 + 7),
        ),
        (
            nn.LSTM(108, 7, batch_first=True),
            (4, 108),
            4 * (7 * (108 + 7) + 2 * 7),
            4 * 4 * 7 * (108 + 7),
        ),
        (
            nn.GRU(108, 7, batch_first=True, num_layers=2, bidirectional=True),
            (4, 108),
            2 * 3 * (7 * (108 + 7) + 14) + 2 * 3 * (7 * (14 + 7) + 14),
            4 * 2 * 3 * (7 * (108 + 7) + 7 * (14 + 7)),
        ),
        (
            MultiHeadAttention(36, heads=3),
            (12, 36),
            4 * (36 * 36 + 36),
            12 * 4 * 36 * 36 + 2 * 12 * 12 * 36,
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else "",
)
def test_counts_are_those_by_hand(
    layer: nn.Module, shape: tuple[int, ...], parameters: int, multiply_adds: int
) -> None:
    of = cost(Below(layer, *shape), SHAPE)
    assert (of.parameters, of.multiply_adds) == (parameters, multiply_adds)


def test_activations_are_what_the_backward_pass_needs() -> None:
    network = nn.Sequential(nn.Linear(108, 50), nn.ReLU(), nn.Linear(50, 7), nn.Sigmoid())
    of = cost(Below(network, 4, 108), SHAPE)
    # Inputs of both linear layers (the second is the ReLU's output) and the sigmoid's output.
    assert of.activation_bytes == 4 * 4 * (108 + 50 + 7)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_cost_that_grows_with_the_clip_and_leaves_it_alone(name: str) -> None:
    model = make(name).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    small, large = cost(model, FRAME_SHAPE), cost(model, (8, 16, 16, 3))
    assert small.parameters == large.parameters == sum(p.numel() for p in model.parameters())
    assert 0 < small.multiply_adds < large.multiply_adds
    assert 0 < small.activation_bytes < large.activation_bytes
    assert not model.training
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())


def test_batch_norm_costs_no_multiply_adds() -> None:
    with_norm, without = (cost(make("tsn", norm=norm), FRAME_SHAPE) for norm in ("batch", "none"))
    assert with_norm.multiply_adds == without.multiply_adds
    assert isinstance(with_norm, Cost)


def test_the_documents_figures_are_the_commands() -> None:
    _, _, *rows = table((16, 112, 112, 3), num_outputs=2).splitlines()
    documented = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(MODELS)
    for row in rows:
        assert sum(line.startswith(row) for line in documented) == 1, row
