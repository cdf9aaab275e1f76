"""A batch of rows becomes one shard an output and one slim receipt; nothing is committed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc.tables import FrameFormat, step

STATUS = {"uri": "v.mp4", "stage": "", "error_class": "", "message": ""}
FAILED = {"uri": "v.mp4", "stage": "decode", "error_class": "Crash", "message": "SIGSEGV"}
MEASURED = {"features": ["colour"], "feature_ids": ["f"], "vectors": [[0.5, 1.0]]}


@pytest.fixture
def sink(dataset):
    return step.write_shards(
        outputs=[
            step.output("clips", dataset.clips, step.select_clips("recipe", frame_format=FrameFormat(encoding="raw"))),
            step.output("features", dataset.features, step.select_features),
        ]
    )


@pytest.fixture
def made(between_steps):
    """Rows as the steps before the sink leave them."""

    def make(rows, status=STATUS, **others):
        kept = [between_steps(row) for row in rows]
        for row in kept:
            del row["recipe_id"]
        return [row | {"clip_index": 0, **MEASURED, **status, **others} for row in kept]

    return make


def receipt_of(sink, rows):
    (receipt,) = sink(pa.Table.from_pylist(rows)).to_pylist()
    return receipt


def test_good_rows_become_a_shard_of_each_output(sink, dataset, clip_rows, made):
    rows = clip_rows(3)
    clips, features = receipt_of(sink, made(rows))["shards"]
    assert (clips["table"], features["table"]) == ("clips", "features")
    assert pq.read_table(dataset.clips.folder / clips["name"]).to_pylist() == rows
    assert features["keys"] == [f"{row['clip_id']}/f" for row in rows]


def test_a_sink_commits_nothing(sink, dataset, clip_rows, made):
    receipt_of(sink, made(clip_rows(3)))
    assert not dataset.clips.exists


def test_failed_rows_are_reported_and_not_written(sink, clip_rows, made):
    good, bad = made(clip_rows(1)), made(clip_rows(2)[1:], FAILED)
    receipt = receipt_of(sink, good + bad)
    assert receipt["num_rows"] == 1
    assert receipt["failures"] == [FAILED | {"video_id": bad[0]["video_id"]}]
    assert [shard["num_rows"] for shard in receipt["shards"]] == [1, 1]


def test_a_batch_of_failures_alone_writes_no_shard(sink, clip_rows, made):
    nothing = {"shape": [], "frame_indices": [], "pts_s": [], "features": [], "feature_ids": []}
    rows = made(clip_rows(2), FAILED, **nothing, vectors=[], frames=b"")
    receipt = receipt_of(sink, rows)
    assert (receipt["num_rows"], receipt["shards"], len(receipt["failures"])) == (0, [], 2)


def test_seconds_of_the_steps_add_up_over_the_batch(sink, clip_rows, made):
    receipt = receipt_of(sink, made(clip_rows(4), seconds_decode=0.25))
    seconds = {item["step"]: item["seconds"] for item in receipt["seconds"]}
    assert seconds["decode"] == 1.0


def test_a_sink_accounts_for_its_own_time(sink, clip_rows, made):
    receipt = receipt_of(sink, made(clip_rows(50, side=64)))
    seconds = {item["step"]: item["seconds"] for item in receipt["seconds"]}
    assert seconds["write"] > 0


def test_stored_clips_come_back_as_decoding_would_have_made_them(
    dataset, clip_rows, between_steps
):
    rows = clip_rows(3)
    dataset.clips.append_rows(rows)
    wanted = [row["clip_id"] for row in rows]
    read = step.read_stored_clips()
    found = [row for place in step.stored_rows(dataset.clips, wanted) for row in read(place)]
    assert found == [between_steps(row) | STATUS | {"uri": ""} for row in rows]
