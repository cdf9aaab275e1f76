"""Paths in lists and manifests cannot leave the roots: at index, and at each reading after it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import extract, index, predict
from tests.jobs.conftest import Trained
from tests.web import Web
from videoproc.tables import Dataset
from videoproc.types import Row

RunJob = Callable[..., tuple[int, str, str]]
SMALL = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16", "--inline")


@pytest.fixture
def secret(tmp_path: Path, write_small: Callable[..., Path]) -> Path:
    """A video beside the corpus that is nobody's business."""
    return write_small(tmp_path / "private" / "secret.mp4", 100)


@pytest.fixture
def write_list(videos: Path) -> Callable[..., Path]:
    """Writes a list beside the six good videos: them, and more lines."""

    def write(*lines: object) -> Path:
        good = sorted(str(path.relative_to(videos)) for path in videos.rglob("*.mp4"))
        path = videos / "videos.csv"
        path.write_text("\n".join(["file", *good, *map(str, lines)]) + "\n")
        return path

    return write


def refused(data: Path) -> list[Row]:
    rows = Dataset(folder=data).quarantine.read().to_pylist()
    return [row for row in rows if row["error_class"] == "OutsideRoots"]


def readable(data: Path) -> set[str]:
    rows = Dataset(folder=data).manifest.read().to_pylist()
    return {Path(row["uri"]).name for row in rows if row["error"] is None}


def test_a_line_that_leads_elsewhere_costs_itself_only_and_is_not_even_looked_at(
    write_list: Callable[..., Path],
    videos: Path,
    secret: Path,
    web: Web,
    tmp_path: Path,
    run_job: RunJob,
) -> None:
    address = web.put("/secret.mp4", secret.read_bytes())
    (videos / "link.mp4").symlink_to(secret)
    lines = ["../private/secret.mp4", secret, f"file://{secret}", "link.mp4", address]
    lines += ["s3://other-bucket/secret.mp4", "http://169.254.169.254/latest/meta-data"]
    data = tmp_path / "data"
    source = ("--source", str(write_list(*lines, "gopher://host/a.mp4")), "--layout", "csv")
    code, said, _ = run_job(index, "--data", str(data), *source)
    assert code == 0
    assert len(readable(data)) == 6
    assert len(refused(data)) == len(lines) - 2, "three of the lines name one file"
    for row in refused(data):
        assert str(videos) in row["message"]
        assert "--roots" in row["message"]
    assert "OutsideRoots" in said
    assert web.asked == []


def test_a_list_of_nothing_but_others_files_says_what_to_set(
    secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    path = tmp_path / "lists" / "videos.csv"
    path.parent.mkdir()
    path.write_text(f"file\n{secret}\n")
    data = tmp_path / "data"
    source = ("--source", str(path), "--layout", "csv")
    code, _, said = run_job(index, "--data", str(data), *source)
    assert code == 2
    assert said.count("\n") == 1
    for part in (str(secret), str(path.parent), "--roots"):
        assert part in said
    assert run_job(index, "--data", str(data), *source, "--roots", f"[{secret.parent}]")[0] == 0
    assert readable(data) == {"secret.mp4"}


def test_roots_are_remembered_until_they_are_taken_back(
    write_list: Callable[..., Path], videos: Path, secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    source = ("--source", str(write_list(secret)), "--layout", "csv")
    roots = f"[{videos},{secret.parent}]"
    assert run_job(index, "--data", str(data), *source, "--roots", roots)[0] == 0
    for flags in (source, ()):
        assert run_job(index, "--data", str(data), *flags)[0] == 0
        assert "secret.mp4" in readable(data)
    assert run_job(index, "--data", str(data), *source, "--roots", "[]")[0] == 0
    assert "secret.mp4" not in readable(data)
    assert len(refused(data)) == 1


def test_a_link_that_is_turned_around_after_index_is_followed_by_no_job(
    videos: Path, secret: Path, tmp_path: Path, run_job: RunJob, trained: Trained
) -> None:
    data, link = tmp_path / "data", videos / "walk" / "0.mp4"
    assert run_job(index, "--data", str(data), "--source", str(videos))[0] == 0
    link.unlink()
    link.symlink_to(secret)
    flags = ("--data", str(data), "--inline")
    assert run_job(predict, *flags, "--run", trained.run_id)[0] == 0
    assert [(row["uri"], row["attempts"]) for row in refused(data)] == [(str(link), 1)]
    assert run_job(extract, *flags, *SMALL[:-1])[0] == 0
    assert [(row["uri"], row["attempts"]) for row in refused(data)] == [(str(link), 2)]
    assert Dataset(folder=data).clips.read(["clip_id"]).num_rows == 5


def test_a_manifest_that_somebody_has_changed_leads_nowhere_else(
    videos: Path, secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    assert run_job(index, "--data", str(data), "--source", str(videos))[0] == 0
    table = Dataset(folder=data).manifest
    rows = table.read()
    uris = [str(secret), *rows["uri"].to_pylist()[1:]]
    changed = rows.set_column(rows.schema.get_field_index("uri"), "uri", pa.array(uris))
    table.replace(changed)
    assert run_job(extract, "--data", str(data), *SMALL)[0] == 0
    assert [row["uri"] for row in refused(data)] == [str(secret)]
    assert Dataset(folder=data).clips.read(["clip_id"]).num_rows == 5


def test_what_was_refused_comes_in_when_its_root_is_named(
    write_list: Callable[..., Path], videos: Path, secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    source = ("--source", str(write_list(secret)), "--layout", "csv", "--data", str(data))
    run_job(index, *source)
    assert len(refused(data)) == 1
    assert run_job(index, *source, "--roots", f"[{videos},{secret.parent}]")[0] == 0
    assert "secret.mp4" in readable(data)
    assert refused(data) == []


def test_a_dataset_of_before_there_were_roots_loses_no_video_to_them(
    write_list: Callable[..., Path], videos: Path, secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    source = ("--source", str(write_list(secret)), "--layout", "csv", "--data", str(data))
    roots = ("--roots", f"[{videos},{secret.parent}]")
    run_job(index, *source, *roots)
    settings = json.loads((data / "index.json").read_text())
    settings.pop("roots")
    (data / "index.json").write_text(json.dumps(settings))
    code, _, said = run_job(index, "--data", str(data))
    assert code == 2
    assert "the manifest is left as it was" in said
    assert str(secret) in said
    assert len(readable(data)) == 7
    assert run_job(index, "--data", str(data), *roots)[0] == 0
    assert len(readable(data)) == 7


def test_a_dataset_of_before_whose_videos_lie_with_their_list_goes_on(
    write_list: Callable[..., Path], tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    run_job(index, "--source", str(write_list()), "--layout", "csv", "--data", str(data))
    settings = json.loads((data / "index.json").read_text())
    settings.pop("roots")
    (data / "index.json").write_text(json.dumps(settings))
    code, said, _ = run_job(index, "--data", str(data))
    assert code == 0
    assert "6 unchanged; 0 files read" in said


def test_a_dataset_of_before_is_read_as_before_without_a_new_index(
    write_list: Callable[..., Path], videos: Path, secret: Path, tmp_path: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    source = ("--source", str(write_list(secret)), "--layout", "csv", "--data", str(data))
    run_job(index, *source, "--roots", f"[{videos},{secret.parent}]")
    settings = json.loads((data / "index.json").read_text())
    settings.pop("roots")
    (data / "index.json").write_text(json.dumps(settings))
    assert run_job(extract, "--data", str(data), *SMALL)[0] == 0
    assert refused(data) == []
    assert Dataset(folder=data).clips.read(["clip_id"]).num_rows == 7
