"""What a task is: a folder of files with the same names. Nothing outside asks which task it has.

The files are plain modules; these protocols say what each must hold. Arrays of a batch are in
NumPy until the loader moves them to torch; `spec` is what a task learns from the training rows
(the class names, say) and lives in the checkpoint as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from torch import nn

from videoproc.types import Row, Video

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Spec = dict[str, Any]
Batch = dict[str, torch.Tensor]
Scores = dict[str, np.ndarray]
LossB = Callable[[torch.Tensor, Batch], torch.Tensor]
"""From a model's outputs and their batch to (B,), one loss a sample."""


class TargetsModule(Protocol):
    """targets.py: rows to batches."""

    def is_usable(self, row: Row, /) -> bool:
        """Whether a row can be learned from (has a label, say)."""

    def make_spec(self, rows: Sequence[Row], /) -> Spec:
        """What training rows tell; a UserError where they cannot be learned from."""

    def num_outputs(self, spec: Spec, /) -> int:
        """How many numbers the model gives a sample; 0 where the model decides."""

    def make_batch(self, rows: Sequence[Row], spec: Spec, /) -> dict[str, np.ndarray]:
        """Rows (clip columns and manifest columns) as arrays whose first axis is the sample."""


class LossModule(Protocol):
    """loss.py: the forward pass and what is minimised."""

    def forward(self, model: nn.Module, batch: Batch, /) -> torch.Tensor:
        """The model's outputs, first axis the sample."""

    def loss_b(self, outputs: torch.Tensor, batch: Batch, /) -> torch.Tensor:
        """(B,) one loss a sample: the loop sums and divides by the global count."""


class TrainingLossModule(Protocol):
    """training_loss.py: the loss with settings, which training alone minimises. A task may have
    none, and then its loss has no settings."""

    def make_loss(
        self, rows: Sequence[Row], spec: Spec, /, *, label_smoothing: float, class_weights: str
    ) -> LossB:
        """The loss, for the rows that are learned from; linear in the targets as `loss_b` is."""


class MetricsModule(Protocol):
    """metrics.py: numbers a sample, and what they come to."""

    MONITOR: str
    MAXIMISE: bool

    def scores(self, outputs: torch.Tensor, batch: Batch, /) -> dict[str, torch.Tensor]:
        """What metrics need of each sample; gathered over workers, every sample once."""

    def summarise(self, scores: Scores, spec: Spec, /) -> dict[str, float]:
        """Metrics by name, MONITOR among them."""


class PlotsModule(Protocol):
    """plots.py: pictures for people. A task may have none."""

    def plots(self, scores: Scores, spec: Spec, /) -> dict[str, Figure]:
        """Figures by file name."""

    def tables(self, scores: Scores, spec: Spec, /) -> dict[str, Any]:
        """The numbers behind them by file name, as JSON."""


class MeasuresModule(Protocol):
    """measures.py: what a finished evaluation has beside `summarise`, which every epoch and every
    resampling pays for. A task may have none."""

    def measures(self, scores: Scores, spec: Spec, /) -> dict[str, float]:
        """Metrics by name, none of them one of `summarise`; undefined ones are left out."""


class TemperatureModule(Protocol):
    """temperature.py: probabilities set right by one number, which samples decide that nothing was
    learned from. No answer changes by it. A task may have none."""

    def fit(self, scores: Scores, /) -> float | None:
        """The temperature; None where the samples are too few."""

    def scale(self, scores: Scores, temperature: float, /) -> Scores:
        """The scores at this temperature."""

    def measures(self, scaled: Scores, /) -> dict[str, float]:
        """Metrics of scaled scores by name, each ending in `_scaled`."""

    def plots(self, scores: Scores, scaled: Scores, temperature: float, /) -> dict[str, Figure]:
        """Figures that show both, in place of those of the same names in `plots`."""


