"""A batch of rows becomes one shard an output and one slim receipt; nothing is committed."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc.tables import FrameFormat, step, write_shard
from videoproc.types import UserError

STATUS = {"uri": "v.mp4", "stage": "", "error_class": "", "message": ""}
FAILED = {"uri": "v.mp4", "stage": "decode", "error_class": "Crash", "message": "SIGSEGV"}
MEASURED = {"features": ["colour"], "feature_ids": ["f"], "vectors": [[0.5, 1.0]]}


@pytest.fixture
def sink(dataset):
    return step.write_shards(
        outputs=[
            step.output(
                "clips",
                dataset.clips,
                step.select_clips("recipe", frame_format=FrameFormat(encoding="raw")),
            ),
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


def test_stored_clips_come_back_as_decoding_would_have_made_them(dataset, clip_rows, between_steps):
    rows = clip_rows(3)
    dataset.clips.append_rows(rows)
    wanted = [row["clip_id"] for row in rows]
    read = step.read_stored_clips()
    found = [row for place in step.stored_rows(dataset.clips, wanted) for row in read(place)]
    assert found == [between_steps(row) | STATUS | {"uri": ""} for row in rows]


JPEG = FrameFormat(encoding="jpeg")


def test_frames_become_jpeg_on_their_way_into_the_table(clip_rows, made):
    rows = clip_rows(3)
    stored = step.select_clips("recipe", frame_format=JPEG)(pa.Table.from_pylist(made(rows)))
    for row, written in zip(rows, stored.to_pylist(), strict=True):
        assert written.pop("encoding") == "jpeg"
        assert all(content.startswith(b"\xff\xd8") for content in written.pop("frames"))
        assert written.items() <= row.items()


def test_a_table_of_both_encodings_reads_as_what_was_stored(dataset, clip_rows, made):
    rows = made(clip_rows(4, side=16))
    for part, frame_format in ((rows[:2], FrameFormat(encoding="raw")), (rows[2:], JPEG)):
        stored = step.select_clips("recipe", frame_format=frame_format)(pa.Table.from_pylist(part))
        dataset.clips.append([write_shard(dataset.clips.folder, stored, key=dataset.clips.key)])
    read, jpeg = step.read_stored_clips(), step.as_stored(frame_format=JPEG)
    places = step.stored_rows(dataset.clips, [row["clip_id"] for row in rows])
    found = {row["clip_id"]: row["frames"] for place in places for row in read(place)}
    expected = rows[:2] + [back for row in rows[2:] for back in jpeg(row)]
    assert found == {row["clip_id"]: row["frames"] for row in expected}
    assert all(found[row["clip_id"]] != row["frames"] for row in rows[2:])


def test_a_failed_row_and_raw_frames_pass_as_they_are(clip_rows, made):
    (bad,) = made(clip_rows(1), FAILED, frames=b"", shape=[])
    (good,) = made(clip_rows(1))
    assert list(step.as_stored(frame_format=JPEG)(bad)) == [bad]
    assert list(step.as_stored(frame_format=FrameFormat(encoding="raw"))(good)) == [good]


def test_a_damaged_clip_of_the_table_is_named(dataset, clip_rows):
    row, whole = clip_rows(2)
    damaged = row | {"encoding": "jpeg", "frames": [b"\xff\xd8\xff", *row["frames"][1:]]}
    dataset.clips.append_rows([damaged, whole])
    bad, good = step.stored_rows(dataset.clips, [row["clip_id"], whole["clip_id"]])
    read = step.read_stored_clips()
    with pytest.raises(UserError, match=f"clip {row['clip_id']} .*frame 0 of 2"):
        next(read(bad))
    assert next(read(good))["clip_id"] == whole["clip_id"]
