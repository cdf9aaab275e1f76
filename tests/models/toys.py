"""Every model in a size that trains in no time, and clips to train it on."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from videoproc.models import build_model, model_config

FRAME_SHAPE = (4, 16, 16, 3)

_FRAME_CNN = {"channels": [4, 8], "features": 8, "dropout": 0.0}
_RECURRENT = _FRAME_CNN | {"hidden": 8}
_RESIDUAL = {"channels": [8, 16], "dropout": 0.0}

TINY: dict[str, dict[str, Any]] = {
    "cnn": _FRAME_CNN,
    "cnn_lstm": _RECURRENT,
    "cnn_gru": _RECURRENT,
    "cnn_rnn": _RECURRENT,
    "conv_lstm": {"channels": [4, 8], "hidden": 8, "dropout": 0.0},
    "temporal_attention": _FRAME_CNN | {"heads": 2},
    "two_stream": _FRAME_CNN | {"heads": 2},
    "tsn": _RESIDUAL,
    "tsm": _RESIDUAL,
    "r3d": _RESIDUAL,
    "r2plus1d": _RESIDUAL,
    "video_transformer": {
        "patch": 4,
        "width": 16,
        "heads": 2,
        "space_layers": 1,
        "time_layers": 1,
        "dropout": 0.0,
    },
}

ORDER_BLIND = ("cnn", "tsn")

VARIANTS: list[tuple[str, dict[str, Any]]] = [
    ("cnn", {"norm": "group", "inputs": "difference"}),
    ("cnn_lstm", {"bidirectional": True, "layers": 2, "norm": "weight"}),
    ("cnn_gru", {"pooling": "attention", "norm": "group", "inputs": "grey_and_difference"}),
    ("cnn_rnn", {"bidirectional": True, "pooling": "mean"}),
    ("conv_lstm", {"layers": 2, "norm": "group"}),
    ("temporal_attention", {"pooling": "class"}),
    ("temporal_attention", {"pooling": "mean", "norm": "group"}),
    ("two_stream", {"fusion": "late"}),
    ("two_stream", {"fusion": "cross_attention", "norm": "group"}),
    ("two_stream", {"burst_frames": 2}),
    ("tsn", {"norm": "none", "blocks": 2}),
    ("tsm", {"norm": "group", "shift": "past"}),
    ("r3d", {"norm": "group", "blocks": 2}),
    ("r2plus1d", {"norm": "none", "inputs": "grey_and_difference"}),
    ("video_transformer", {"pooling": "attention", "tubelet": 1}),
    ("tsm", {"inputs": "grey_and_flow"}),
    ("r3d", {"inputs": "flow"}),
    ("two_stream", {"motion": "flow", "burst_frames": 2}),
]
"""Settings that build another network than the defaults do."""

WITH_BATCH_NORM = [name for name in TINY if name != "video_transformer"]


def make(name: str, *, seed: int = 0, **settings: object) -> nn.Module:
    """The tiny network with three outputs."""
    torch.manual_seed(seed)
    config = model_config(name, TINY.get(name, {}) | settings)
    return build_model(name, config, num_outputs=3, frame_shape=FRAME_SHAPE)


def clips(*, num: int = 6, frames: int = 4, side: int = 16, seed: int = 0) -> torch.Tensor:
    """Noise, uint8 (num, frames, side, side, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (num, frames, side, side, 3), dtype=torch.uint8, generator=generator
    )


def fit(model: nn.Module, frames: torch.Tensor, target: torch.Tensor, *, steps: int) -> bool:
    """Train until every clip is told right with some confidence; false if that takes longer."""
    optimiser = torch.optim.Adam(model.train().parameters(), lr=0.01)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = F.cross_entropy(model(frames), target)
        if loss < 0.1:
            break
        loss.backward()
        optimiser.step()
    return model.eval()(frames).argmax(dim=1).equal(target)
