"""train --init-from: what a run begins with, what it then counts as learned, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipelines import cli
from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.lineage import LineageConfig, lineage
from pipelines.train import TrainConfig, prepare, train
from tests.jobs.test_train import rewrite_manifest
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.learning import checkpoint
from videoproc.learning.config import InitConfig, LoopConfig, OptimConfig
from videoproc.tables import Dataset
from videoproc.types import UserError

MakeConfig = Callable[..., TrainConfig]
TURNED = {"train": "test", "test": "train", "val": "val"}


def turned(rows: pa.Table) -> pa.Array:
    return pa.array([TURNED.get(split, split) for split in rows["split"].to_pylist()])


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_child_is_not_measured_on_what_its_parent_has_learned_from(
    trained,
    extracted: Path,
    tmp_path: Path,
    make_config: MakeConfig,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rewrite_manifest(extracted, "split", turned)
    still = {"epochs": 1, "optim": OptimConfig(rates={"trunk": 0.0, "head": 10.0})}
    folder = tmp_path / "checkpoints"
    config = make_config(
        extracted, init_from=trained.run_id[:8], loop=still, checkpoints=str(folder)
    )
    child = runlog.open_run(train(config), workspace=trained.workspace)
    said = capsys.readouterr().out

    parents = checkpoint.best(trained.workspace / "runs" / trained.run_id)
    childs = checkpoint.best(folder / child.run_id)
    before, after = (load_file(folder / checkpoint.MODEL) for folder in (parents, childs))
    changed = {name for name in before if not before[name].equal(after[name])}
    assert changed
    assert not any("trunk" in name for name in changed)
    assert f"begins with {len(before)} tensors of run {trained.run_id}" in said

    assert child.tags[runlog.BEGAN_AS] == trained.run_id
    with pytest.raises(UserError, match=f"run {child.run_id} has learned from"):
        evaluate(EvaluateConfig(data=str(extracted), run=child.run_id))
    assert "of split 'test' are among what these weights have learned from" in said

    videos = manifest.from_table(Dataset(folder=extracted).manifest.read())
    video = next(v for v in videos if v.split == "test" and v.error is None)  # train, of the parent
    (use,) = [
        use
        for use in lineage(LineageConfig(video.digest, data=str(extracted))).uses
        if use.run_id == child.run_id
    ]
    assert use.has_learned
    assert use.said.endswith(f"in split train; it began with the weights of run {trained.run_id}")


def test_weights_come_from_a_file_by_a_map_of_names(
    extracted: Path, tmp_path: Path, make_config: MakeConfig
) -> None:
    card = prepare(make_config(extracted)).card
    torch.manual_seed(7)
    theirs = card.build().state_dict()
    head = {name: tensor for name, tensor in theirs.items() if name.startswith("head")}
    trunk = {n.replace("trunk", "net", 1): t for n, t in theirs.items() if n not in head}
    save_file(trunk, tmp_path / "other.safetensors")
    init = InitConfig(name_map={"net": "trunk"}, skip=("head",), strict=True)
    config = make_config(extracted, init_from=str(tmp_path / "other.safetensors"), init=init)
    initial = prepare(config).initial
    assert initial is not None
    torch.manual_seed(config.loop.seed)
    fresh = card.build().state_dict()
    expected = theirs | {name: fresh[name] for name in head}
    torch.testing.assert_close(initial.weights, expected, rtol=0, atol=0)
    assert initial.source.tags == {"init_file": str(tmp_path / "other.safetensors")}
    assert f"fresh: {', '.join(head)}" in initial.said
    assert initial.said.endswith("what a file has learned from, nobody can tell")


def test_the_key_is_that_of_the_weights_and_not_of_their_place(
    extracted: Path, tmp_path: Path, make_config: MakeConfig
) -> None:
    plain = make_config(extracted)
    weights = prepare(plain).card.build().state_dict()
    for name in ("a", "b"):
        save_file(weights, tmp_path / f"{name}.safetensors")
    save_file({n: w + 1 for n, w in weights.items()}, tmp_path / "c.safetensors")

    def key(name: str, **init: object) -> str:
        source = str(tmp_path / f"{name}.safetensors")
        config = replace(plain, init_from=source, init=InitConfig(**init))  # type: ignore[arg-type]
        return prepare(config).training_key

    assert key("a") == key("b")
    keys = {prepare(plain).training_key, key("a"), key("c"), key("a", skip=("head",))}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("init_from", "init", "complaint"),
    [
        ("nope99", {}, "run 'nope99' does not exist"),
        ("nope", {}, "run 'nope' is no run id"),
        ("FOLDER/none.safetensors", {}, "init_from: .* has no weights at .*: give a training run"),
        ("FOLDER/text.safetensors", {}, "holds no safetensors"),
        ("FOLDER/other.safetensors", {}, "map the given names, such as 'fc.weight'"),
        (
            "FOLDER/other.safetensors",
            {"name_map": {"fc": "head.1"}},
            r"is \(7, 7\) and the model's",
        ),
        ("FOLDER/other.safetensors", {"skip": ("tail",)}, "skip: the model has no part 'tail'"),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_starts(
    extracted: Path,
    tmp_path: Path,
    make_config: MakeConfig,
    init_from: str,
    init: dict,
    complaint: str,
) -> None:
    (tmp_path / "text.safetensors").write_text("no weights")
    save_file({"fc.weight": torch.zeros(7, 7)}, tmp_path / "other.safetensors")
    source = init_from.replace("FOLDER", str(tmp_path))
    with pytest.raises(UserError, match=complaint):
        train(make_config(extracted, init_from=source, init=InitConfig(**init)))


@pytest.mark.parametrize(
    ("loop", "complaint"),
    [
        ({"optim": OptimConfig(rates={"tail": 0.1})}, "rates: the model has no part 'tail'"),
        ({"optim": OptimConfig(rates={"": 0.0})}, "freeze the whole model"),
    ],
)
def test_rates_of_parts_that_are_not_there_are_refused_before_anything_starts(
    extracted: Path, make_config: MakeConfig, loop: dict, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        train(make_config(extracted, loop=loop))


def test_how_to_begin_without_a_source_is_refused() -> None:
    with pytest.raises(ValueError, match="init_from is not given: name its source"):
        TrainConfig(data="d", model="cnn", init=InitConfig(strict=True))


def test_options_are_flags_with_hyphens_or_underscores() -> None:
    given = ["--data", "d", "--model", "cnn", "--loop.optim.schedule.name", "step"]
    expected = TrainConfig(
        data="d",
        model="cnn",
        init_from="abcdef",
        init=InitConfig(name_map={"a-b": "c"}),
        loop=LoopConfig(
            epochs=3,
            optim=OptimConfig(
                rates={"trunk": 0.1}, schedule=cli.parse(TrainConfig, given).loop.optim.schedule
            ),
        ),
    )
    flags = ["--init-from", "abcdef", "--init.name-map", '{"a-b": "c"}', "--loop.epochs=3"]
    rates = ["--loop.optim.rates", '{"trunk": 0.1}']
    assert cli.parse(TrainConfig, given + flags + rates) == expected
    assert expected.loop.optim.schedule.name == "step"
