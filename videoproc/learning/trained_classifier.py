"""A trained classifier of vectors on its way to where there is no checkpoint: see `trained`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from videoproc.features import Feature
from videoproc.learning import classical_learner, vector_card
from videoproc.learning.classical import from_bytes, predict_proba
from videoproc.learning.trained import BYTES_PER_BATCH_BYTE, Answering
from videoproc.learning.vector_card import VectorCard
from videoproc.tables import Recipe
from videoproc.tasks import Spec, select_task
from videoproc.types import Row


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier:
    """Answers from vectors. files: by name, as `classical.to_bytes` gives them."""

    card: VectorCard
    files: Mapping[str, bytes]
    takes_frames: ClassVar[bool] = False
    takes_gpu: ClassVar[bool] = False

    @property
    def task(self) -> str:
        return self.card.task

    @property
    def spec(self) -> Spec:
        return self.card.spec

    @property
    def features(self) -> Sequence[Feature]:
        return self.card.selected()

    def make_recipe(self) -> Recipe:
        return self.card.make_recipe()

    def batch_bytes(self, batch_size: int) -> int:
        recipe = self.make_recipe()
        # Where clips differ in length, the decoding tasks' memory must do, as in `extract`.
        num_frames = recipe.sampling.frames_per_clip or 0
        clip_bytes = num_frames * recipe.size.height * recipe.size.width * 3
        return BYTES_PER_BATCH_BYTE * batch_size * clip_bytes

    def build(self) -> Answering:
        fitted, spec = from_bytes(self.files), self.card.spec
        classes = classical_learner.classes_of(self.card.task)
        num_classes = select_task(self.card.task).targets.num_outputs(spec)

        def answer(rows: Sequence[Row]) -> list[Row]:
            x = np.array([np.concatenate(row["vectors"]) for row in rows], np.float32)
            return classes.rows(predict_proba(fitted, x, num_classes=num_classes), spec)

        return answer


def read_classifier(folder: Path) -> TrainedClassifier:
    """What lies in a checkpoint's folder. Errors: UserError where its files are not what they
    should be, or a feature is no longer what it has learned from."""
    files = {name: (folder / name).read_bytes() for name in classical_learner.FILES}
    classifier = TrainedClassifier(card=vector_card.read_card(folder), files=files)
    classifier.build()
    classifier.card.selected()
    return classifier
