"""What a classifier of vectors was taught, in a file beside it that needs no scikit-learn."""

from __future__ import annotations

import json
from dataclasses import dataclass

from videoproc.features import FEATURES, Feature
from videoproc.learning.vectors import Vectors
from videoproc.storage import Anywhere
from videoproc.tables import Recipe
from videoproc.tasks import Spec
from videoproc.types import UserError

CARD = "vectors.json"


@dataclass(frozen=True, kw_only=True)
class VectorCard:
    """What a classifier was taught, and of which vectors.

    features: name and id of each, in the order of columns. recipe: of the clips that they are of
    (Recipe.to_json()), where that is known. learn_s: seconds that it took.
    """

    classifier: str
    task: str
    spec: Spec
    features: dict[str, str]
    recipe: str | None = None
    learn_s: float = 0.0

    def make_recipe(self) -> Recipe:
        assert self.recipe is not None
        return Recipe.from_json(self.recipe)

    def vectors(self, data: Anywhere, *, version: int) -> Vectors:
        """Those of a dataset. Errors: as `selected`."""
        return Vectors(data=data, version=version, features=tuple(f.name for f in self.selected()))

    def selected(self) -> list[Feature]:
        """The features in the order of columns. Errors: UserError where one is no longer what it
        was."""
        for name, feature_id in self.features.items():
            if name not in FEATURES or FEATURES[name].feature_id != feature_id:
                raise UserError(
                    f"feature {name!r} is no longer what this classifier has learned from: train "
                    "it again with `pipelines.train_classical`"
                )
        return [FEATURES[name] for name in self.features]


def is_in(folder: Anywhere) -> bool:
    """Whether a folder holds what `save` writes, whole."""
    return bool((folder / CARD).is_file())


def read_card(folder: Anywhere) -> VectorCard:
    """What a stored classifier was taught, without the classifier."""
    return VectorCard(**json.loads((folder / CARD).read_text()))
