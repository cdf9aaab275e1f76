"""What a night leaves behind for people: a record, a page, runs that belong together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.nightly import NightlyConfig, nightly
from pipelines.retry_quarantine import RetryQuarantineConfig, retry_quarantine
from videoproc import runlog
from videoproc.media import Sampling, Size
from videoproc.report.night import earlier
from videoproc.tables import Dataset, lease
from videoproc.types import UserError

EVIL = "<img src=x onerror=alert(1)>.mp4"


@pytest.fixture
def data(tmp_path):
    return tmp_path / "data"


@pytest.fixture
def config(videos, data, write_undecodable):
    """A night without models over six good videos and a bad one with a bad name."""
    write_undecodable(videos / "run" / EVIL, 99)
    return NightlyConfig(source=str(videos), data=str(data), models=())


def runs_of(workspace, job):
    """The runs of a job in the dataset's processing experiment, the newest first."""
    import mlflow

    client = mlflow.MlflowClient(runlog.tracking_uri(workspace))
    experiment = client.get_experiment_by_name("data-processing")
    found = client.search_runs([experiment.experiment_id], f"tags.job = '{job}'")
    return [runlog.open_run(run.info.run_id, workspace=workspace) for run in found]


def pages(data):
    return sorted((data / "nights").glob("*.html"))


@pytest.mark.usefixtures("ray_cluster")
def test_a_night_leaves_a_record_a_page_and_runs_that_belong_together(config, data, workspace):
    nightly(config)

    (night,) = earlier(data, most=9)
    assert night.outcome == "done"
    assert night.changes["new"] == 7
    assert (night.videos_decoded, night.clips) == (7, 6)
    assert [(f.stage, f.count) for f in night.failures] == [("decode", 1)]
    assert set(night.phases) == {"index", "extract"}
    assert {"decode", "transfer", "features", "write", "commit"} <= set(night.seconds)
    assert night.busy_s > 0

    (page,) = pages(data)
    text = page.read_text()
    assert "&lt;img src=x onerror=alert(1)&gt;.mp4" in text
    assert EVIL not in text
    assert text.count('src="data:image/jpeg;base64,') == 2, "a contact sheet a class"

    (run,) = runs_of(workspace, "nightly")
    assert run.read_bytes("report.html").decode() == text
    assert run.tags["outcome"] == "done"
    assert run.tags["mlflow.note.content"].startswith("7 new;")
    assert run.metrics["videos_failed"] == 1
    for job in ("index", "extract"):
        (child,) = runs_of(workspace, job)
        assert child.tags["mlflow.parentRunId"] == run.run_id


@pytest.mark.usefixtures("ray_cluster")
def test_an_empty_night_says_so_and_keeps_what_is_known(config, data, workspace, capsys):
    nightly(config)
    capsys.readouterr()
    nightly(config)
    assert "nothing new" in capsys.readouterr().out
    night = earlier(data, most=9)[-1]
    assert night.outcome == "nothing new"
    assert night.failures == (), "it failed another night"
    assert sum(night.quarantine.values()) == 1, "and is held still"
    assert len(runs_of(workspace, "extract")) == 1


@pytest.mark.usefixtures("ray_cluster")
def test_a_night_over_its_failure_budget_fails_with_the_reasons_and_a_report(
    config, data, workspace
):
    strict = NightlyConfig(**vars(config) | {"max_failed": 0})
    with pytest.raises(cli.JobError, match=r"1 of 7 videos .* more than max_failed 0: 1 x"):
        nightly(strict)

    (night,) = earlier(data, most=9)
    assert night.outcome == "failed"
    assert night.clips == 6, "what was good is in"
    assert night.failures[0].count == 1
    assert "more than max_failed 0" in pages(data)[0].read_text()
    for job in ("nightly", "extract"):
        (run,) = runs_of(workspace, job)
        assert run.status == "FAILED"
    assert Dataset(folder=data).read_text("night.json") is None, "the next night tries again"


def test_a_night_that_fails_at_once_is_reported_too(tmp_path, data):
    with pytest.raises(ValueError, match="is not a folder"):
        nightly(NightlyConfig(source=str(tmp_path / "gone"), data=str(data), models=()))
    (night,) = earlier(data, most=9)
    assert night.outcome == "failed"
    assert "is not a folder" in str(night.error)
    assert night.videos == 0


def test_an_unknown_model_is_named_before_a_first_night_reads_anything(config, data):
    with pytest.raises(UserError, match="no model 'resnet'; there are cnn"):
        nightly(NightlyConfig(**vars(config) | {"models": ("resnet",)}))
    assert not Dataset(folder=data).manifest.exists


def test_clips_that_no_model_can_learn_from_are_named_before_a_first_night_reads_anything(
    config, data
):
    sampling = Sampling(pick="rate", rate_fps=2.0)
    with pytest.raises(UserError, match=r"sampling.pick is 'rate', which .* differ in length: use"):
        nightly(NightlyConfig(**vars(config) | {"models": ("cnn",), "sampling": sampling}))
    assert not Dataset(folder=data).manifest.exists


def test_a_network_that_cannot_be_is_named_before_a_first_night_reads_anything(config, data):
    learning = {"models": ("cnn",), "size": Size(height=4, width=4)}
    with pytest.raises(UserError, match="frames of 4x4 are too small"):
        nightly(NightlyConfig(**vars(config) | learning))
    assert not Dataset(folder=data).manifest.exists


def test_a_second_night_at_once_is_refused_and_says_who_works(config, data):
    with (
        lease.hold(Dataset(folder=data).lease, job="nightly"),
        pytest.raises(cli.JobError, match=r"another night works on .*nightly.* --wait_s SECONDS"),
    ):
        nightly(config)
    assert earlier(data, most=9) == []


@pytest.mark.usefixtures("ray_cluster")
def test_an_empty_night_imports_neither_torch_nor_ray(config, tmp_path):
    nightly(config)
    settings = tmp_path / "night.yaml"
    settings.write_text(json.dumps({"source": config.source, "data": config.data, "models": []}))
    code = (
        "import sys; from pipelines import cli, nightly; "
        f"sys.argv = ['nightly', '--config', {str(settings)!r}]; "
        "cli.main(nightly.nightly, nightly.NightlyConfig); "
        "print(sorted({'torch', 'ray', 'torchvision'} & set(sys.modules)))"
    )
    project = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=project, capture_output=True, text=True, timeout=120
    )
    assert "nothing new" in done.stdout, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.usefixtures("ray_cluster")
def test_what_is_marked_for_a_retry_is_never_nothing_new(config, data):
    nightly(config)
    marked = RetryQuarantineConfig(data=str(data), mark_only=True)
    retry_quarantine(marked)
    nightly(config)
    assert earlier(data, most=1)[0].outcome == "done"
    assert earlier(data, most=1)[0].failures[0].count == 1, "it failed once more"
    nightly(config)
    assert earlier(data, most=1)[0].outcome == "nothing new"


@pytest.mark.usefixtures("ray_cluster")
def test_a_clip_that_is_damaged_costs_its_picture_and_not_the_report(
    config, data, capsys, monkeypatch
):
    def damaged(*_):
        raise UserError("clip is damaged")

    monkeypatch.setattr("videoproc.tables.clip_reader.decode_frames", damaged)
    nightly(config)
    assert earlier(data, most=1)[0].outcome == "done"
    assert "data:image" not in pages(data)[0].read_text()
    assert "no picture of clip" in capsys.readouterr().out
