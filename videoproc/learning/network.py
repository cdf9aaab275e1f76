"""A network as a learner: trained in this process, its settings chosen on the part's val side."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any

from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.config import LoopConfig, SegmentConfig
from videoproc.learning.evaluate import score
from videoproc.learning.initial import FirstWeights
from videoproc.learning.learner import Part, Told
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.models import model_config
from videoproc.storage import Anywhere
from videoproc.tasks import select_task
from videoproc.tasks.task import MetricsModule
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Settings that differ from those given.

    Args:
        model_settings: of the architecture, such as {dropout: 0.5}.
        loop: of the training, such as {epochs: 20, optim: {learning_rate: 0.01}}.
    """

    model_settings: dict[str, Any] = field(default_factory=dict)
    loop: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("model_settings", "loop"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise ValueError(
                    f"candidates: {name} is {given!r}: use a mapping of settings to values"
                )


@dataclass(frozen=True, kw_only=True)
class NetworkLearner:
    """Trains a network and answers with its best epoch.

    model_settings: all that differ from the architecture's defaults. loop: its seed gives way to
    that of `learn`. frame_shape: (T, H, W, C). recipe: `Recipe.to_json()`. candidates: each is
    trained, and the one that is best on the val side answers; without any the settings are as
    given. first: what each training begins with; by default weights are random.
    """

    task: str
    model: str
    model_settings: Mapping[str, Any]
    loop: LoopConfig
    frame_shape: tuple[int, ...]
    recipe: str
    candidates: tuple[Candidate, ...] = ()
    first: FirstWeights | None = None

    def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:
        started = time.perf_counter()
        if not self.candidates:
            fitted = [self._fit(Candidate(), part, seed=seed, folder=folder)]
        else:
            fitted = [
                self._fit(candidate, part, seed=seed, folder=folder / f"candidate-{number}")
                for number, candidate in enumerate(self.candidates)
            ]
        number = 0
        if len(fitted) > 1:
            number = best_of([one.position for one in fitted], maximise=self._metrics.MAXIMISE)
        learned = time.perf_counter()
        told = self._answer(fitted[number], part)
        choice: dict[str, Any] = {}
        if self.candidates:
            choice = asdict(self.candidates[number]) | {
                "candidate": number,
                "candidates_val": [one.position.best_value for one in fitted],
            }
        # Of what was cut off and gone on with, the epochs know what they took before.
        steps_s = sum(m["train/seconds"] for one in fitted for m in one.position.history)
        return replace(
            told,
            settings=told.settings | choice,
            learn_s=max(learned - started, steps_s),
            answer_s=time.perf_counter() - learned,
        )

    def card(self, train: Sequence[Sample], candidate: Candidate) -> Card:
        """What a network with these settings will be that learns from these samples."""
        return make_card(
            train,
            task=self.task,
            model=self.model,
            model_settings={**self.model_settings, **candidate.model_settings},
            frame_shape=self.frame_shape,
            recipe=self.recipe,
            segments=self._loop(candidate).segments,
        )

    def _loop(self, candidate: Candidate) -> LoopConfig:
        return changed(self.loop, candidate.loop, where="candidates.loop")

    def _fit(self, candidate: Candidate, part: Part, *, seed: int, folder: Anywhere) -> _Fitted:
        """Train, or go on from the last checkpoint in the folder."""
        loop = replace(self._loop(candidate), seed=seed)
        card = self.card(part.train, candidate)
        if self.first is not None:
            checkpoint.save_initial(folder, self.first.of(card, seed=seed)[0])
        trainer = Trainer(
            config=loop,
            task=select_task(self.task),
            card=card,
            train=part.train,
            val=part.val,
            folder=folder,
            report=_silent,
            world=World.current(),
        )
        return _Fitted(position=trainer.fit(), folder=folder, batch_size=loop.batch_size)

    def _answer(self, fitted: _Fitted, part: Part) -> Told:
        world = World.current()
        model, card = checkpoint.load(checkpoint.best(fitted.folder), device=world.device)
        scores, losses = score(
            model,
            part.test,
            task=select_task(self.task),
            spec=card.spec,
            batch_size=fitted.batch_size,
            world=world,
        )
        position = fitted.position
        chosen = {
            f"val/{self._metrics.MONITOR}": position.best_value,
            "val/loss": position.best_loss,
        }
        return Told(
            spec=card.spec,
            scores=scores,
            losses=losses,
            settings={"epoch": position.epoch - 1 - position.epochs_since_best}
            | (chosen if part.val else {}),
            history=position.history,
            parameters=sum(p.numel() for p in model.parameters()),
        )

    @property
    def _metrics(self) -> MetricsModule:
        return select_task(self.task).metrics


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    position: Position
    folder: Anywhere
    batch_size: int


def make_card(
    train: Sequence[Sample],
    *,
    task: str,
    model: str,
    model_settings: Mapping[str, Any],
    frame_shape: tuple[int, ...],
    recipe: str,
    segments: SegmentConfig,
) -> Card:
    """What a model will be that learns from these samples; a UserError where it cannot."""
    targets = select_task(task).targets
    spec = targets.make_spec([sample.row for sample in train])
    return Card(
        task=task,
        spec=spec,
        model=model,
        model_settings=asdict(model_config(model, model_settings)),
        num_outputs=targets.num_outputs(spec),
        frame_shape=frame_shape,
        recipe=recipe,
        segments=asdict(segments) if segments.count else None,
    )


def best_of(positions: Sequence[Position], *, maximise: bool) -> int:
    """Of several trainings the one with the best epoch; of equals the one of lower loss, then the
    first."""

    def rank(number: int) -> tuple[float, float, int]:
        value, loss = positions[number].best_value, positions[number].best_loss
        assert value is not None
        assert loss is not None
        if math.isnan(loss):  # a training that has come apart
            return math.inf, math.inf, number
        return -value if maximise else value, loss, number

    return min(range(len(positions)), key=rank)


def changed(config: Any, values: Any, *, where: str) -> Any:
    """A dataclass, itself of such, with the values of a mapping, itself of such; UserError where
    it has no such field."""
    known = [one.name for one in fields(config)]
    if not isinstance(values, Mapping):
        raise UserError(f"{where} is {values!r}: use a mapping of {', '.join(known)}")
    if unknown := sorted(set(values) - set(known)):
        raise UserError(f"{where} has {unknown[0]!r}: there are {', '.join(known)}")
    given = {
        name: changed(now, value, where=f"{where}.{name}")
        if is_dataclass(now := getattr(config, name))
        else value
        for name, value in values.items()
    }
    try:
        return replace(config, **given)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def _silent(_metrics: dict[str, float], _epoch: int) -> None:
    """Metrics stand in the checkpoint, and come back with the answers."""
