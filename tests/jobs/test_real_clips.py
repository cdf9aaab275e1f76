"""Real files of every kind, good and bad, through index and extract."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from videoproc.corpus import manifest
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset

pytestmark = pytest.mark.data


@pytest.fixture
def listed(shared_data: Path, tmp_path: Path) -> Path:
    """A list of every file in the folder of clips: pictures in sound, text and nothing too."""
    files = [
        path
        for path in sorted((shared_data / "clips").rglob("*"))
        if path.is_file() and not path.name.startswith("LICEN")
    ]
    target = tmp_path / "clips.csv"
    with target.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file"])
        rows.writerows([str(path)] for path in files)
    return target


@pytest.mark.usefixtures("ray_cluster")
def test_every_file_ends_as_clips_or_in_quarantine_with_its_reason(
    listed: Path, shared_data: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    roots = (str(shared_data),)
    index(IndexConfig(source=str(listed), layout="csv", data=str(data), roots=roots))
    extract(
        ExtractConfig(
            data=str(data),
            sampling=Sampling(num_frames=8),
            size=Size(height=32, width=32),
            max_failed_share=0.5,
        )
    )

    dataset = Dataset(folder=data)
    videos = manifest.from_table(dataset.manifest.read())
    with_clips = set(dataset.clips.read(["video_id"])["video_id"].to_pylist())
    quarantined = dataset.quarantine.read().to_pylist()
    reasons = {Path(row["uri"]).name: row["error_class"] for row in quarantined}
    for row in quarantined:
        print(row["stage"], Path(row["uri"]).name, row["error_class"], row["message"], sep=" | ")

    assert with_clips.isdisjoint(row["video_id"] for row in quarantined)
    assert with_clips | {row["video_id"] for row in quarantined} == {v.video_id for v in videos}
    assert all(row["error_class"] and row["message"] for row in quarantined)
    assert {"bad_video.mp4", "zero_bytes.webm", "with-attached-pic.mp3", "corrupted.mp4"} <= set(
        reasons
    )
    assert len(with_clips) > 60, "the readable files are not given up"
