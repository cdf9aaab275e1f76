"""extract does what is missing, once, and accounts for what it could not do."""

from __future__ import annotations

import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines import extract as extract_job
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from videoproc.augment import Augmentation
from videoproc.features import FEATURES
from videoproc.media import Accept, Limits, Sampling, Size
from videoproc.tables import Dataset, FrameFormat, decode_frames

RAW, JPEG = FrameFormat(encoding="raw"), FrameFormat(encoding="jpeg")
SMALL = {"sampling": Sampling(num_frames=4), "size": Size(height=16, width=16)}


@pytest.fixture
def data(videos, tmp_path, make_manifest):
    """A dataset of the six good videos, not yet extracted."""
    make_manifest(videos, tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def flawed(videos, tmp_path, write_undecodable, make_manifest):
    """The same with two more that have a header and cannot be decoded."""
    for seed in (7, 8):
        write_undecodable(videos / "walk" / f"bad{seed}.mp4", seed)
    make_manifest(videos, tmp_path / "flawed")
    return tmp_path / "flawed"


def run_extract(data, **options):
    extract(ExtractConfig(**{"data": str(data), "inline": True} | SMALL | options))
    return Dataset(folder=data)


def clip_ids(dataset):
    return set(dataset.clips.read(["clip_id"])["clip_id"].to_pylist())


def test_every_video_becomes_a_clip_with_its_features(data):
    dataset = run_extract(data)
    clips = dataset.clips.read().to_pylist()
    assert len(clips) == len({row["video_id"] for row in clips}) == 6
    assert {tuple(row["shape"]) for row in clips} == {(4, 16, 16, 3)}
    assert dataset.features.keys() == {
        f"{row['clip_id']}/{feature.feature_id}"
        for row in clips
        for feature in extract_job.select_features(("colour", "motion"))
    }


def test_a_long_video_becomes_a_clip_for_each_span(data):
    clips = run_extract(data, sampling=Sampling(num_frames=2, clip_s=0.5)).clips.read().to_pylist()
    spans = sorted((row["start_s"], row["end_s"]) for row in clips if row["view"] == 0)
    assert spans == sorted([(0.0, 0.5), (0.5, 1.0), (1.0, 1.5), (1.5, 2.0)] * 6)


def test_a_second_run_decodes_nothing_and_says_so(data, videos, capsys):
    version = run_extract(data).clips.version
    shutil.rmtree(videos)  # reading them again would fail
    capsys.readouterr()
    assert run_extract(data).clips.version == version
    assert "nothing to decode: all 6 clips are in already" in capsys.readouterr().out


def test_only_a_new_video_is_decoded(data, videos, write_small, make_manifest):
    run_extract(data)
    write_small(videos / "walk" / "new.mp4", 9)
    make_manifest(videos, data)
    for path in videos.rglob("?.mp4"):
        path.unlink()
    assert len(clip_ids(run_extract(data))) == 7


def test_another_sampling_decodes_again_and_leaves_the_old_clips(data):
    before = clip_ids(run_extract(data))
    after = clip_ids(run_extract(data, sampling=Sampling(num_frames=2)))
    assert before < after
    assert len(after) == 12


def test_more_views_add_the_new_views_only(data):
    dataset = run_extract(data, augmentation=Augmentation(views=2))
    before = set(dataset.clips.files())
    run_extract(data, augmentation=Augmentation(views=4))
    assert before < set(dataset.clips.files())
    added = [path for path in dataset.clips.files() if path not in before]
    views = [view for path in added for view in pq.read_table(path)["view"].to_pylist()]
    assert sorted(views) == [2] * 6 + [3] * 6


@pytest.mark.parametrize("setting", [{"max_speed": 2.0}, {"shift": 0.1}, {"drop": 0.1}])
def test_what_would_tear_bursts_apart_is_refused(setting):
    bursts = {"sampling": Sampling(num_frames=4, burst_frames=2)}
    with pytest.raises(ValueError, match=r"burst_frames is 2, and augmentation '\w+' tears"):
        ExtractConfig(data="d", augmentation=Augmentation(views=2, **setting), **bursts)


def test_bursts_may_be_reversed_and_turned(data, videos):
    index(IndexConfig(source=str(videos), data=str(data), keeps_labels=("reverse",)))
    bursts = Sampling(num_frames=4, burst_frames=2)
    turned = Augmentation(views=2, reverse=True, rotate_deg=9.0)
    rows = run_extract(data, sampling=bursts, augmentation=turned).clips.read().to_pylist()
    assert len(rows) == 12
    for row in rows:
        first, second, third, fourth = row["frame_indices"]
        assert abs(second - first) == abs(fourth - third) == 1


def test_settings_of_views_that_are_not_made_are_named(data, capsys):
    run_extract(data, augmentation=Augmentation(rotate_deg=9.0, grey=0.5))
    said = capsys.readouterr().out
    assert "augmentation.views is 1: no view is made, and rotate_deg, grey of it does" in said
    run_extract(data)
    assert "no view is made" not in capsys.readouterr().out


def test_a_feature_asked_for_later_is_computed_from_stored_frames(data, videos, tmp_path, rows_of):
    shutil.copytree(data, tmp_path / "at_once")
    run_extract(tmp_path / "at_once")
    run_extract(data, features=("colour",))
    shutil.rmtree(videos)  # so that nothing can be decoded
    run_extract(data)
    assert rows_of(data) == rows_of(tmp_path / "at_once")


def test_every_feature_of_bursts_is_the_same_at_once_and_later(data, tmp_path, rows_of):
    bursts = {"sampling": Sampling(num_frames=4, burst_frames=2), "frames": RAW}
    shutil.copytree(data, tmp_path / "at_once")
    run_extract(tmp_path / "at_once", features=tuple(FEATURES), **bursts)
    run_extract(data, features=(), **bursts)
    run_extract(data, features=tuple(FEATURES), **bursts)
    rows = rows_of(data)
    assert rows == rows_of(tmp_path / "at_once")
    assert {len(row["vector"]) for row in rows["features"] if row["feature"] == "flow"} == {84}


def test_features_do_not_depend_on_the_frame_format(data, tmp_path):
    shutil.copytree(data, tmp_path / "jpeg")
    raw, jpeg = run_extract(data, frames=RAW), run_extract(tmp_path / "jpeg", frames=JPEG)

    def vectors(dataset):
        rows = dataset.features.read(["video_id", "feature", "vector"]).to_pylist()
        return sorted(rows, key=lambda row: (row["video_id"], row["feature"]))

    assert vectors(jpeg) == vectors(raw)
    assert set(jpeg.clips.read(["encoding"])["encoding"].to_pylist()) == {"jpeg"}


def test_a_feature_asked_for_later_is_that_of_the_frames_before_jpeg(data, tmp_path, rows_of):
    augmented = {"frames": JPEG, "augmentation": Augmentation(views=2)}
    shutil.copytree(data, tmp_path / "at_once")
    run_extract(tmp_path / "at_once", **augmented)
    before = run_extract(data, features=("colour",), **augmented).clips.version
    assert run_extract(data, **augmented).clips.version == before
    assert rows_of(data) == rows_of(tmp_path / "at_once")


def test_another_frame_format_decodes_again_and_leaves_the_old_clips(data):
    before = clip_ids(run_extract(data, frames=RAW))
    after = run_extract(data, frames=JPEG).clips.read().to_pylist()
    assert before < {row["clip_id"] for row in after}
    assert sorted(row["encoding"] for row in after) == ["jpeg"] * 6 + ["raw"] * 6
    raw, jpeg = (
        {row["video_id"]: decode_frames(row) for row in after if row["encoding"] == encoding}
        for encoding in ("raw", "jpeg")
    )
    for video_id, frames in raw.items():
        assert np.abs(frames.astype(int) - jpeg[video_id]).mean() < 8


def test_a_video_that_cannot_be_decoded_costs_itself_only(flawed):
    dataset = run_extract(flawed, max_failed_share=0.3)
    assert dataset.clips.read().num_rows == 6
    rows = dataset.quarantine.read().to_pylist()
    assert sorted(row["uri"].rpartition("/")[2] for row in rows) == ["bad7.mp4", "bad8.mp4"]
    assert {(row["stage"], row["recipe_id"]) for row in rows} == {
        ("decode", dataset.recipe.recipe_id)
    }
    assert all(row["error_class"] and row["message"] for row in rows)


def test_a_corpus_of_bad_videos_alone_ends_in_quarantine(
    tmp_path, write_undecodable, make_manifest
):
    for seed in range(3):
        write_undecodable(tmp_path / "bad" / f"{seed}.mp4", seed)
    make_manifest(tmp_path / "bad", tmp_path / "data")
    dataset = run_extract(tmp_path / "data", max_failed_share=1.0)
    assert (dataset.clips.read().num_rows, dataset.quarantine.read().num_rows) == (0, 3)


def test_quarantined_videos_are_left_alone_the_next_time(flawed, capsys):
    run_extract(flawed, max_failed_share=0.3)
    capsys.readouterr()
    dataset = run_extract(flawed, max_failed_share=0.3)
    said = capsys.readouterr().out
    assert "2 videos in quarantine, left alone" in said
    assert "put into quarantine" not in said
    assert dataset.clips.read().num_rows == 6


def test_quarantined_videos_are_tried_again_when_asked(flawed):
    dataset = run_extract(flawed, max_failed_share=1.0, limits=Limits(max_frames=10))
    assert dataset.quarantine.read().num_rows == 8
    dataset = run_extract(flawed, max_failed_share=0.3, retry_quarantined=True)
    assert dataset.clips.read().num_rows == 6
    left = [row["uri"][-8:] for row in dataset.quarantine.read().to_pylist()]
    assert sorted(left) == ["bad7.mp4", "bad8.mp4"]


def test_too_many_failures_fail_the_job_after_the_rest_is_in(flawed):
    with pytest.raises(
        cli.JobError, match=r"2 of 8 videos have failed, more than max_failed_share 0.2: 2 x "
    ):
        run_extract(flawed, max_failed_share=0.2)
    assert Dataset(folder=flawed).clips.read().num_rows == 6


def test_failures_of_an_earlier_night_count_too(flawed):
    run_extract(flawed, max_failed_share=0.3)
    with pytest.raises(cli.JobError, match=r"2 of 8 videos"):
        run_extract(flawed, max_failed_share=0.2)


def test_a_failed_job_ends_with_exit_code_1_and_one_line(flawed, run_job):
    code, _, errors = run_job(extract_job, "--data", str(flawed), "--inline", "true")
    assert code == 1
    (line,) = errors.splitlines()
    assert line.startswith("error: 2 of 8 videos have failed")


def test_the_summary_names_where_the_time_went(data, capsys):
    run_extract(data)
    (line,) = (x for x in capsys.readouterr().out.splitlines() if "worker time" in x)
    assert all(f"{step} " in line for step in ("decode", "augment", "features", "write", "commit"))


@pytest.mark.usefixtures("ray_cluster")
def test_ray_gives_row_by_row_what_this_process_gives(flawed, tmp_path, rows_of):
    options = {
        "sampling": Sampling(num_frames=2, clip_s=0.5),
        "augmentation": Augmentation(views=3, rotate_deg=20.0, shift=0.3),
        "max_failed_share": 0.3,
    }
    shutil.copytree(flawed, tmp_path / "ray")
    inline = run_extract(flawed, **options)
    on_ray = run_extract(tmp_path / "ray", **options, inline=False)
    assert rows_of(flawed) == rows_of(tmp_path / "ray")
    assert len(rows_of(flawed)["clips"]) == 6 * 4 * 3
    assert inline.quarantine.keys() == on_ray.quarantine.keys()


@pytest.mark.usefixtures("ray_cluster")
def test_ray_computes_later_features_from_stored_frames_too(data, tmp_path, rows_of, videos):
    shutil.copytree(data, tmp_path / "at_once")
    run_extract(tmp_path / "at_once", features=tuple(FEATURES))
    run_extract(data, features=("colour",))
    shutil.rmtree(videos)
    run_extract(data, features=tuple(FEATURES), inline=False)
    assert rows_of(data) == rows_of(tmp_path / "at_once")


@pytest.fixture
def cut(data, videos, make_manifest):
    """The same, one of them cut short, and indexed so."""
    path = next((videos / "walk").glob("*.mp4"))
    path.write_bytes(path.read_bytes()[:-200])
    make_manifest(videos, data)
    return data


def test_what_was_refused_is_tried_again_when_it_is_accepted(cut, capsys):
    dataset = run_extract(cut)
    assert "1 video of the corpus is truncated, which accept.truncated refuses" in (
        said := capsys.readouterr().out
    )
    assert "Truncated: the file's index names 24 frames" in said
    assert dataset.clips.read().num_rows == 5
    dataset = run_extract(cut, accept=Accept(truncated=True))
    assert (dataset.clips.read().num_rows, dataset.quarantine.read().num_rows) == (6, 0)


def test_clips_of_other_settings_are_mentioned(data, capsys):
    run_extract(data)
    run_extract(data, sampling=Sampling(num_frames=2))
    assert "6 clips of other settings are in the table too and stay" in capsys.readouterr().out
