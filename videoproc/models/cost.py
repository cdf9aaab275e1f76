"""What a network costs for one clip, counted without computing it (on torch's `meta` device).

python -m videoproc.models.cost --frames 16 --side 112    # every model at its defaults
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from videoproc.models import MODELS, build_model, model_config

_CLIPS = 2  # batch statistics need more than one value a channel


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of one clip.

    parameters: numbers that training may change. multiply_adds: of a forward pass, in matrix
    products, convolutions, recurrent layers and attention; norms, pooling and activations, which
    take few, are not counted. activation_bytes: what a training step in single precision keeps from
    its forward pass for its backward pass, parameters left out; prediction needs less.
    """

    parameters: int
    multiply_adds: int
    activation_bytes: int


def cost(model: nn.Module, frame_shape: tuple[int, ...]) -> Cost:
    """The cost of `model`, which stays as it is, for uint8 clips of `frame_shape`, (T, H, W, C)."""
    model = copy.deepcopy(model).to("meta").train()
    frames = torch.zeros((_CLIPS, *frame_shape), dtype=torch.uint8, device="meta")
    of_parameters = {_storage(parameter) for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}  # holding them keeps a storage's address its own

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if _storage(tensor) not in of_parameters:
            kept[_storage(tensor)] = tensor
        return tensor

    with (
        FlopCounterMode(display=False) as counter,
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
    ):
        model(frames)
    return Cost(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        multiply_adds=counter.get_total_flops() // (2 * _CLIPS),
        activation_bytes=sum(t.untyped_storage().nbytes() for t in kept.values()) // _CLIPS,
    )


def table(frame_shape: tuple[int, ...], *, num_outputs: int) -> str:
    """A Markdown table with the cost of every model at its defaults."""
    lines = [
        "| Model | Parameters | Multiply-adds | Activations |",
        "|---|---:|---:|---:|",
    ]
    for name in MODELS:
        model = build_model(
            name, model_config(name, {}), num_outputs=num_outputs, frame_shape=frame_shape
        )
        of = cost(model, frame_shape)
        lines.append(
            f"| `{name}` | {of.parameters:,} | {of.multiply_adds / 1e9:.2f} G "
            f"| {of.activation_bytes / 2**20:.0f} MiB |"
        )
    return "\n".join(lines)


def _storage(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage()._cdata


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="What every model costs for one clip.")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--side", type=int, default=112, help="width and height in pixels")
    parser.add_argument("--outputs", type=int, default=2, help="classes")
    args = parser.parse_args()
    print(table((args.frames, args.side, args.side, 3), num_outputs=args.outputs))
