"""Checkpoints: weights and optimiser state as safetensors, everything else as JSON. No pickle.

    FOLDER/step-00000120/model.safetensors
                         optimiser.safetensors
                         card.json        what the model is: enough to build it and use it
                         position.json    where training stands
                         raw.safetensors  where weights are averaged: those that training goes on
                                          with; model.safetensors is their average
    FOLDER/step-...      at most two: the last, and the best if it is another one
    FOLDER/initial.safetensors   first weights, where they come from elsewhere

A checkpoint is there whole or not at all: written under a temporary name and renamed, or, in an
object store, with position.json as the last of its files; without that it counts for nothing.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as from_bytes
from safetensors.torch import load_file, save_file
from safetensors.torch import save as to_bytes
from torch import nn

from videoproc import storage
from videoproc.models import build_model, model_config
from videoproc.models.segments import Segments
from videoproc.storage import Anywhere
from videoproc.tables import Recipe
from videoproc.tasks import Spec
from videoproc.types import UserError

MODEL, OPTIMISER, CARD, POSITION = (
    "model.safetensors",
    "optimiser.safetensors",
    "card.json",
    "position.json",
)
RAW = "raw.safetensors"
INITIAL = "initial.safetensors"


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a trained model is: how to build it, what it was taught, which clips it takes."""

    task: str
    spec: Spec
    model: str
    model_settings: dict[str, Any]
    num_outputs: int
    frame_shape: tuple[int, ...]  # of the clips
    recipe: str  # Recipe.to_json()
    segments: dict[str, int] | None = None  # SegmentConfig, where frames are chosen

    def build(self) -> nn.Module:
        """The network with fresh weights, which takes clips of `taken_shape`."""
        return build_model(
            self.model,
            model_config(self.model, self.model_settings),
            num_outputs=self.num_outputs,
            frame_shape=self.taken_shape,
        )

    def answering(self, network: nn.Module) -> nn.Module:
        """A network of this card as it answers for whole clips; it shares the weights."""
        if self.segments is None:
            return network
        return Segments(network, segments=self.segments["count"], answers=self.segments["answers"])

    @property
    def taken_shape(self) -> tuple[int, ...]:
        """(T, H, W, C) of the frames that the network takes of a clip."""
        num_frames, *rest = self.frame_shape
        return (num_frames if self.segments is None else self.segments["count"], *rest)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the network. What came after the first keys were made is left out where it
        is not used, so that those keys stay what they were."""
        values = asdict(self)
        return {n: v for n, v in values.items() if n != "segments" or v is not None}

    def make_recipe(self) -> Recipe:
        return Recipe.from_json(self.recipe)


@dataclass(kw_only=True)
class Position:
    """Where training stands: `batch` global batches of `epoch` are done, `step` in all.

    The loss sum and count are those of the epoch so far, so that its mean survives a restart;
    `history` holds the metrics of each epoch, so that those survive that nobody took in time.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    best_step: int | None = None
    best_value: float | None = None
    best_loss: float | None = None
    epochs_since_best: int = 0
    finished: bool = False
    history: list[dict[str, float]] = field(default_factory=list)


def save(
    folder: Anywhere,
    *,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    card: Card,
    position: Position,
    average: nn.Module | None = None,
) -> None:
    """Write the checkpoint of `position.step` and drop those that are neither last nor best.

    average: the network of averaged weights, which is then what the checkpoint's model is.
    """
    final = folder / _name(position.step)
    if (final / POSITION).exists():  # the same step has the same weights: an epoch ended with it
        storage.write_whole(final / POSITION, _json(position).encode())
    elif isinstance(folder, Path):
        temporary = folder / f".{final.name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        _write(temporary, model, average, optimiser, card, position)
        temporary.rename(final)
    else:
        with tempfile.TemporaryDirectory() as scratch:
            _write(Path(scratch), model, average, optimiser, card, position)
            storage.upload_folder(Path(scratch), final, last=POSITION)
    for other in _steps(folder):
        if other not in (position.step, position.best_step):
            storage.delete_folder(folder / _name(other))


def _write(
    folder: Path,
    model: nn.Module,
    average: nn.Module | None,
    optimiser: torch.optim.Optimizer,
    card: Card,
    position: Position,
) -> None:
    save_file(_contiguous((model if average is None else average).state_dict()), folder / MODEL)
    if average is not None:
        save_file(_contiguous(model.state_dict()), folder / RAW)
    save_file(_optimiser_tensors(optimiser), folder / OPTIMISER)
    (folder / CARD).write_text(_json(card))
    (folder / POSITION).write_text(_json(position))


