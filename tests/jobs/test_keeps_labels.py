"""What a corpus declares of its labels stands in its dataset, and every job keeps to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import cli, cross_validate, nightly
from pipelines import extract as extract_job
from pipelines import index as index_job
from pipelines import train as train_job
from pipelines.cross_validate import CrossValidateConfig
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index, label_rule
from pipelines.nightly import NightlyConfig
from pipelines.train import prepare
from videoproc.augment import Augmentation, LabelRule, StepAugmentation
from videoproc.augment.labels import MIRRORS
from videoproc.corpus.folds import FoldConfig
from videoproc.learning.config import LoopConfig
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset
from videoproc.tasks import TASKS
from videoproc.types import UserError

PROJECT = Path(__file__).resolve().parents[2]
FLIPPED = Augmentation(views=2, flip_horizontal=True)


@pytest.fixture
def data(tmp_path, videos):
    """A dataset of six videos, of which nothing is declared."""
    folder = tmp_path / "data"
    index(IndexConfig(source=str(videos), data=str(folder)))
    return folder


def extract_config(data, augmentation):
    return ExtractConfig(
        data=str(data),
        sampling=Sampling(num_frames=2),
        size=Size(height=16, width=16),
        augmentation=augmentation,
        inline=True,
    )


def test_a_declaration_stays_until_another_is_given(data):
    declared = {"keeps_labels": ("flip_horizontal",), "changes_labels": ("hue", "grey")}
    index(IndexConfig(data=str(data), **declared))
    rule = LabelRule(keeps=("flip_horizontal",), changes=("hue", "grey"))
    assert label_rule(Dataset(folder=data)) == rule
    index(IndexConfig(data=str(data)))
    assert label_rule(Dataset(folder=data)) == rule
    index(IndexConfig(data=str(data), changes_labels=()))
    assert label_rule(Dataset(folder=data)) == replace(rule, changes=())


def test_a_wrong_name_in_a_declaration_ends_with_one_line(run_job, data):
    code, _, errors = run_job(index_job, "--data", str(data), "--keeps_labels", "[mirror]")
    assert code == 2
    assert "keeps_labels names 'mirror', which is no augmentation: use some of" in errors


def test_extract_refuses_what_is_not_declared_before_anything_starts(run_job, data):
    flags = ["--augmentation.views", "2", "--augmentation.flip_horizontal", "true"]
    code, _, errors = run_job(extract_job, "--data", str(data), *flags)
    assert code == 2
    (line,) = errors.splitlines()
    assert "'flip_horizontal' may change the labels of dataset" in line
    assert str(data) in line
    assert "`--keeps_labels [flip_horizontal]` of pipelines.index" in line
    assert not Dataset(folder=data).clips.exists


def test_extract_does_what_is_declared_to_keep_labels(data):
    index(IndexConfig(data=str(data), keeps_labels=("flip_horizontal",)))
    assert extract(extract_config(data, FLIPPED)).clips == 12


def test_extract_refuses_what_is_forbidden(data):
    index(IndexConfig(data=str(data), changes_labels=("rotate",)))
    with pytest.raises(
        UserError, match=r"'rotate' changes the labels of dataset .*: switch it off"
    ):
        extract(extract_config(data, Augmentation(views=2, rotate_deg=5.0)))


def test_training_refuses_it_in_its_step_before_anything_starts(run_job, extracted):
    flags = ["--loop.augmentation.flip_vertical", "true", "--model", "cnn"]
    code, _, errors = run_job(train_job, "--data", str(extracted), *flags)
    assert code == 2
    (line,) = errors.splitlines()
    assert "'flip_vertical' may change the labels of dataset" in line


def test_training_refuses_stored_views_that_are_forbidden_since(data, make_config):
    extract(extract_config(data, Augmentation(views=2, grey=0.5)))
    index(IndexConfig(data=str(data), changes_labels=("grey",)))
    with pytest.raises(UserError, match="'grey' changes the labels"):
        prepare(make_config(data))


def test_mixing_can_be_forbidden_too(extracted, make_config):
    index(IndexConfig(data=str(extracted), changes_labels=("cutmix",)))
    mixing = {"augmentation": StepAugmentation(mixup=0.2)}
    assert prepare(make_config(extracted, loop=mixing))
    cutting = {"augmentation": StepAugmentation(cutmix=1.0)}
    with pytest.raises(UserError, match="'cutmix' changes the labels"):
        prepare(make_config(extracted, loop=cutting))


def test_another_augmentation_in_the_step_is_another_training(extracted, make_config):
    plain, mixed = (
        prepare(make_config(extracted, loop={"augmentation": augmentation})).training_key
        for augmentation in (StepAugmentation(), StepAugmentation(mixup=0.2))
    )
    assert plain != mixed


def test_a_task_whose_targets_do_not_follow_the_step_is_refused(
    extracted, make_config, monkeypatch
):
    task = replace(TASKS["classification"], whole_clip=False)
    monkeypatch.setitem(TASKS, "classification", task)
    config = make_config(extracted, loop={"augmentation": StepAugmentation(jitter=0.1)})
    with pytest.raises(UserError, match=r"loop\.augmentation uses 'jitter', and task 'classif"):
        prepare(config)


def test_a_night_refuses_before_it_reads_the_corpus(tmp_path, videos):
    config = NightlyConfig(source=str(videos), data=str(tmp_path / "data"), augmentation=FLIPPED)
    with pytest.raises(UserError, match="'flip_horizontal' may change the labels"):
        nightly.nightly(config)
    assert not Dataset(folder=tmp_path / "data").manifest.exists


@pytest.mark.parametrize("name", MIRRORS)
def test_the_demos_corpus_forbids_what_turns_its_actions_into_others(name):
    config = cli.parse(NightlyConfig, ["--config", str(PROJECT / "pipelines" / "demo.yaml")])
    rule = LabelRule(keeps=config.keeps_labels or (), changes=config.changes_labels or ())
    with pytest.raises(UserError, match=f"'{name}' changes the labels"):
        rule.check([name], dataset="demo")


def test_every_setting_of_a_night_that_this_project_gives_keeps_to_its_own_rule():
    path = PROJECT / "benchmarks" / "learning" / "surveillance_fights.yaml"
    config = cli.parse(NightlyConfig, ["--config", str(path)])
    rule = LabelRule(keeps=config.keeps_labels or (), changes=config.changes_labels or ())
    assert "flip_horizontal" in config.augmentation.used
    rule.check([*config.augmentation.used, *config.loop.augmentation.used], dataset="fights")


def test_flags_of_every_level_reach_the_settings():
    extract_flags = ["--data", "d", "--augmentation.rotate_deg", "10"]
    extract_flags += ["--augmentation.min_jpeg_quality", "40"]
    augmentation = cli.parse(ExtractConfig, extract_flags).augmentation
    assert (augmentation.rotate_deg, augmentation.min_jpeg_quality) == (10.0, 40)
    flags = ["--data", "d", "--model", "cnn", "--loop.augmentation.mixup", "0.2"]
    loop = cli.parse(train_job.TrainConfig, flags).loop
    assert loop == LoopConfig(augmentation=StepAugmentation(mixup=0.2))


def test_a_classifier_is_not_cross_validated_on_views_that_change_labels(data):
    index(IndexConfig(data=str(data), keeps_labels=("flip_horizontal",)))
    extract(extract_config(data, FLIPPED))
    config = CrossValidateConfig(
        data=str(data), model="forest", features=("motion",), folds=FoldConfig(count=3)
    )
    cross_validate.prepare(config)
    index(IndexConfig(data=str(data), keeps_labels=()))
    with pytest.raises(UserError, match="'flip_horizontal' may change the labels"):
        cross_validate.prepare(config)
