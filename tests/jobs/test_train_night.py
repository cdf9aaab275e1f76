"""What a night trains begins where it is told to, and goes on where another was stopped."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pipelines import cli
from pipelines.night_learning import _train_config, check, train_and_evaluate
from pipelines.night_report import Diary
from pipelines.nightly import NightlyConfig, _first_weights, _key
from pipelines.train import prepare
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import InitConfig, LoopConfig
from videoproc.tables import Dataset
from videoproc.types import UserError


def stopped_training(config: NightlyConfig, workspace: Path, *, by_night: bool) -> str:
    """A run whose driver was killed when its last checkpoint was written; its id."""
    prepared = prepare(_train_config(config, "cnn"))
    data = Path(config.data)
    with (
        suppress(KeyboardInterrupt),
        runlog.job_run("train", data=data, workspace=workspace, config={}) as run,
    ):
        run.set_tags({"training_key": prepared.training_key})
        if by_night:
            run.set_tags({"night": "an earlier one"})
        model = prepared.card.build()
        checkpoint.save(
            workspace / "runs" / run.run_id,
            model=model,
            optimiser=torch.optim.AdamW(model.parameters()),
            card=prepared.card,
            position=Position(step=9, finished=True, history=[{"train/loss": 2.0}]),
        )
        raise KeyboardInterrupt
    return run.run_id


@pytest.fixture
def config(extracted: Path) -> NightlyConfig:
    return NightlyConfig(
        source="nowhere",
        data=str(extracted),
        models=("cnn",),
        model_settings={"cnn": {"channels": [4, 8], "features": 8}},
        loop=LoopConfig(epochs=1, batch_size=8),
    )


def test_the_run_of_a_stopped_night_is_gone_on_with(config: NightlyConfig, workspace: Path) -> None:
    left = stopped_training(config, workspace, by_night=True)
    diary = Diary(dataset=Dataset(folder=Path(config.data)))
    train_and_evaluate(config, diary)
    assert diary.models["cnn"].run_id == left
    assert diary.models["cnn"].history("train/loss") == [(0, 2.0)]
    assert diary.trained == {"cnn"}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_run_that_somebody_began_by_hand_is_left_alone(
    config: NightlyConfig, workspace: Path
) -> None:
    left = stopped_training(config, workspace, by_night=False)
    diary = Diary(dataset=Dataset(folder=Path(config.data)))
    train_and_evaluate(config, diary)
    assert diary.models["cnn"].run_id != left


def test_a_model_begins_with_the_weights_that_the_night_names_for_it(
    config: NightlyConfig, tmp_path: Path
) -> None:
    file = tmp_path / "first.safetensors"
    weights = prepare(_train_config(config, "cnn")).card.build().state_dict()
    theirs = {name.replace("trunk", "net", 1): tensor + 1 for name, tensor in weights.items()}
    save_file(theirs, file)
    (tmp_path / "night.yaml").write_text(
        f"source: nowhere\ndata: {config.data}\nmodels: [cnn, tsn]\n"
        "model_settings: {cnn: {channels: [4, 8], features: 8}}\n"
        f"init_from: {{cnn: {file}}}\ninit: {{cnn: {{name_map: {{net: trunk}}, skip: [head]}}}}\n"
    )
    night = cli.parse(NightlyConfig, ["--config", str(tmp_path / "night.yaml")])
    assert night.init == {"cnn": InitConfig(name_map={"net": "trunk"}, skip=("head",))}
    initial = prepare(_train_config(night, "cnn")).initial
    assert initial is not None
    for name, tensor in initial.weights.items():
        if name.startswith("trunk"):
            assert tensor.equal(weights[name] + 1)
    assert _train_config(night, "tsn").init_from is None


def test_a_night_is_new_when_first_weights_are_others(
    config: NightlyConfig, tmp_path: Path
) -> None:
    dataset, file = Dataset(folder=Path(config.data)), tmp_path / "first.safetensors"
    begun = replace(config, init_from={"cnn": str(file)})
    keys = {_key(config, dataset, 0, _first_weights(config))}
    for content in (b"one", b"other"):
        file.write_bytes(content)
        keys |= {_key(begun, dataset, 0, _first_weights(begun)) for _ in range(2)}
    assert len(keys) == 3


def test_first_weights_that_are_not_there_are_named(
    config: NightlyConfig,
) -> None:
    with pytest.raises(UserError, match=r"init_from: 'none.safetensors' has no weights at"):
        check(replace(config, init_from={"cnn": "none.safetensors"}))
    with pytest.raises(ValueError, match=r"init_from names \['tsm'\], models are \['cnn'\]"):
        replace(config, init_from={"tsm": "abcdef"})
    with pytest.raises(ValueError, match=r"init names \['cnn'\], and init_from does not"):
        replace(config, init={"cnn": InitConfig(strict=True)})
