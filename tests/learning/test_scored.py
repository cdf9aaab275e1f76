from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc.learning.scored import Scored, from_table, to_table
from videoproc.tasks import Scores


def scored(scores: Scores, *, clip_ids: list[str] | None = None) -> Scored:
    num = len(next(iter(scores.values())))
    about = [
        {
            "clip_id": f"clip {i}",
            "video_id": f"video {i // 2}",
            "uri": f"{i // 2}.mp4",
            "start_s": float(i % 2),
            "end_s": i % 2 + 1.0,
            "group": None if i else "camera 1",
            "label": "run",
            "resolution": "64x48",
        }
        for i in range(num)
    ]
    for row, clip_id in zip(about, clip_ids or [], strict=False):
        row["clip_id"] = clip_id
    return Scored(
        task="any", spec={"classes": ["run"]}, about=about, scores=scores, losses=np.arange(num) / 7
    )


@pytest.mark.parametrize("shape", [(), (3,), (2, 4)])
@pytest.mark.parametrize("dtype", [np.float32, np.int64])
@pytest.mark.parametrize("num", [1, 5])
def test_a_parquet_file_gives_back_scores_of_any_shape_to_the_bit(
    tmp_path, shape: tuple[int, ...], dtype: type, num: int
) -> None:
    values = (np.random.default_rng(0).random((num, *shape)) * 100).astype(dtype)
    before = scored({"values": values})
    pq.write_table(to_table(before), tmp_path / "scores.parquet")
    after = from_table(pq.read_table(tmp_path / "scores.parquet"))
    assert after.scores["values"].dtype == dtype
    np.testing.assert_array_equal(after.scores["values"], values)
    np.testing.assert_array_equal(after.losses, before.losses)
    assert (after.about, after.spec, after.task) == (before.about, before.spec, "any")


def test_other_tools_see_a_column_a_score_and_a_list_where_it_is_an_array() -> None:
    table = to_table(scored({"target": np.arange(4), "probabilities": np.ones((4, 3), np.float32)}))
    assert table.schema.field("target").type == pa.int64()
    assert table.schema.field("probabilities").type == pa.list_(pa.float32())
    assert table["clip_id"].to_pylist() == [f"clip {i}" for i in range(4)]


def test_a_clip_that_is_there_twice_is_a_bug() -> None:
    with pytest.raises(ValueError, match="a clip is there twice"):
        scored({"target": np.arange(3)}, clip_ids=["a", "b", "a"])


def test_samples_can_be_taken_in_another_order() -> None:
    taken = scored({"target": np.arange(4)}).take(np.array([2, 0]))
    assert taken.scores["target"].tolist() == [2, 0]
    assert [row["clip_id"] for row in taken.about] == ["clip 2", "clip 0"]


def test_a_source_is_the_group_or_the_video_where_none_is_known() -> None:
    assert scored({"target": np.arange(3)}).sources == ["camera 1", "video 0.mp4", "video 1.mp4"]
