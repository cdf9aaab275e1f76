"""Every line of the table in docs/incremental.md, run."""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import videoproc.tables.quarantine
import videoproc.tables.recipe
from pipelines.extract import ExtractConfig, Extracted, extract
from pipelines.index import IndexConfig, index
from pipelines.retry_quarantine import RetryQuarantineConfig, retry_quarantine
from pipelines.train import TrainConfig, prepare
from videoproc.augment import Augmentation
from videoproc.corpus.splits import SplitConfig
from videoproc.features import FEATURES
from videoproc.learning.config import LoopConfig
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset, FrameFormat
from videoproc.types import UserError

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "incremental.md"
SPLITS = ("train", "train", "train", "train", "val", "test")


@dataclasses.dataclass
class Night:
    """A corpus listed in a CSV, its dataset, and the settings of the next night."""

    folder: Path
    write_video: Callable[[Path, int], Path]
    write_undecodable: Callable[[Path, int], Path]
    monkeypatch: pytest.MonkeyPatch
    rows: dict[str, tuple[str, str]] = dataclasses.field(default_factory=dict)
    extract: dict = dataclasses.field(default_factory=dict)
    split: SplitConfig = dataclasses.field(default_factory=SplitConfig)
    folder_name: str = "videos"

    def add(self, name: str, label: str, split: str) -> Path:
        self.rows[name] = (label, split)
        return self.folder / self.folder_name / name

    def run(self) -> tuple[int, Extracted]:
        lines = [f"{self.folder_name}/{n},{label},{s}" for n, (label, s) in self.rows.items()]
        (self.folder / "list.csv").write_text("\n".join(["file,label,split", *lines]))
        data = str(self.folder / "data")
        built = index(
            IndexConfig(
                source=str(self.folder / "list.csv"), data=data, layout="csv", split=self.split
            )
        )
        settings = {
            "sampling": Sampling(num_frames=4),
            "size": Size(height=16, width=16),
            "features": ("colour",),
            "max_failed_share": 0.5,
        }
        done = extract(ExtractConfig(data=data, inline=True, **settings | self.extract))
        return built.num_read, done

    def training_key(self) -> str:
        config = TrainConfig(data=str(self.folder / "data"), model="cnn", loop=LoopConfig())
        return prepare(config).training_key


@pytest.fixture
def night(tmp_path, write_small, write_undecodable, monkeypatch) -> Night:
    night = Night(tmp_path, write_small, write_undecodable, monkeypatch)
    for i, split in enumerate(SPLITS):
        write_small(night.add(f"{i}.mp4", ("walk", "run")[i % 2], split), i)
    night.run()
    return night


def nothing(_: Night) -> None:
    pass


def new_video(night: Night) -> None:
    night.write_video(night.add("new.mp4", "walk", "train"), 77)


def other_content(night: Night) -> None:
    night.write_video(night.folder / "videos" / "0.mp4", 78)


def renamed(night: Night) -> None:
    label_and_split = night.rows.pop("0.mp4")
    (night.folder / "videos/0.mp4").rename(night.add("renamed.mp4", *label_and_split))


def corpus_moved(night: Night) -> None:
    (night.folder / "videos").rename(night.folder / "elsewhere")
    night.folder_name = "elsewhere"


def second_copy(night: Night) -> None:
    shutil.copy(night.folder / "videos/0.mp4", night.add("copy.mp4", *night.rows["0.mp4"]))


def touched(night: Night) -> None:
    os.utime(night.folder / "videos/0.mp4", (1, 1))


def deleted(night: Night) -> None:
    (night.folder / "videos/0.mp4").unlink()
    del night.rows["0.mp4"]


def deleted_and_back(night: Night) -> None:
    row = night.rows["0.mp4"]
    kept = shutil.copy(night.folder / "videos/0.mp4", night.folder / "kept.mp4")
    deleted(night)
    night.run()
    shutil.copy(kept, night.add("0.mp4", *row))


def label_corrected(night: Night) -> None:
    night.rows["0.mp4"] = ("run", night.rows["0.mp4"][1])


def split_corrected(night: Night) -> None:
    night.rows["0.mp4"] = (night.rows["0.mp4"][0], "val")


def split_settings(night: Night) -> None:
    night.rows = {name: (label, "") for name, (label, _) in night.rows.items()}
    night.split = SplitConfig(train=0.5, val=0.5, test=0.0)


