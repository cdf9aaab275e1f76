"""What a model told of each sample, as a table: so that models can be compared clip by clip."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from videoproc.tasks import Scores, Spec
from videoproc.types import Row

ABOUT = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("uri", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("group", pa.string()),
        ("label", pa.string()),
        ("resolution", pa.string()),
    ]
)
"""The columns that every task's table begins with; the loss and the task's scores follow."""


@dataclass(frozen=True, kw_only=True)
class Scored:
    """Samples and what was told of them, in one order.

    about: a row each with the columns of ABOUT; scores: arrays whose first axis is the sample;
    losses: (N,).
    """

    task: str
    spec: Spec
    about: Sequence[Row]
    scores: Scores
    losses: np.ndarray

    def __post_init__(self) -> None:
        lengths = {len(self.about), len(self.losses), *map(len, self.scores.values())}
        if len(lengths) != 1:
            raise ValueError(f"samples, losses and scores have different lengths: {lengths}")
        if len({row["clip_id"] for row in self.about}) != len(self.about):
            raise ValueError("a clip is there twice")

    def take(self, indices: np.ndarray) -> Scored:
        """These samples, in this order."""
        return Scored(
            task=self.task,
            spec=self.spec,
            about=[self.about[index] for index in indices],
            scores=select(self.scores, indices),
            losses=self.losses[indices],
        )

    @property
    def sources(self) -> list[str]:
        """Where each sample is from: its group, or its video where no group is known."""
        return [row["group"] or f"video {row['uri']}" for row in self.about]


def select(scores: Scores, indices: np.ndarray) -> Scores:
    """The scores of these samples, which may be there several times."""
    return {name: values[indices] for name, values in scores.items()}


def to_table(scored: Scored) -> pa.Table:
    """One row a sample: ABOUT, loss, a column for each score (a list where it is an array).

    The schema's metadata hold the task and its spec, so that the table can be read by itself.
    """
    clash = {*ABOUT.names, "loss"} & set(scored.scores)
    assert not clash, f"scores have the names of other columns: {clash}"
    table = pa.Table.from_pylist(list(scored.about), schema=ABOUT)
    table = table.append_column("loss", pa.array(scored.losses))
    for name, values in scored.scores.items():
        table = table.append_column(name, _to_arrow(values))
    metadata = {
        "task": scored.task,
        "spec": json.dumps(scored.spec),
        "shapes": json.dumps({name: v.shape[1:] for name, v in scored.scores.items()}),
    }
    return table.replace_schema_metadata(metadata)


def from_table(table: pa.Table) -> Scored:
    """What `to_table` was given."""
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    return Scored(
        task=metadata["task"],
        spec=json.loads(metadata["spec"]),
        about=table.select(ABOUT.names).to_pylist(),
        losses=table["loss"].to_numpy(),
        scores={
            name: _to_numpy(table[name], shape)
            for name, shape in json.loads(metadata["shapes"]).items()
        },
    )


def _to_arrow(values: np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    flat = values.reshape(len(values), -1)
    offsets = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, pa.array(flat.ravel()))


def _to_numpy(column: pa.ChunkedArray, shape: Sequence[int]) -> np.ndarray:
    if not shape:
        return column.to_numpy()
    return column.combine_chunks().flatten().to_numpy().reshape(len(column), *shape)


def span_of(row: Row) -> tuple[str, float, float]:
    """What of which video a clip shows, whatever its recipe: (video id, start and end in s)."""
    return row["video_id"], row["start_s"], row["end_s"]
