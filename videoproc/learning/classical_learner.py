"""A classifier of feature vectors as a learner, and its files.

FOLDER/classifier.json     settings and how they were chosen   } `classical.to_bytes`
       classifier.skops    the estimator                       }
       vectors.json        what it was taught, and of which vectors; the last to be written
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from videoproc import storage
from videoproc.learning.classical import (
    CLASSIFIERS,
    Fitted,
    fit,
    from_bytes,
    predict_proba,
    to_bytes,
)
from videoproc.learning.learner import Part, Told
from videoproc.learning.samples import Sample
from videoproc.learning.vector_card import CARD, VectorCard, is_in, read_card
from videoproc.learning.vectors import Vectors
from videoproc.storage import Anywhere
from videoproc.tables import Recipe
from videoproc.tasks import Scores, Task, select_task
from videoproc.tasks.task import ClassesModule
from videoproc.types import UserError

FILES = ("classifier.json", "classifier.skops")


@dataclass(frozen=True, kw_only=True)
class ClassicalLearner:
    """Learns from the vectors of train and val, in all views, and answers for test.

    settings: of the classifier, instead of choosing them within the samples that it learns from.
    """

    classifier: str
    vectors: Vectors
    task: str = "classification"
    settings: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        check_classifier(self.classifier, self.settings)
        classes_of(self.task)

    def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:
        """As `Learner` has it: a classifier that lies in the folder is not learned again."""
        if not is_in(folder):
            save(folder, *self.teach([*part.train, *part.val], seed=seed))
        fitted, card = load(folder)
        started = time.monotonic()
        scores, losses = answer(fitted, card, part.test, vectors=self.vectors)
        return Told(
            spec=card.spec,
            scores=scores,
            losses=losses,
            settings=asdict(fitted.config),
            learn_s=card.learn_s,
            answer_s=time.monotonic() - started,
        )

    def teach(
        self, samples: Sequence[Sample], *, seed: int, recipe: Recipe | None = None
    ) -> tuple[Fitted, VectorCard]:
        """The classifier that these samples make; `recipe` is the one of their clips."""
        started = time.monotonic()
        rows = [sample.row for sample in samples]
        spec = select_task(self.task).targets.make_spec(rows)
        classes = classes_of(self.task)
        fitted = fit(
            self.vectors.matrix([row["clip_id"] for row in rows]),
            classes.target_b(rows, spec),
            np.array([row["group"] or f"video {row['video_id']}" for row in rows]),
            classifier=self.classifier,
            candidates=self._candidates,
            class_names=classes.names(spec),
            seed=seed,
        )
        card = VectorCard(
            classifier=self.classifier,
            task=self.task,
            spec=spec,
            features={feature.name: feature.feature_id for feature in self.vectors.selected},
            recipe=None if recipe is None else recipe.to_json(),
            learn_s=time.monotonic() - started,
        )
        return fitted, card

    @property
    def _candidates(self) -> Sequence[Any] | None:
        if self.settings is None:
            return None
        return [CLASSIFIERS[self.classifier].config(**self.settings)]


def check_classifier(name: str, settings: dict[str, Any] | None) -> None:
    """UserError for a classifier that does not exist, or does not have such settings."""
    if name not in CLASSIFIERS:
        raise UserError(f"classifier: no classifier {name!r}; there are {', '.join(CLASSIFIERS)}")
    known = CLASSIFIERS[name].config.__dataclass_fields__
    for setting in settings or ():
        if setting not in known:
            raise UserError(
                f"settings: classifier {name!r} has no {setting!r}; it has {', '.join(known)}"
            )
    try:
        CLASSIFIERS[name].config(**(settings or {}))
    except (TypeError, ValueError) as error:
        raise UserError(f"settings of {name}: {error}") from error


def classes_of(task: str) -> ClassesModule:
    """What makes class numbers of a task's rows; UserError where a task has no classes."""
    found: Task = select_task(task)
    if found.classes is None:
        raise UserError(f"task: {task!r} tells no class of a sample: train a network for it")
    return found.classes


def answer(
    fitted: Fitted, card: VectorCard, samples: Sequence[Sample], *, vectors: Vectors
) -> tuple[Scores, np.ndarray]:
    """Scores and losses of samples, in their order, as a network's have them."""
    task = select_task(card.task)
    rows = [sample.row for sample in samples]
    x = vectors.matrix([row["clip_id"] for row in rows])
    probabilities = predict_proba(fitted, x, num_classes=task.targets.num_outputs(card.spec))
    classes = classes_of(card.task)
    return classes.told(probabilities, classes.target_b(rows, card.spec))


def save(folder: Anywhere, fitted: Fitted, card: VectorCard) -> None:
    for name, content in to_bytes(fitted).items():
        storage.write_whole(folder / name, content)
    storage.write_whole(folder / CARD, json.dumps(asdict(card), indent=2).encode())


def load(folder: Anywhere) -> tuple[Fitted, VectorCard]:
    """What `save` has written."""
    fitted = from_bytes({name: (folder / name).read_bytes() for name in FILES})
    return fitted, read_card(folder)
