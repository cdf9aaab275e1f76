from __future__ import annotations

import numpy as np
import pytest

from videoproc.tasks.classification import targets
from videoproc.types import Row, UserError


def row(label: str | None, *, fill: int = 0) -> Row:
    frames = np.full((2, 3, 5, 3), fill, np.uint8)
    return {
        "label": label,
        "frames": frames.tobytes(),
        "shape": list(frames.shape),
        "dtype": "uint8",
    }


def test_classes_are_each_label_once_in_alphabetical_order() -> None:
    spec = targets.make_spec([row("walk"), row("jump"), row("walk"), row("run")])
    assert spec == {"classes": ["jump", "run", "walk"]}


def test_one_class_only_cannot_be_learned_and_the_class_is_named() -> None:
    with pytest.raises(UserError, match=r"two classes or more .*\['walk'\]"):
        targets.make_spec([row("walk"), row("walk")])


def test_a_row_without_a_label_is_not_usable() -> None:
    assert [targets.is_usable(row(label)) for label in ("walk", None)] == [True, False]


def test_a_batch_holds_each_rows_frames_and_the_index_of_its_class() -> None:
    batch = targets.make_batch(
        [row("walk", fill=7), row("jump", fill=9)], {"classes": ["jump", "run", "walk"]}
    )
    assert batch["frames"].shape == (2, 2, 3, 5, 3)
    assert [int(frames.max()) for frames in batch["frames"]] == [7, 9]
    assert batch["target"].tolist() == [2, 0]


def test_a_label_unseen_in_training_has_target_minus_one() -> None:
    batch = targets.make_batch([row("swim"), row(None)], {"classes": ["jump", "run"]})
    assert batch["target"].tolist() == [-1, -1]
