"""Applying a trained model to batches of clip rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import pyarrow as pa

from videoproc import schema
from videoproc.learning.trained import Trained
from videoproc.tasks import select_task
from videoproc.types import FETCHED, SECONDS, Row


class Predictor:
    """Clip rows in, prediction rows out; failed rows pass with their reason.

    Holds a model, so it is a class: one an actor. `run_id` names the run that the model is of, as
    `answering_id` has it.
    """

    def __init__(self, trained: Callable[[], Trained], *, run_id: str) -> None:
        given = trained()
        self._answer = given.build()
        self._columns = select_task(given.task).outputs.COLUMNS
        self._run_id = run_id

    def __call__(self, batch: pa.Table) -> pa.Table:
        started = time.perf_counter()
        rows = batch.to_pylist()
        good = [row for row in rows if not row["error_class"]]
        answers = iter(self._answer(good) if good else [])
        empty = dict.fromkeys(self._columns.names)
        seconds = (time.perf_counter() - started) / len(rows)
        made = [self._row(row) | (empty if row["error_class"] else next(answers)) for row in rows]
        kept = [n for n in batch.column_names if n.startswith(SECONDS) or n == FETCHED]
        for row, source in zip(made, rows, strict=True):
            row |= {name: source[name] for name in kept} | {SECONDS + "model": seconds}
        return pa.Table.from_pylist(made, schema=self._schema(kept))

    def _row(self, row: Row) -> Row:
        return {
            "prediction_id": prediction_id(self._run_id, row["clip_id"]),
            "run_id": self._run_id,
            **{name: row[name] for name in PASSED_ON},
        }

    def _schema(self, kept: list[str]) -> pa.Schema:
        return pa.schema(
            [
                *schema.PREDICTION_KEYS,
                *self._columns,
                *[(name, pa.string()) for name in ("uri", "stage", "error_class", "message")],
                *[
                    (name, pa.int64() if name == FETCHED else pa.float64())
                    for name in [*kept, SECONDS + "model"]
                ],
            ]
        )


PASSED_ON = (
    "clip_id",
    "video_id",
    "start_s",
    "end_s",
    "uri",
    "stage",
    "error_class",
    "message",
)


def answering_id(run_ids: Sequence[str]) -> str:
    """What predictions name as their run: it, or an id of several that answer together, whatever
    their order."""
    return run_ids[0] if len(run_ids) == 1 else schema.content_id("ensemble", sorted(run_ids))


def prediction_id(run_id: str, clip_id: str) -> str:
    """One model says one thing of a clip."""
    return schema.content_id(run_id, clip_id)
