"""Which clips several models were measured on alike, and their answers for these taken as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.learning.scored import span_of
from videoproc.tasks import Scores, Task
from videoproc.types import Row, UserError


def pair_clips(
    clips: Sequence[Row], others: Sequence[Row], *, of_clips: str, of_others: str
) -> np.ndarray:
    """Where among `others` each of `clips` stands, (N,).

    Clips are paired by video and span, so that they may be of other recipes.

    clips, others: rows with the columns of `scored.ABOUT`. of_clips, of_others: who was measured on
    them, in words. Errors: UserError where they cannot be paired, or have other labels.
    """
    names = f"{of_clips} and {of_others}"
    _check_same(clips, others, names=names)
    place = {span_of(row): index for index, row in enumerate(others)}
    found = np.array([place[span_of(row)] for row in clips], np.int64)
    for row, index in zip(clips, found, strict=True):
        if row["label"] != others[index]["label"]:
            raise UserError(
                f"{names} have other labels: {row['uri']!r} is {row['label']!r} to the first and "
                f"{others[index]['label']!r} to the second: cross-validate again what is older "
                "than the labels"
            )
    return found


def mean_answers(members: Sequence[Sequence[Scores]], task: Task) -> tuple[Scores, np.ndarray]:
    """Scores and losses of several members as one.

    A member has the same weight however many trainings stand for it, whose mean is taken first.
    members: what each training of each told of the same samples, in the same order.
    """
    assert task.ensemble is not None
    return task.ensemble.together([task.ensemble.together(told)[0] for told in members])


def _check_same(clips: Sequence[Row], others: Sequence[Row], *, names: str) -> None:
    uris, uris_of_others = ({span_of(row): row["uri"] for row in rows} for rows in (clips, others))
    only = [uris[span] for span in uris if span not in uris_of_others]
    only_others = [uris_of_others[span] for span in uris_of_others if span not in uris]
    if only or only_others:
        raise UserError(
            f"{names} do not have the same clips ({len(only)} of the first alone, "
            f"{len(only_others)} of the second), such as of {(only + only_others)[0]!r}: "
            "cross-validate all on the same spans of the same videos with the same folds.*"
        )
