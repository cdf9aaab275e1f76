"""The card beside a stored classifier."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from videoproc.features import FEATURES
from videoproc.learning.vector_card import CARD, VectorCard, is_in, read_card
from videoproc.learning.vectors import Vectors
from videoproc.tables import Recipe
from videoproc.types import UserError


def card(**features: str) -> VectorCard:
    return VectorCard(
        classifier="forest",
        task="classification",
        spec={"classes": ["run", "walk"]},
        features=features or {name: FEATURES[name].feature_id for name in ("motion", "colour")},
        recipe=Recipe().to_json(),
    )


def test_it_comes_back_as_written_and_its_folder_is_known_by_it(tmp_path: Path) -> None:
    assert not is_in(tmp_path)
    (tmp_path / CARD).write_text(json.dumps(asdict(card())))
    assert is_in(tmp_path)
    assert read_card(tmp_path) == card()
    assert read_card(tmp_path).make_recipe() == Recipe()


def test_its_vectors_are_the_features_in_the_order_of_its_columns(tmp_path: Path) -> None:
    found = card().vectors(tmp_path, version=3)
    assert found == Vectors(data=tmp_path, version=3, features=("motion", "colour"))
    assert card().selected() == [FEATURES["motion"], FEATURES["colour"]]


@pytest.mark.parametrize("features", [{"motion": "of before"}, {"gone": "since"}])
def test_a_feature_that_has_changed_since_is_refused(
    features: dict[str, str], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is no longer what this classifier has learned from"):
        card(**features).vectors(tmp_path, version=0)