def _json(value: Card | Position) -> str:
    return json.dumps(asdict(value), indent=2)


def resume(
    folder: Anywhere,
    *,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    device: torch.device,
    average: nn.Module | None = None,
) -> Position:
    """Load the last checkpoint into model, optimiser and average; without one, the beginning."""
    steps = _steps(folder)
    if not steps:
        return Position()
    with storage.local_folder(folder / _name(steps[-1])) as last:
        if average is None:
            model.load_state_dict(_tensors(last / MODEL, device=device))
        else:
            model.load_state_dict(_tensors(last / RAW, device=device))
            average.load_state_dict(_tensors(last / MODEL, device=device))
        _load_optimiser(optimiser, _tensors(last / OPTIMISER, device=device))
        return read_position(last)


def save_initial(folder: Anywhere, weights: Mapping[str, torch.Tensor]) -> None:
    """Write the weights that a run begins with, where every worker finds them."""
    storage.write_whole(folder / INITIAL, to_bytes(_contiguous(weights)))


def load_initial(folder: Anywhere, model: nn.Module) -> None:
    """Give a model the first weights that `save_initial` has left, if it has."""
    file = folder / INITIAL
    if file.exists():
        model.load_state_dict(read_weights(file.read_bytes(), name=file))


def read_weights(content: bytes, *, name: object) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file; a UserError, by its name, where it is none."""
    with _as_user_error(name):
        return from_bytes(content)


def best(folder: Anywhere) -> Anywhere:
    """The checkpoint with the best monitored metric, the last where none was measured yet."""
    steps = _steps(folder)
    if not steps:
        raise UserError(f"{folder} holds no checkpoint: has the run got through an epoch?")
    position = read_position(folder / _name(steps[-1]))
    return folder / _name(steps[-1] if position.best_step is None else position.best_step)


def last_position(folder: Anywhere) -> Position:
    """Where training stands by the last checkpoint; without one, at the beginning."""
    steps = _steps(folder)
    return read_position(folder / _name(steps[-1])) if steps else Position()


def load(path: Anywhere, *, device: torch.device) -> tuple[nn.Module, Card]:
    """The model of a checkpoint, as it answers for clips, and its card."""
    card = read_card(path)
    network = card.build()
    with storage.local_folder(path) as folder:
        network.load_state_dict(_tensors(folder / MODEL, device=torch.device("cpu")))
    return card.answering(network).to(device).eval(), card


def check(folder: Path) -> None:
    """UserError where what should hold a checkpoint's weights does not; reads no weights."""
    with _as_user_error(folder / MODEL), safe_open(folder / MODEL, framework="pt"):
        pass


def _tensors(file: Path, *, device: torch.device) -> dict[str, torch.Tensor]:
    with _as_user_error(file):
        return load_file(file, device=str(device))


@contextmanager
def _as_user_error(file: object) -> Iterator[None]:
    try:
        yield
    except SafetensorError as error:
        raise UserError(
            f"{file} holds no safetensors ({error}), and no other form, such as a pickle, is read: "
            "put the file back as it was, or train anew"
        ) from error


def read_card(path: Anywhere) -> Card:
    """What the model of a checkpoint is, without its weights."""
    return Card(**json.loads((path / CARD).read_text()))


def read_position(path: Anywhere) -> Position:
    """Where training stood when a checkpoint was written."""
    return Position(**json.loads((path / POSITION).read_text()))


def _name(step: int) -> str:
    return f"step-{step:08d}"


def _steps(folder: Anywhere) -> list[int]:
    if isinstance(folder, Path):
        names = [path.name for path in folder.glob("step-*")]
    else:
        files = [file.path for file in storage.files_below(folder)]
        names = [path.parent.name for path in files if path.name == POSITION]
    return sorted(int(name.removeprefix("step-")) for name in names)


def _contiguous(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    state = optimiser.state_dict()["state"]
    return _contiguous(
        {
            f"{index}/{name}": value
            for index, values in state.items()
            for name, value in values.items()
        }
    )


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split("/")
        state.setdefault(int(index), {})[name] = tensor
    groups = optimiser.state_dict()["param_groups"]  # rates come from the schedule, not from here
    optimiser.load_state_dict({"state": state, "param_groups": groups})
    for parameter, values in optimiser.state.items():
        for name, value in values.items():
            if value.ndim and value.shape == parameter.shape:
                # In the memory format that it was made in: that of the parameter.
                values[name] = torch.empty_like(parameter).copy_(value)