def feature_added(night: Night) -> None:
    night.extract["features"] = ("colour", "motion")


def feature_raised(night: Night) -> None:
    raised = dataclasses.replace(FEATURES["colour"], version=FEATURES["colour"].version + 1)
    night.monkeypatch.setitem(FEATURES, "colour", raised)


def sampling_changed(night: Night) -> None:
    night.extract["sampling"] = Sampling(num_frames=3)


def size_changed(night: Night) -> None:
    night.extract["size"] = Size(height=24, width=24)


def frame_format_changed(night: Night) -> None:
    night.extract["frames"] = FrameFormat(encoding="jpeg", quality=80)


def view_added(night: Night) -> None:
    night.extract["augmentation"] = Augmentation(views=2)


def decode_version_raised(night: Night) -> None:
    for module in (videoproc.tables.recipe, videoproc.tables.quarantine):
        night.monkeypatch.setattr(module, "DECODE_VERSION", 999)


def undecodable(night: Night) -> None:
    night.write_undecodable(night.add("bad.mp4", "walk", "train"), 79)


def undecodable_before(night: Night) -> None:
    undecodable(night)
    night.run()


def undecodable_marked(night: Night) -> None:
    undecodable_before(night)
    data = str(night.folder / "data")
    retry_quarantine(RetryQuarantineConfig(data=data, error_class=None, mark_only=True))


CASES = {
    "nothing": nothing,
    "a new video": new_video,
    "a video with other content under its name": other_content,
    "a video renamed": renamed,
    "the whole corpus moved": corpus_moved,
    "a second copy of a video": second_copy,
    "a video with another time of change, same bytes": touched,
    "a video deleted": deleted,
    "a video deleted, and back after a night": deleted_and_back,
    "a label corrected": label_corrected,
    "a split corrected": split_corrected,
    "other split settings": split_settings,
    "a feature asked for": feature_added,
    "a feature's version raised": feature_raised,
    "another sampling": sampling_changed,
    "another size": size_changed,
    "another frame format": frame_format_changed,
    "one more augmented view": view_added,
    "DECODE_VERSION raised": decode_version_raised,
    "a video that cannot be decoded": undecodable,
    "a video that could not be decoded last night": undecodable_before,
    "the same, marked by retry_quarantine": undecodable_marked,
}


def documented() -> dict[str, list[str]]:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith("| ")][1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: row[1:] for row in cells}


def test_every_line_of_the_table_has_its_case():
    assert list(documented()) == list(CASES)


@pytest.mark.parametrize("case", CASES)
def test_a_night_redoes_what_the_table_says(night: Night, case: str) -> None:
    key_before = night.training_key()
    CASES[case](night)
    files_read, done = night.run()
    *counts, trains = documented()[case]
    assert counts == [
        str(files_read),
        str(done.videos_decoded),
        str(done.clips_measured),
        str(done.rows_deleted.get("clips", 0)),
    ]
    assert (night.training_key() != key_before) == (trains != "no")


def test_afterwards_the_tables_equal_those_of_a_dataset_made_anew(night, rows_of):
    for change in (new_video, label_corrected, second_copy, other_content, renamed):
        change(night)
        night.run()
    incremental = rows_of(night.folder / "data")
    shutil.rmtree(night.folder / "data")
    night.run()
    assert rows_of(night.folder / "data") == incremental


def test_a_corpus_that_has_vanished_stops_the_night_and_changes_nothing(night):
    before = Dataset(folder=night.folder / "data").manifest.version
    night.rows = dict(list(night.rows.items())[:2])
    with pytest.raises(UserError, match=r"4 of 6 known videos are no longer in .*mounted\?"):
        night.run()
    assert Dataset(folder=night.folder / "data").manifest.version == before


def test_a_new_video_moves_no_other_to_another_split(tmp_path, write_small):
    config = IndexConfig(source=str(tmp_path / "videos"), data=str(tmp_path / "data"))
    for i in range(10):
        write_small(tmp_path / "videos" / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    before = {video.uri: video.split for video in index(config).videos}
    for i in range(10, 16):
        write_small(tmp_path / "videos" / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    after = {video.uri: video.split for video in index(config).videos}
    assert len(after) == 16
    assert {uri: after[uri] for uri in before} == before
