"""train: what a finished run holds, and what is refused before anything starts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import mlflow
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from pipelines import cli
from pipelines.cross_validate import CrossValidateConfig
from pipelines.cross_validate import _decisive as decisive_of_folds
from pipelines.train import TrainConfig, _decisive, prepare, train
from videoproc import runlog, schema
from videoproc.augment import StepAugmentation
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import LEARNING_VERSION, LoopConfig, OptimConfig, SegmentConfig
from videoproc.models import MODELS
from videoproc.runtime.placement import Placement
from videoproc.tables import Dataset
from videoproc.types import UserError

MakeConfig = Callable[..., TrainConfig]


def rewrite_manifest(data: Path, column: str, values: Callable[[pa.Table], object]) -> None:
    """Put other values into a column of a dataset's manifest."""
    table = Dataset(folder=data).manifest
    rows = table.read()
    position = rows.schema.get_field_index(column)
    table.replace(rows.set_column(position, rows.schema.field(position), values(rows)))


def only_label(rows: pa.Table) -> pa.Array:
    return pa.array([["walk"]] * len(rows))


def no_labels(rows: pa.Table) -> pa.Array:
    return pa.array([[]] * len(rows), pa.list_(pa.string()))


def no_validation(rows: pa.Table) -> pa.ChunkedArray:
    return pc.replace_substring(rows["split"], "val", "test")


@pytest.fixture
def ray_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("the job came as far as Ray")

    monkeypatch.setattr("videoproc.runtime.session.cluster", refuse)


def test_a_finished_run_holds_the_metrics_of_every_epoch(trained) -> None:
    for name in ("train/loss", "val/loss", "val/accuracy", "learning_rate"):
        assert [step for step, _ in trained.run.history(name)] == [0, 1, 2]


def test_the_logged_metrics_are_those_that_the_workers_checkpointed(trained) -> None:
    folder = trained.workspace / "runs" / trained.run_id
    logged = [value for _, value in trained.run.history("val/loss")]
    assert logged == [metrics["val/loss"] for metrics in checkpoint.last_position(folder).history]


def test_the_runs_checkpoint_is_the_best_one(trained) -> None:
    fetched = trained.run.checkpoint_folder(trained.workspace)
    best = checkpoint.best(trained.workspace / "runs" / trained.run_id)
    for path in best.iterdir():
        assert (fetched / path.name).read_bytes() == path.read_bytes()


def test_a_finished_run_says_which_data_it_has_seen(trained) -> None:
    dataset, tags = Dataset(folder=trained.data), trained.run.tags
    assert tags["table_version.clips"] == str(dataset.clips.version)
    assert tags["table_version.manifest"] == str(dataset.manifest.version)
    splits = dataset.manifest.read(["split", "error"]).to_pylist()
    readable = [row["split"] for row in splits if row["error"] is None]
    assert tags["clips.train"] == str(readable.count("train"))
    assert tags["clips.val"] == str(readable.count("val"))


def test_the_exported_model_answers_as_the_checkpoint_does(trained) -> None:
    model, card = checkpoint.load(
        trained.run.checkpoint_folder(trained.workspace), device=torch.device("cpu")
    )
    (logged,) = mlflow.MlflowClient(runlog.tracking_uri(trained.workspace)).search_logged_models(
        [trained.run.client.get_run(trained.run_id).info.experiment_id],
        filter_string=f"source_run_id = '{trained.run_id}'",
    )
    exported = mlflow.pytorch.load_model(logged.artifact_location)
    frames = torch.randint(0, 256, (5, *card.frame_shape), dtype=torch.uint8)
    torch.testing.assert_close(exported(frames), model(frames).softmax(dim=1))


