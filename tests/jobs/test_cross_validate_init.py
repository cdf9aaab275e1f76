"""cross_validate --init-from: what each fold begins with, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines import cross_validate
from pipelines.cross_validate import CrossValidateConfig
from pipelines.lineage import LineageConfig, lineage
from tests.jobs.test_cross_validate import make_config
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import InitConfig, LoopConfig, OptimConfig
from videoproc.learning.network import Candidate, NetworkLearner
from videoproc.tables import Dataset
from videoproc.types import UserError

LogRun = Callable[..., str]
NOTHING: dict[str, list[str]] = {"videos": [], "groups": []}


@pytest.fixture
def grouped(extracted: Path, group_videos: Callable[[Path], Path]) -> Path:
    return group_videos(extracted)


@pytest.fixture
def weights(grouped: Path) -> dict[str, torch.Tensor]:
    """Those of a network that has learned nothing."""
    prepared = cross_validate.prepare(make_config(grouped))
    assert isinstance(prepared.learner, NetworkLearner)
    torch.manual_seed(7)
    return prepared.learner.card(prepared.samples, Candidate()).build().state_dict()


@pytest.fixture
def file(weights: dict[str, torch.Tensor], tmp_path: Path) -> str:
    save_file(weights, tmp_path / "first.safetensors")
    return str(tmp_path / "first.safetensors")


@pytest.fixture
def log_run(grouped: Path, workspace: Path, tmp_path: Path) -> LogRun:
    """Logs a training of a dataset that learned from these videos and groups; gives its id."""

    def log(data: Path = grouped, **learned: list[str]) -> str:
        prepared = cross_validate.prepare(make_config(grouped))
        assert isinstance(prepared.learner, NetworkLearner)
        card = prepared.learner.card(prepared.samples, Candidate())
        model = card.build()
        folder = tmp_path / "parent"
        checkpoint.save(
            folder,
            model=model,
            optimiser=torch.optim.SGD(model.parameters()),
            card=card,
            position=Position(),
        )
        with runlog.job_run("train", data=data, workspace=workspace, config={}) as run:
            run.log_json({"train": NOTHING, "val": NOTHING | learned}, runlog.LEARNED_FROM)
            run.log_folder(checkpoint.best(folder), "checkpoint")
        return run.run_id

    return log


def test_every_fold_begins_with_the_same_weights_and_what_they_lack_its_seed_decides(
    grouped: Path, workspace: Path, file: str, weights: dict[str, torch.Tensor], capsys
) -> None:
    still = OptimConfig(learning_rate=1e-2, rates={"trunk": 0.0})
    config = make_config(
        grouped,
        init_from=file,
        init=InitConfig(skip=("head",)),
        loop=LoopConfig(epochs=1, batch_size=8, optim=still),
        seeds="0,1",
    )
    run_id = cross_validate.cross_validate(config)
    said = " ".join(capsys.readouterr().out.split())
    assert f"cnn: each fold begins with {len(weights) - 2} tensors of {file}; fresh: head." in said
    assert "what a file has learned from, nobody can tell" in said
    folders = sorted((workspace / "runs" / run_id).glob("seed-*"))
    assert len(folders) == 6
    heads = set()
    for folder in folders:
        first = load_file(folder / checkpoint.INITIAL)
        last = load_file(checkpoint.best(folder) / checkpoint.MODEL)
        for name, tensor in weights.items():
            if name.startswith("trunk"):
                assert first[name].equal(tensor)
                assert last[name].equal(tensor)
        assert not first["head.weight"].equal(weights["head.weight"])
        assert not last["head.weight"].equal(first["head.weight"])
        heads.add((folder.name[:6], first["head.weight"].numpy().tobytes()))
    assert len(heads) == 2, "one a seed"
    run = runlog.open_run(run_id, workspace=workspace)
    assert run.tags["init_file"] == file


@pytest.mark.slow
def test_a_run_of_other_videos_is_begun_with_and_counts_as_learned(
    grouped: Path, tmp_path: Path, workspace: Path, log_run: LogRun
) -> None:
    elsewhere = tmp_path / "elsewhere"
    parent = log_run(elsewhere, videos=["another"], groups=["source 1"])
    config = make_config(grouped, init_from=parent[:8])
    run_id = cross_validate.cross_validate(config)
    run = runlog.open_run(run_id, workspace=workspace)
    assert run.tags[runlog.BEGAN_AS] == parent
    learned = run.read_json(runlog.LEARNED_FROM)
    assert "another" in learned["val"]["videos"]
    assert learned["val"]["groups_elsewhere"] == {str(elsewhere): ["source 1"]}
    video_id = learned["train"]["videos"][0]
    (use,) = [
        use
        for use in lineage(LineageConfig(video_id, data=str(grouped))).uses
        if use.run_id == run_id
    ]
    assert use.said.endswith(f"it began with the weights of run {parent}")


def test_a_run_that_learned_from_what_a_fold_tests_is_refused_before_anything_starts(
    grouped: Path, tmp_path: Path, log_run: LogRun
) -> None:
    videos = manifest.from_table(Dataset(folder=grouped).manifest.read())
    video = next(v for v in videos if v.labels and v.error is None)
    of_video = log_run(tmp_path / "elsewhere", videos=[video.video_id])
    of_group = log_run(grouped, groups=["source 1"])
    for run_id, said in ((of_video, f"tests .*{video.uri[-8:]}"), (of_group, r"group 'source 1'")):
        refused = rf"init_from: fold \d \(repeat 0\) tests .*{run_id} has learned from: give a run"
        with pytest.raises(UserError, match=refused) as error:
            cross_validate.cross_validate(make_config(grouped, init_from=run_id))
        assert error.match(said)
        assert "\n" not in str(error.value)


def test_the_key_is_that_of_the_weights_and_without_any_that_of_before(
    grouped: Path, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    for name in ("first", "same"):
        save_file(weights, tmp_path / f"{name}.safetensors")
    save_file({n: w + 1 for n, w in weights.items()}, tmp_path / "other.safetensors")
    plain = make_config(grouped)

    def key(name: str, **init: Any) -> str:
        source = str(tmp_path / f"{name}.safetensors")
        config = replace(plain, init_from=source, init=InitConfig(**init))
        return cross_validate.prepare(config).key

    assert key("first") == key("same")
    keys = {
        cross_validate.prepare(plain).key,
        key("first"),
        key("other"),
        key("first", skip=("head",)),
    }
    assert len(keys) == 4
    assert not {"init_from", "init"} & cross_validate._decisive(plain).keys()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"init_from": "none.safetensors"}, "init_from: 'none.safetensors' has no weights at"),
        ({"init": InitConfig(skip=("tail",))}, "skip: the model has no part 'tail'"),
        (
            {"candidates": ({}, {"model_settings": {"channels": [2]}})},
            "weights: .* and the model",
        ),
        (
            {"model": "forest", "model_settings": {}, "loop": LoopConfig()},
            "loop, candidates, init_from: 'forest' is no network: leave them out",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_starts(
    grouped: Path, file: str, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        cross_validate.cross_validate(make_config(grouped, **({"init_from": file} | settings)))


def test_how_to_begin_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="init_from is not given: name its source"):
        CrossValidateConfig(data="d", model="cnn", init=InitConfig(strict=True))
