"""Secrets are in no line, log, parameter, report or table for people.

The tables `manifest` and `files` hold addresses as the corpus gives them: they are what is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import ray

from pipelines import index, nightly
from pipelines.retry_quarantine import RetryQuarantineConfig, retry_quarantine
from tests.web import Web
from videoproc.tables import Dataset
from videoproc.types import Row

RunJob = Callable[..., tuple[int, str, str]]
SMALL = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16")

PASSWORD, SIGNATURE = "hunter2hunter2", "5ig5ig5ig5ig"
KEY, TOKEN = "wJalrXUtnFEMIK7", "FwoGZXIvYXdzE"
SECRETS = (PASSWORD, SIGNATURE, KEY, TOKEN)
HOLD_ADDRESSES = ("manifest", "files")


@pytest.fixture
def source(
    web: Web, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A list of signed addresses: good ones, one that decodes to nothing, and one that is gone."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    secret = f"X-Amz-Credential=ann&X-Amz-Signature={SIGNATURE}"
    lines = ["file,label"]
    for path in sorted(videos.rglob("*.mp4")):
        address = web.put(f"/{path.name}", path.read_bytes())
        signed = address.replace("http://", f"http://ann:{PASSWORD}@") + f"?{secret}"
        lines.append(f"{signed},{path.parent.name}")
    web.put("/broken.mp4", b"no video")
    lines += [f"{web.address}/{name}.mp4?{secret},walk" for name in ("broken", "gone")]
    lines.append(f"http://ann:{PASSWORD}@127.0.0.1:1/elsewhere.mp4?{secret},walk")
    path = tmp_path / "videos.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def files_with_a_secret(folder: Path, *, but: tuple[Path, ...] = ()) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [
        path
        for path in files
        if not set(path.parents) & set(but)
        and any(secret.encode() in path.read_bytes() for secret in SECRETS)
    ]


@pytest.mark.usefixtures("ray_cluster")
def test_a_night_leaves_none_behind(
    source: Path, web: Web, tmp_path: Path, workspace: Path, run_job: RunJob
) -> None:
    data = tmp_path / "data"
    flags = ("--source", str(source), "--layout", "csv", "--roots", f"[{web.address}]")
    code, said, error = run_job(
        nightly, "--data", str(data), *flags, "--models", "[]", "--max_failed_share", "1", *SMALL
    )
    assert code == 0, error
    dataset = Dataset(folder=data)
    assert dataset.clips.read(["clip_id"]).num_rows == 6
    assert dataset.quarantine.read(["uri"]).num_rows == 3
    for text in (said, error, *(str(t.read().to_pylist()) for t in people_read(dataset))):
        assert not any(secret in text for secret in SECRETS)
    held = tuple(data / name for name in HOLD_ADDRESSES)
    assert files_with_a_secret(data, but=held) == []
    assert (workspace / "mlflow.db").is_file()
    assert files_with_a_secret(workspace) == []
    logs = Path(ray._private.worker._global_node.get_session_dir_path()) / "logs"
    assert any(logs.iterdir())
    assert files_with_a_secret(logs) == []


def people_read(dataset: Dataset) -> list[object]:
    return [table for name, table in dataset.tables().items() if name not in HOLD_ADDRESSES]


def test_what_failed_is_tried_again_though_its_row_shows_no_secret(
    source: Path, web: Web, tmp_path: Path, run_job: RunJob, write_small: Callable[..., Path]
) -> None:
    data = tmp_path / "data"
    flags = ("--source", str(source), "--layout", "csv", "--roots", f"[{web.address}]")
    run_job(index, "--data", str(data), *flags)
    web.put("/gone.mp4", write_small(tmp_path / "gone.mp4", 50).read_bytes())
    (gone,) = [row for row in quarantined(data) if "gone.mp4" in row["uri"]]
    assert gone["uri"] == f"{web.address}/gone.mp4"
    retry_quarantine(RetryQuarantineConfig(data=str(data)))
    assert sorted(row["attempts"] for row in quarantined(data)) == [2, 2]


def quarantined(data: Path) -> list[Row]:
    return list(Dataset(folder=data).quarantine.read().to_pylist())


def test_a_source_with_a_password_is_in_no_parameter_and_no_line(
    source: Path, web: Web, tmp_path: Path, workspace: Path, run_job: RunJob
) -> None:
    there = web.put("/videos.csv", source.read_bytes())
    signed = there.replace("http://", f"http://ann:{PASSWORD}@") + f"?X-Amz-Signature={SIGNATURE}"
    data = str(tmp_path / "data")
    code, *said = run_job(index, "--data", data, "--source", signed, "--layout", "csv")
    assert code == 0, said
    web.files.clear()
    code, *failed = run_job(index, "--data", data, "--source", signed, "--layout", "csv")
    assert code == 2
    assert not any(secret in text for text in (*said, *failed) for secret in SECRETS)
    assert files_with_a_secret(workspace) == []