class VideosModule(Protocol):
    """videos.py: the clips of one video taken together. A task may have none."""

    def of_videos(self, scores: Scores, video_b: np.ndarray, /) -> Scores:
        """The scores of videos 0, 1, ..., V - 1 from those of their clips: clip i is one of
        video video_b[i], and every video has a clip."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is true of a sample and what the model told of it, in words for people; confidence
    is 0 to 1."""

    true: str
    told: str
    confidence: float

    @property
    def is_right(self) -> bool:
        return self.told == self.true


@dataclass(frozen=True, kw_only=True)
class Mistake(Answer):
    """A wrong answer; `index` is its place in the scores."""

    index: int


class MistakesModule(Protocol):
    """mistakes.py: which samples a model gets wrong. A task may have none."""

    def answers(self, scores: Scores, spec: Spec, /) -> list[Answer]:
        """One answer a sample, in the order of the scores."""

    def worst(self, scores: Scores, spec: Spec, count: int, /) -> list[Mistake]:
        """At most `count` wrong answers, the most confident first."""


class OutputsModule(Protocol):
    """outputs.py: what `predict` writes, and what the exported model gives."""

    COLUMNS: pa.Schema

    def rows(self, outputs: torch.Tensor, spec: Spec, /) -> list[Row]:
        """One row a sample with COLUMNS."""

    def export(self, model: nn.Module, /) -> nn.Module:
        """The network as others use it: uint8 frames (B, T, H, W, 3) in, the answer out."""


class ClassesModule(Protocol):
    """classes.py: the task as a choice of one class a sample, for what is no network: classifiers
    of vectors, and baselines. A task may have none."""

    def target_b(self, rows: Sequence[Row], spec: Spec, /) -> np.ndarray:
        """(B,) int64 class numbers; -1 of a class that `spec` does not have."""

    def names(self, spec: Spec, /) -> Sequence[str]:
        """The classes in words for people, in the order of their numbers."""

    def told(self, probabilities: np.ndarray, target_b: np.ndarray, /) -> tuple[Scores, np.ndarray]:
        """Scores and losses (B,) of probabilities (B, K), as `metrics` and `loss` make them of a
        network's outputs."""

    def rows(self, probabilities: np.ndarray, spec: Spec, /) -> list[Row]:
        """Probabilities (B, K) as `outputs` makes rows of a network's outputs."""


class EnsembleModule(Protocol):
    """ensemble.py: several models' answers taken as one. A task may have none."""

    def together(self, told: Sequence[Scores], /) -> tuple[Scores, np.ndarray]:
        """Scores and losses (B,) of all of `told`, each with the same weight: what each model
        told of the same samples, in the same order."""

    def rows(self, told: Sequence[Sequence[Row]], spec: Spec, /) -> list[Row]:
        """The same of rows as `outputs` makes them: one row a sample for all of `told`."""


Baseline = Callable[[Sequence[Video], Sequence[Video], Spec, int], np.ndarray]
"""(videos to learn from, videos to answer for, spec, seed) to probabilities (N, K). Videos are
readable; one is there once for each of its samples."""


class BaselinesModule(Protocol):
    """baselines.py: what must be beaten, without a pixel. A task that has `classes` may have it."""

    BASELINES: Mapping[str, Baseline]


@dataclass(frozen=True)
class Task:
    """A task's files.

    whole_clip: targets say something of a whole clip and the loss is linear in them, as a
        cross-entropy is: so the training step may crop, mirror and mix its "frames".
    """

    targets: TargetsModule
    loss: LossModule
    metrics: MetricsModule
    outputs: OutputsModule
    plots: PlotsModule | None = None
    classes: ClassesModule | None = None
    baselines: BaselinesModule | None = None
    measures: MeasuresModule | None = None
    temperature: TemperatureModule | None = None
    videos: VideosModule | None = None
    mistakes: MistakesModule | None = None
    training_loss: TrainingLossModule | None = None
    ensemble: EnsembleModule | None = None
    whole_clip: bool = False
