"""A trained model on its way to where there is no checkpoint: a network, a classifier, or several
of them that answer together.

It travels as bytes and plain values, without pickles; `build` makes it where it is to answer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from safetensors.torch import load

from videoproc.features import Feature
from videoproc.learning import checkpoint, vector_card
from videoproc.learning.checkpoint import Card
from videoproc.tables import Recipe
from videoproc.tasks import Spec, select_task
from videoproc.types import Row, UserError

CPU_BYTES_AT_ONCE = 1 << 20
"""Frames that a network on CPU takes at once: what it makes of them stays small, and a core is busy
with one clip as with many."""

# On CPU, for what a network of ours makes of clips: 60 MB of one of 16x112x112.
BYTES_PER_BYTE_AT_ONCE = 100
BYTES_PER_BATCH_BYTE = 4  # the frames themselves, in Arrow and out of it

Answering = Callable[[Sequence[Row]], list[Row]]
"""From clip rows, none of which has failed, to rows of the task's `outputs.COLUMNS`."""


class Trained(Protocol):
    """What is to be applied, of whatever kind it is."""

    @property
    def task(self) -> str: ...

    @property
    def spec(self) -> Spec: ...

    @property
    def features(self) -> Sequence[Feature]:
        """Those whose vectors clip rows must come with, in this order; none for a network."""

    @property
    def takes_frames(self) -> bool:
        """Whether it answers from frames, which must be as the clips table gives them."""

    @property
    def takes_gpu(self) -> bool: ...

    def make_recipe(self) -> Recipe:
        """Of the clips that it answers for."""

    def batch_bytes(self, batch_size: int) -> int:
        """Memory that a batch takes on CPU, beside the model's."""

    def build(self) -> Answering:
        """The model, ready to answer."""


@dataclass(frozen=True, kw_only=True)
class TrainedNetwork:
    """Answers from frames. weights: as safetensors."""

    card: Card
    weights: bytes
    features: ClassVar[Sequence[Feature]] = ()
    takes_frames: ClassVar[bool] = True
    takes_gpu: ClassVar[bool] = True

    @property
    def task(self) -> str:
        return self.card.task

    @property
    def spec(self) -> Spec:
        return self.card.spec

    def make_recipe(self) -> Recipe:
        return self.card.make_recipe()

    def batch_bytes(self, batch_size: int) -> int:
        at_once = min(clips_at_once(self.card), batch_size)
        return math.prod(self.card.frame_shape) * (
            BYTES_PER_BYTE_AT_ONCE * at_once + BYTES_PER_BATCH_BYTE * batch_size
        )

    def build(self) -> Answering:
        """On a GPU, where there is one."""
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        network = self.card.build()
        network.load_state_dict(load(self.weights))
        model = self.card.answering(network).to(device).eval()
        task, spec = select_task(self.card.task), self.card.spec

        def told(rows: Sequence[Row]) -> list[Row]:
            unlabelled = [row | {"label": None, "group": None} for row in rows]
            arrays = task.targets.make_batch(unlabelled, spec)
            batch = {name: torch.from_numpy(a).to(device) for name, a in arrays.items()}
            return task.outputs.rows(task.loss.forward(model, batch).cpu(), spec)

        @torch.inference_mode()
        def answer(rows: Sequence[Row]) -> list[Row]:
            at_once = len(rows) if device.type == "cuda" else clips_at_once(self.card)
            starts = range(0, len(rows), at_once)
            return [row for start in starts for row in told(rows[start : start + at_once])]

        return answer


@dataclass(frozen=True, kw_only=True)
class TrainedEnsemble:
    """Answers as the task's `ensemble` takes its members' answers together, each with the same
    weight.

    members: by the id of their run. Errors: UserError where two do not fit together.
    """

    members: Mapping[str, Trained]

    def __post_init__(self) -> None:
        for a, b in combinations(self.members, 2):
            _check_alike(a, self.members[a], b, self.members[b])
        if select_task(self.task).ensemble is None:
            raise UserError(
                f"runs {', '.join(self.members)}: task {self.task!r} has no ensemble.py that takes "
                "answers together: apply one run at a time"
            )

    @property
    def task(self) -> str:
        return self._any.task

    @property
    def spec(self) -> Spec:
        return self._any.spec

    @property
    def features(self) -> Sequence[Feature]:
        """Those of all members, each once."""
        return list({f.name: f for one in self.members.values() for f in one.features}.values())

    @property
    def takes_frames(self) -> bool:
        return any(one.takes_frames for one in self.members.values())

    @property
    def takes_gpu(self) -> bool:
        return any(one.takes_gpu for one in self.members.values())

    def make_recipe(self) -> Recipe:
        return self._any.make_recipe()

    def batch_bytes(self, batch_size: int) -> int:
        return sum(one.batch_bytes(batch_size) for one in self.members.values())

    def build(self) -> Answering:
        ensemble, spec = select_task(self.task).ensemble, self.spec
        assert ensemble is not None
        place = {feature.name: index for index, feature in enumerate(self.features)}
        built = [
            (one.build(), [place[feature.name] for feature in one.features])
            for one in self.members.values()
        ]

        def answer(rows: Sequence[Row]) -> list[Row]:
            return ensemble.rows([one(_with_own(rows, places)) for one, places in built], spec)

        return answer

    @property
    def _any(self) -> Trained:
        """In what all have in common."""
        return next(iter(self.members.values()))


def _with_own(rows: Sequence[Row], places: Sequence[int]) -> Sequence[Row]:
    """Rows with the vectors of these places alone, in their order."""
    if not places:
        return rows
    return [row | {"vectors": [row["vectors"][index] for index in places]} for row in rows]


def _check_alike(a: str, one: Trained, b: str, other: Trained) -> None:
    names = f"runs {a} and {b}"
    if one.task != other.task:
        raise UserError(
            f"{names} have learned different tasks, {one.task} and {other.task}: give runs of one"
        )
    if one.spec != other.spec:
        raise UserError(
            f"{names} have learned other things, {one.spec} and {other.spec}: train both on the "
            "same labels"
        )
    recipe, recipe_of_other = one.make_recipe(), other.make_recipe()
    if recipe.recipe_id != recipe_of_other.recipe_id:
        differing = "; ".join(
            f"{getattr(recipe, part)} and {getattr(recipe_of_other, part)}"
            for part in ("sampling", "size", "frames")
            if getattr(recipe, part) != getattr(recipe_of_other, part)
        )
        raise UserError(
            f"{names} take other clips ({differing}): train both on clips of one recipe"
        )


def read_trained(folder: Path) -> Trained:
    """What lies in a checkpoint's folder. Errors: UserError where its files are not what they
    should be, or a feature is no longer what a classifier has learned from."""
    if vector_card.is_in(folder):
        # Here, not above: it brings scikit-learn, and workers with a network do without.
        from videoproc.learning.trained_classifier import read_classifier

        return read_classifier(folder)
    checkpoint.check(folder)
    return TrainedNetwork(
        card=checkpoint.read_card(folder), weights=(folder / checkpoint.MODEL).read_bytes()
    )


def clips_at_once(card: Card) -> int:
    """How many clips a network takes together on CPU, of any batch."""
    return max(1, CPU_BYTES_AT_ONCE // math.prod(card.frame_shape))
