"""The same steps give the same receipts in this process and on Ray."""

from __future__ import annotations

import itertools
from functools import partial
from operator import methodcaller

import pytest

from videoproc.runtime.dataflow import ModelStage, Named, run, share, timed
from videoproc.runtime.placement import Placement
from videoproc.runtime.session import cluster
from videoproc.types import UserError

ROWS = [{"n": n} for n in range(200)]


@pytest.fixture(params=["inline", "ray"])
def inline(request):
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return request.param == "inline"


# Made inside functions, so that they travel to Ray's workers by value: no worker has this module.
def split_step():
    """One row becomes as many rows as its number's last digit, none for 0."""

    def step(row):
        for k in range(row["n"] % 10):
            yield {"n": row["n"], "k": k}

    return step


def square_step():
    def step(row):
        yield row | {"square": row["n"] ** 2}

    return step


def sum_sink():
    def sink(batch):
        import pyarrow as pa

        columns = [
            "n",
            "k",
            *(name for name in ("square", "renamed") if name in batch.schema.names),
        ]
        rows = batch.select(columns).to_pylist()
        return pa.table({"rows": [str(sorted(map(str, rows)))], "count": [len(rows)]})

    return sink


def collected(**options):
    """Every row that the sink saw, in one order."""
    steps = [Named("split", split_step()), Named("square", square_step())]
    receipts = list(run(ROWS, steps=steps, sink=sum_sink(), **options))
    return sorted(row for receipt in receipts for row in eval(receipt["rows"]))


def test_every_row_goes_through_every_step_once(inline):
    expected = [{"n": n, "k": k, "square": n * n} for n in range(200) for k in range(n % 10)]
    assert collected(inline=inline) == sorted(map(str, expected))


def test_a_model_takes_what_the_steps_made_and_the_sink_what_the_model_made(inline):
    # The model of this test gives a column another name.
    make = partial(methodcaller, "rename_columns", {"square": "renamed"})
    rows = collected(inline=inline, model=ModelStage(make=make, batch_size=16))
    assert len(rows) == 900
    assert all(row["renamed"] == row["n"] ** 2 for row in map(eval, rows))


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    "model", [None, ModelStage(make=partial(methodcaller, "slice", 0), batch_size=4)]
)
def test_on_ray_few_rows_are_shared_out_and_frames_stay_with_their_worker(model):
    def slow(row):
        import os
        import time

        time.sleep(0.2)
        for k in range(3):
            yield row | {"k": k, "pid": os.getpid()}

    def sink(batch):
        import os

        import pyarrow as pa

        pids = sorted(set(batch["pid"].to_pylist()))
        return pa.table({"pid": [os.getpid()], "pids": [pids], "rows": [batch.num_rows]})

    steps = [Named("slow", slow)]
    receipts = list(run([{"n": n} for n in range(12)], steps=steps, sink=sink, model=model))
    assert sum(receipt["rows"] for receipt in receipts) == 36
    assert len({receipt["pid"] for receipt in receipts}) > 1
    assert all(receipt["pids"] == [receipt["pid"]] for receipt in receipts)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    "model", [None, ModelStage(make=partial(methodcaller, "slice", 0), batch_size=4)]
)
def test_on_ray_all_steps_and_the_sink_are_one_task_wherever_they_are_placed(model):
    def task(name):
        def step(row):
            import ray

            yield row | {name: ray.get_runtime_context().get_task_id()}

        return step

    def sink(batch):
        import pyarrow as pa
        import ray

        tasks = {
            row[name] for row in batch.to_pylist() for name in ("decode", "augment", "measure")
        }
        return pa.table({"one": [tasks == {ray.get_runtime_context().get_task_id()}]})

    steps = [Named(name, task(name)) for name in ("decode", "augment", "measure")]
    placement = Placement(labels={"nowhere": "!here"}, memory_bytes=50_000_000)
    receipts = list(run(ROWS[:20], steps=steps, sink=sink, model=model, placement=placement))
    assert len(receipts) > 1
    assert all(receipt["one"] for receipt in receipts)


@pytest.mark.usefixtures("ray_cluster")
def test_on_ray_a_node_takes_no_more_tasks_than_it_has_memory_for():
    import ray

    def span():
        def step(row):
            import time

            started = time.monotonic()
            time.sleep(0.2)
            yield row | {"started": started, "ended": time.monotonic()}

        return step

    def sink(batch):
        return batch.select(["started", "ended"])

    (node,) = ray.nodes()
    half = Placement(memory_bytes=int(node["Resources"]["memory"] * 0.6))
    spans = list(run(ROWS[:4], steps=[Named("span", span())], sink=sink, placement=half))
    spans.sort(key=lambda span: span["started"])
    assert len(spans) == 4
    assert all(a["ended"] <= b["started"] for a, b in itertools.pairwise(spans))


@pytest.mark.usefixtures("ray_cluster")
def test_on_ray_what_fits_no_node_is_said_before_anything_starts():
    placement = Placement(labels={"role": "decode"})
    with pytest.raises(UserError, match="needs a node with role=decode"):
        run(ROWS, steps=[Named("split", split_step())], sink=sum_sink(), placement=placement)


def test_what_is_shared_reaches_every_worker(inline):
    def add(shared):
        def step(row):
            yield row | {"k": shared()["more"]}

        return step

    shared = share({"more": 7}, inline=inline)
    receipts = list(run(ROWS, steps=[Named("add", add(shared))], sink=sum_sink(), inline=inline))
    rows = [eval(row) for receipt in receipts for row in eval(receipt["rows"])]
    assert [row["k"] for row in rows] == [7] * len(ROWS)


def test_a_bug_in_a_step_ends_the_run(inline):
    def broken():
        def step(row):
            yield {"k": 1 // (row["n"] - 77)} | row

        return step

    with pytest.raises(ZeroDivisionError):
        list(run(ROWS, steps=[Named("bug", broken())], sink=sum_sink(), inline=inline))


def test_no_rows_need_no_cluster():
    assert list(run([], steps=[], sink=sum_sink())) == []


def test_a_batch_is_passed_on_before_the_last_row_is_made():
    made = []

    def step(row):
        made.append(row)
        yield row | {"k": 0}

    next(run(ROWS, steps=[Named("count", step)], sink=sum_sink(), inline=True))
    assert len(made) < len(ROWS)


def test_time_is_accounted_to_the_step_that_took_it():
    def slow(row):
        import time

        for k in range(2):
            time.sleep(0.02)
            yield row | {"k": k}

    rows = list(timed(Named("slow", slow))({"n": 1}))
    assert all(0.02 <= row["seconds_slow"] < 0.2 for row in rows)


def test_time_that_the_reader_of_a_step_takes_is_not_accounted_to_it():
    import time

    rows = timed(Named("split", split_step()))({"n": 2})
    next(rows)
    time.sleep(0.1)
    assert next(rows)["seconds_split"] < 0.05


def test_a_connected_cluster_stays_connected(ray_cluster):  # noqa: ARG001
    import ray

    with cluster():
        pass
    assert ray.is_initialized()
