"""An order of samples in which every class stands equally often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.types import UserError


def balanced_order(labels: Sequence[str | None], *, seed: int, epoch: int) -> np.ndarray:
    """Indices into `labels`, ceil(N / K) of each of the K classes of N samples, in an order that
    seed and epoch decide.

    Each class is gone through in rounds, each in another order, and an epoch goes on where the one
    before ended: over the epochs every clip of a class comes equally often. Errors: UserError for a
    sample without a label.
    """
    if None in labels:
        raise UserError(
            f"loop.balanced_sampling: {sum(label is None for label in labels)} of {len(labels)} "
            "clips have no label: label them, or turn it off"
        )
    names = np.array(labels)
    classes = sorted(set(labels))  # type: ignore[type-var]  # none is None
    wanted = -(-len(labels) // len(classes))
    drawn = [
        _draw(np.flatnonzero(names == name), wanted, seed=[seed, number], epoch=epoch)
        for number, name in enumerate(classes)
    ]
    return np.random.default_rng([seed, epoch]).permutation(np.concatenate(drawn))


def _draw(members: np.ndarray, wanted: int, *, seed: Sequence[int], epoch: int) -> np.ndarray:
    first, skipped = divmod(epoch * wanted, len(members))
    rounds = range(first, first - (-(skipped + wanted) // len(members)))
    orders = [np.random.default_rng([*seed, number]).permutation(members) for number in rounds]
    return np.concatenate(orders)[skipped : skipped + wanted]
