"""The corpus on disk: real files, whole, the same each time, with the flaws that it promises."""

import csv
import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from videoproc.corpus.synthetic import LABELS, SyntheticConfig, synthesize
from videoproc.corpus.synthetic.truth import decode_mask
from videoproc.media import MediaError, probe
from videoproc.types import UserError


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def listed(corpus: Path) -> list[dict[str, str]]:
    with (corpus / "videos.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def truth_of(corpus: Path, file: str) -> dict:
    return json.loads((corpus / "truth" / f"{Path(file).stem}.json").read_text())


def test_the_same_config_gives_the_same_bytes(small_corpus, small_config, tmp_path):
    synthesize(tmp_path / "again", small_config)
    assert bytes_of(tmp_path / "again") == bytes_of(small_corpus)


def test_another_seed_gives_other_videos(small_corpus, small_config, tmp_path):
    synthesize(tmp_path / "other", replace(small_config, seed=1))
    ours, others = bytes_of(small_corpus), bytes_of(tmp_path / "other")
    assert not {ours[f] for f in ours if f.endswith(".mp4")} & set(others.values())


def test_many_processes_write_what_one_writes(small_config, tmp_path):
    many = replace(small_config, videos=48)
    synthesize(tmp_path / "many", many)
    code = (
        "import os, pathlib; os.cpu_count = lambda: 1\n"
        "from videoproc.corpus.synthetic import *\n"
        f"synthesize(pathlib.Path({str(tmp_path / 'one')!r}), {many!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "many")


def test_classes_are_balanced_over_the_sources(small_corpus, small_config):
    whole = [row for row in listed(small_corpus) if row["file"][-7:-4].isdigit()]
    shares = Counter((row["source"], row["label"]) for row in whole)
    assert len(whole) == small_config.videos
    assert shares == {(s, label): 1 for s in ("cam00", "cam01") for label in LABELS}


def test_a_finished_corpus_is_not_written_again(small_corpus, small_config):
    before = {path: path.stat().st_mtime_ns for path in small_corpus.rglob("*")}
    assert not synthesize(small_corpus, small_config).written
    assert before == {path: path.stat().st_mtime_ns for path in small_corpus.rglob("*")}


def test_a_folder_with_another_config_is_refused(small_corpus, small_config):
    with pytest.raises(UserError, match=r"seed 0, not 5.*another folder"):
        synthesize(small_corpus, replace(small_config, seed=5))


def test_a_folder_with_other_things_is_refused_and_left_alone(small_config, tmp_path):
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "holiday.mp4").write_bytes(b"mine")
    with pytest.raises(UserError, match="not empty"):
        synthesize(tmp_path, small_config)
    assert (tmp_path / "videos" / "holiday.mp4").read_bytes() == b"mine"


def test_an_interrupted_corpus_is_made_anew(small_corpus, small_config, tmp_path):
    def interrupt(done: int, _: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "corpus", replace(small_config, seed=9), interrupt)
    synthesize(tmp_path / "corpus", small_config)
    assert bytes_of(tmp_path / "corpus") == bytes_of(small_corpus)


def test_the_broken_file_cannot_be_probed(small_corpus, small_config):
    broken = small_corpus / synthesize(small_corpus, small_config).broken
    assert broken.stat().st_size > 0
    with pytest.raises(MediaError):
        probe(str(broken))


def test_the_duplicate_has_the_same_bytes_and_class(small_corpus, small_config):
    one, other = (small_corpus / f for f in synthesize(small_corpus, small_config).duplicate)
    assert one.read_bytes() == other.read_bytes()
    assert one != other
    assert one.parent == other.parent


def test_truth_has_one_entry_a_frame_and_its_boxes_enclose_their_masks(small_corpus):
    for path in sorted((small_corpus / "truth").glob("*.json")):
        truth = json.loads(path.read_text())
        with av.open(str(small_corpus / truth["file"])) as container:
            stream = container.streams.video[0]
            assert stream.average_rate == pytest.approx(truth["fps"])
            assert sum(1 for _ in container.decode(stream)) == len(truth["frames"])
        for frame in truth["frames"]:
            for (x0, y0, x1, y1), lengths in zip(frame["boxes"], frame["masks"], strict=True):
                mask = decode_mask(lengths, height=truth["height"], width=truth["width"])
                assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0


def test_the_shape_is_seen_in_the_decoded_video_where_truth_says(small_corpus):
    row = next(row for row in listed(small_corpus) if "_000" in row["file"])
    truth = truth_of(small_corpus, row["file"])
    with av.open(str(small_corpus / row["file"])) as container:
        frames = [f.to_ndarray(format="rgb24").astype(float) for f in container.decode(video=0)]
    for pixels, frame in zip(frames, truth["frames"], strict=True):
        (lengths,) = frame["masks"]
        mask = decode_mask(lengths, height=truth["height"], width=truth["width"])
        assert np.linalg.norm(pixels[mask].mean(0) - pixels[~mask].mean(0)) > 60


def test_the_long_video_shows_every_class_once_at_known_times(small_corpus):
    row = next(row for row in listed(small_corpus) if "long" in row["file"])
    truth = truth_of(small_corpus, row["file"])
    events = truth["events"]
    assert row["label"] == ""
    assert sorted(label for *_, label in events) == sorted(LABELS)
    ends = [0.0, *(end for _, end, _ in events)]
    assert all(end < start for end, (start, _, _) in zip(ends, events, strict=False))
    for t, frame in enumerate(truth["frames"]):
        now = t / truth["fps"]
        running = [i for i, (start, end, _) in enumerate(events) if start <= now < end]
        assert frame["track_ids"] == running


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"videos": 5, "num_sources": 1}, "videos is 5"),
        ({"num_sources": 0}, "num_sources is 0"),
        ({"height": 97}, "height is 97"),
        ({"fps": 0.0}, "fps is 0"),
        ({"duration_s": 0.1}, "duration_s is 0.1"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_config_that_cannot_be_made_names_the_field_and_value(wrong, message):
    with pytest.raises(ValueError, match=message):
        SyntheticConfig(**wrong)
