"""One file an architecture: its Config and its network. To add one: a file and a line in MODELS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import nn

from videoproc.models import (
    cnn,
    cnn_gru,
    cnn_lstm,
    cnn_rnn,
    conv_lstm,
    r2plus1d,
    r3d,
    temporal_attention,
    tsm,
    tsn,
    two_stream,
    video_transformer,
)
from videoproc.types import UserError


class ModelModule(Protocol):
    """What a file of this folder holds."""

    Config: type[Any]

    def build(
        self, config: Any, *, num_outputs: int, frame_shape: tuple[int, ...]
    ) -> nn.Module: ...


MODELS: dict[str, ModelModule] = {
    "cnn": cnn,
    "cnn_lstm": cnn_lstm,
    "cnn_gru": cnn_gru,
    "cnn_rnn": cnn_rnn,
    "conv_lstm": conv_lstm,
    "temporal_attention": temporal_attention,
    "two_stream": two_stream,
    "tsn": tsn,
    "tsm": tsm,
    "r3d": r3d,
    "r2plus1d": r2plus1d,
    "video_transformer": video_transformer,
}


def model_config(name: str, settings: Mapping[str, Any]) -> Any:
    """The model's Config with these settings; a name that does not exist is the user's to mend."""
    if name not in MODELS:
        raise UserError(f"model: no model {name!r}; there are {', '.join(MODELS)}")
    try:
        return MODELS[name].Config(**settings)
    except (TypeError, ValueError) as error:
        known = ", ".join(MODELS[name].Config.__dataclass_fields__)
        raise UserError(f"model_settings of {name}: {error}; there are {known}") from error


def build_model(
    name: str, config: Any, *, num_outputs: int, frame_shape: tuple[int, ...]
) -> nn.Module:
    """A network with fresh weights. num_outputs: what the task needs; frame_shape: (T, H, W, C)."""
    return MODELS[name].build(config, num_outputs=num_outputs, frame_shape=frame_shape)
