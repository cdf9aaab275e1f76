"""lineage: from a video to all that was made of it."""

from __future__ import annotations

import pytest

from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from pipelines.lineage import LineageConfig, lineage
from videoproc.corpus import manifest
from videoproc.tables import Dataset
from videoproc.types import UserError


def video_of(data, split):
    videos = manifest.from_table(Dataset(folder=data).manifest.read())
    return next(video for video in videos if video.split == split and video.error is None)


def said_of(found, run_id):
    return {use.run_id: use.said for use in found.uses}[run_id]


def test_a_video_is_followed_to_its_table_versions_and_the_model_that_learned_from_it(
    trained, capsys
):
    video = video_of(trained.data, "train")
    found = lineage(LineageConfig(video.digest[:12], data=str(trained.data)))

    dataset = Dataset(folder=trained.data)
    rows = dataset.clips.read(["video_id"])["video_id"].to_pylist()
    assert found.traces["clips"].rows == rows.count(video.video_id)
    assert dataset.clips.version in found.traces["clips"].versions
    assert found.traces["manifest"].rows == 1
    assert said_of(found, trained.run_id) == "has learned from it, in split train"
    said = capsys.readouterr().out
    assert f"run {trained.run_id} (train cnn_gru) has learned from it, in split train" in said
    assert video.uri in said


def test_an_evaluation_names_what_it_was_measured_on(trained):
    evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id))
    video = video_of(trained.data, "test")
    found = lineage(LineageConfig(video.uri, data=str(trained.data)))
    assert "was measured on it, in split test" in [use.said for use in found.uses]
    assert said_of(found, trained.run_id).startswith("names table versions with it: ")


def test_a_video_that_is_gone_is_found_in_older_versions(videos, tmp_path, capsys):
    data = tmp_path / "data"
    for _ in range(2):
        index(IndexConfig(source=str(videos), data=str(data)))
        extract(ExtractConfig(data=str(data), inline=True))
        (videos / "walk" / "0.mp4").unlink(missing_ok=True)
    capsys.readouterr()
    found = lineage(LineageConfig("walk/0.mp4", data=str(data)))
    assert found.traces["clips"].rows == 0
    assert found.traces["clips"].versions, "the version before"
    assert found.traces["manifest"].versions
    assert "0 rows now, in versions" in capsys.readouterr().out


def test_a_text_that_names_no_video_is_refused(trained):
    with pytest.raises(UserError, match=r"no video 'nobody\.mp4' in the manifest: give its uri"):
        lineage(LineageConfig("nobody.mp4", data=str(trained.data)))