def test_resuming_a_finished_run_adds_no_epoch(
    trained, make_config: MakeConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    before = trained.run.history("val/loss")
    assert train(make_config(trained.data, resume=trained.run_id)) == trained.run_id
    assert trained.run.history("val/loss") == before
    assert "epoch" not in capsys.readouterr().out


@pytest.mark.usefixtures("ray_is_not_asked")
def test_metrics_that_a_killed_driver_missed_come_in_when_it_resumes(
    extracted: Path, workspace: Path, make_config: MakeConfig
) -> None:
    config = make_config(extracted)
    prepared = prepare(config)
    with runlog.job_run("train", data=extracted, workspace=workspace, config={}) as run:
        run.set_tags({"training_key": prepared.training_key})
        run.log_metrics({"train/loss": 2.0}, step=0)
    model = prepared.card.build()
    checkpoint.save(
        workspace / "runs" / run.run_id,
        model=model,
        optimiser=torch.optim.AdamW(model.parameters()),
        card=prepared.card,
        position=Position(
            step=9, finished=True, history=[{"train/loss": 2.0}, {"train/loss": 1.0}]
        ),
    )
    train(replace(config, resume=run.run_id))
    assert run.history("train/loss") == [(0, 2.0), (1, 1.0)]


@pytest.mark.usefixtures("ray_cluster")
def test_early_stopping_ends_the_job(
    extracted: Path, workspace: Path, make_config: MakeConfig
) -> None:
    rough = {"epochs": 40, "patience": 1, "optim": OptimConfig(learning_rate=1.0)}
    run = runlog.open_run(train(make_config(extracted, loop=rough)), workspace=workspace)
    values = [
        (accuracy, -loss)
        for (_, accuracy), (_, loss) in zip(
            run.history("val/accuracy"), run.history("val/loss"), strict=True
        )
    ]
    assert len(values) == values.index(max(values)) + 1 + 1 < 40


def test_the_training_key_is_that_of_data_and_settings(
    extracted: Path, make_config: MakeConfig
) -> None:
    def key(**settings: object) -> str:
        return prepare(make_config(extracted, **settings)).training_key

    assert key() == key(cpus_per_worker=3, max_failures=7, loop={"checkpoint_every_steps": 1})
    assert key() == key(min_workers=1, placement=Placement(labels={"videoproc/role": "train"}))
    assert len({key(), key(workers=1), key(loop={"epochs": 9}), key(model_settings={})}) == 4
    before = key()
    rewrite_manifest(
        extracted,
        "labels",
        lambda rows: pa.array(
            [["right" if x == "left" else x for x in row] for row in rows["labels"].to_pylist()]
        ),
    )
    assert key() != before


def test_settings_that_came_later_leave_the_keys_of_earlier_runs_as_they_were() -> None:
    decisive = _decisive(TrainConfig(data="d", model="cnn", workers=3))
    assert set(decisive) == {
        *("data", "model", "task", "model_settings", "loop", "workers", "cpus_per_worker", "gpu"),
        *("max_failures", "resume", "checkpoints"),
    }
    assert decisive["loop"] == LoopConfig(checkpoint_every_steps=0).identity


def test_so_do_they_with_the_keys_of_cross_validations() -> None:
    decisive = decisive_of_folds(CrossValidateConfig(data="d", model="cnn"))
    assert decisive["loop"] == LoopConfig(checkpoint_every_steps=0, seed=0).identity


def test_the_key_of_a_run_by_default_is_made_of_what_the_first_keys_were_made_of(
    extracted: Path,
) -> None:
    prepared = prepare(TrainConfig(data=str(extracted), model="cnn"))
    optim = OptimConfig()
    settings = {
        "data": "",
        "model": "cnn",
        "task": "classification",
        "model_settings": {},
        "loop": {
            "epochs": LoopConfig.epochs,
            "batch_size": LoopConfig.batch_size,
            "seed": LoopConfig.seed,
            "patience": LoopConfig.patience,
            "checkpoint_every_steps": 0,
            "precision": LoopConfig.precision,
            "optim": {
                "learning_rate": optim.learning_rate,
                "weight_decay": optim.weight_decay,
                "warmup_share": optim.warmup_share,
                "clip_norm": optim.clip_norm,
            },
            "augmentation": asdict(StepAugmentation()),
        },
        "workers": 1,
        "cpus_per_worker": None,
        "gpu": "auto",
        "max_failures": 0,
        "resume": None,
        "checkpoints": None,
    }
    clips = [
        [[sample.row["clip_id"], sample.row["label"]] for sample in samples]
        for samples in (prepared.train, prepared.val)
    ]
    card = asdict(prepared.card)
    assert card.pop("segments") is None  # came later
    key = schema.content_id(card, settings, *clips, LEARNING_VERSION)
    assert prepared.training_key == key


@pytest.mark.usefixtures("ray_is_not_asked")
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"model": "vgg"}, "no model 'vgg'; there are cnn, cnn_lstm, cnn_gru"),
        ({"task": "divination"}, "no task 'divination'"),
        ({"model_settings": {"depth": 3}}, "model_settings of cnn_gru: .*depth"),
        ({"model_settings": {"hidden": 0}}, "model_settings of cnn_gru: hidden is 0"),
        ({"model_settings": {"channels": [4] * 5}}, "frames of 16x16 are too small"),
        ({"resume": "nope"}, "run 'nope' does not exist"),
        (
            {"loop": {"segments": SegmentConfig(count=99)}},
            "loop.segments.count is 99 and clips have 4 frames, which leaves nothing to choose",
        ),
        (
            {"loop": {"segments": SegmentConfig(count=2, answers=3)}},
            "answers is 3 and each of 2 segments of 4 frames has 2 to choose from",
        ),
    ],
)
def test_wrong_settings_are_refused_before_ray_starts(
    extracted: Path, make_config: MakeConfig, settings: dict, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        train(make_config(extracted, **settings))


@pytest.mark.usefixtures("ray_is_not_asked")
@pytest.mark.parametrize(
    ("column", "values", "complaint"),
    [
        ("labels", only_label, r"two classes or more .*\['walk'\]"),
        ("labels", no_labels, "no clip to learn from in split 'train'"),
        ("split", no_validation, "no clip to learn from in split 'val'"),
    ],
)
def test_data_that_nothing_can_be_learned_from_is_refused_before_ray_starts(
    extracted: Path,
    make_config: MakeConfig,
    column: str,
    values: Callable[[pa.Table], object],
    complaint: str,
) -> None:
    rewrite_manifest(extracted, column, values)
    with pytest.raises(UserError, match=complaint):
        train(make_config(extracted))


@pytest.mark.usefixtures("ray_is_not_asked")
def test_a_dataset_without_clips_says_what_to_run_first(
    indexed: Path, make_config: MakeConfig
) -> None:
    with pytest.raises(UserError, match=r"no clips yet: run `python -m pipelines.extract"):
        train(make_config(indexed))


@pytest.mark.usefixtures("ray_is_not_asked")
def test_a_dataset_whose_clips_are_all_gone_says_so(
    extracted: Path, make_config: MakeConfig
) -> None:
    clips = Dataset(folder=extracted).clips
    clips.replace(clips.schema.empty_table())
    with pytest.raises(UserError, match="no clip to learn from in split 'train'"):
        train(make_config(extracted))


@pytest.mark.usefixtures("ray_is_not_asked")
def test_a_run_is_resumed_with_its_own_settings_only(trained, make_config: MakeConfig) -> None:
    with pytest.raises(UserError, match="was not a training with these settings"):
        train(make_config(trained.data, resume=trained.run_id, loop={"epochs": 99}))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"cpus_per_worker": 0}, "cpus_per_worker is 0"),
        ({"gpu": "maybe"}, "gpu is 'maybe'"),
        ({"max_failures": -1}, "max_failures is -1"),
    ],
)
def test_wrong_worker_settings_are_named(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        TrainConfig(data="d", model="cnn", loop=LoopConfig(), **settings)


@pytest.mark.usefixtures("ray_cluster")
def test_more_workers_than_the_cluster_has_cores_are_refused(
    extracted: Path, make_config: MakeConfig
) -> None:
    with pytest.raises(UserError, match=r"workers is 99 with 1 CPU each, .* have room for 3"):
        train(make_config(extracted, workers=99))


@pytest.mark.usefixtures("ray_cluster")
def test_checkpoints_that_a_worker_would_write_elsewhere_are_refused_in_one_line(
    extracted: Path, make_config: MakeConfig
) -> None:
    # Every process has another folder under this name, as machines have that share no disk.
    config = make_config(extracted, checkpoints="/proc/self/cwd/checkpoints", max_failures=99)
    with pytest.raises(UserError, match="does not see: name a folder that all machines share"):
        train(config)


def test_wrong_input_ends_with_code_2_and_one_line(
    extracted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["train", "--data", str(extracted), "--model", "vgg"])
    with pytest.raises(SystemExit) as ended:
        cli.main(train, TrainConfig)
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines() == [
        f"error: model: no model 'vgg'; there are {', '.join(MODELS)}"
    ]
