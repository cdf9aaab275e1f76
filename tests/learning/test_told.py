"""What was told of a part: one file, whole, and never made twice."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from videoproc.learning import told
from videoproc.learning.learner import Part, Told
from videoproc.learning.told import FILE, learn_once
from videoproc.storage import Anywhere, at

NOTHING = Part(train=[], val=[], test=[])
TOLD = Told(
    spec={"classes": ["run", "walk"]},
    scores={
        "probabilities": np.array([[0.25, 0.75], [1.0, 0.0]], np.float32),
        "target": np.array([1, 0], np.int64),
    },
    losses=np.array([0.2876820724517809, 1e-300]),
    settings={"epoch": 3, "loop": {"optim": {"learning_rate": 0.1}}},
    history=[{"val/loss": 0.5}, {"val/loss": 0.25}],
    parameters=12,
    learn_s=1.5,
    answer_s=0.25,
)


def as_text(one: Told) -> str:
    """All of it, to the bit."""
    arrays = {name: (v.dtype.str, v.tolist()) for name, v in one.scores.items()}
    return json.dumps([vars(one) | {"scores": arrays, "losses": one.losses.tolist()}])


def test_it_is_read_back_to_the_bit(tmp_path: Path) -> None:
    told.write(TOLD, tmp_path / "part")
    found = told.read(tmp_path / "part")
    assert found is not None
    assert as_text(found) == as_text(TOLD)


def test_it_lies_in_an_object_store_too(bucket: str) -> None:
    folder = at(bucket) / "run" / "part"
    assert told.read(folder) is None
    told.write(TOLD, folder)
    found = told.read(folder)
    assert found is not None
    assert as_text(found) == as_text(TOLD)


@dataclass
class Counting:
    times: list[int] = field(default_factory=list)

    def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:  # noqa: ARG002
        self.times.append(seed)
        return TOLD


def test_a_part_is_learned_once(tmp_path: Path) -> None:
    learner = Counting()
    for _ in range(2):
        found = learn_once(learner, NOTHING, seed=7, folder=tmp_path)
        assert as_text(found) == as_text(TOLD)
    assert learner.times == [7]


def test_a_pickle_in_its_place_is_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / FILE, told=np.array([{"spec": {}}], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        told.read(tmp_path)
