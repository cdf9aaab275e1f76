"""Time in a clip: which frames can be compared, and the course of a quantity in few numbers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

AS_SHORT = 1.5  # containers round times, and cameras are not exact


@dataclass(frozen=True)
class Steps:
    """Pairs of frames to compare: their positions in the clip, and the time between them, above 0.

    All (S,); S may be 0.
    """

    first: np.ndarray
    second: np.ndarray
    elapsed_s: np.ndarray

    def __len__(self) -> int:
        return len(self.first)


def steps_of(pts_s: np.ndarray) -> Steps:
    """The pairs of neighbours in a clip between which motion can be measured.

    Where at least half of the pairs are about as close in time as the closest, the clip holds
    bursts, and the pairs across two bursts are left out. Else all pairs are taken. Pairs that show
    the same moment never are.

        bursts of 3      x x x . . . x x x . . . x x x      6 pairs, 1 frame apart
        even             x . . . x . . . . x . . . x . .    3 pairs, 4 or 5 frames apart
    """
    elapsed_s = np.abs(np.diff(np.asarray(pts_s, np.float64)))
    taken = elapsed_s > 0
    if taken.any():
        near = taken & (elapsed_s <= AS_SHORT * elapsed_s[taken].min())
        if 2 * near.sum() >= taken.sum():
            taken = near
    first = np.flatnonzero(taken)
    return Steps(first, first + 1, elapsed_s[taken])


def means_of_parts(course: np.ndarray, num_parts: int) -> np.ndarray:
    """The means of a course (S, ...) over equal parts of it: (num_parts, ...); S >= 1.

    A value across the edge of two parts counts in both by its share, so S may be less than the
    number of parts.
    """
    num_steps = len(course)
    total = np.concatenate([np.zeros_like(course[:1]), np.cumsum(course, axis=0)])
    edges = np.linspace(0, num_steps, num_parts + 1)
    whole = np.minimum(edges.astype(int), num_steps - 1)
    share = (edges - whole).reshape(-1, *[1] * (course.ndim - 1))
    at_edges = total[whole] + share * (total[whole + 1] - total[whole])
    return np.diff(at_edges, axis=0) * num_parts / num_steps


def mean_and_deviation(course: np.ndarray) -> np.ndarray:
    """Means, then standard deviations, over time of each of K quantities (S, K): (2K,).

    Of nothing (S = 0) they are 0.
    """
    if not len(course):
        return np.zeros(2 * course.shape[1])
    return np.concatenate([course.mean(axis=0), course.std(axis=0)])


def mean_and_deviation_columns(names: Iterable[str]) -> tuple[str, ...]:
    """The names of what `mean_and_deviation` gives."""
    names = list(names)
    return (*(f"{name}_mean" for name in names), *(f"{name}_deviation" for name in names))


def grid_columns(name: str, side: int) -> tuple[str, ...]:
    """The names of a grid's cells, row by row from the top left."""
    return tuple(f"{name}_row{row}_column{column}" for row in range(side) for column in range(side))
