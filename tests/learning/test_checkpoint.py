from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from videoproc import storage
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card, Position
from videoproc.types import UserError

CPU = torch.device("cpu")
MakeCard = Callable[..., Card]


def network(card: Card, *, seed: int = 0) -> tuple[nn.Module, torch.optim.Optimizer]:
    """A network that has made a step, so that its optimiser has a state."""
    torch.manual_seed(seed)
    model = card.build()
    optimiser = torch.optim.AdamW(model.parameters())
    model(torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)).sum().backward()
    optimiser.step()
    return model, optimiser


def save(folder: Path, card: Card, *, seed: int = 0, **position: object) -> nn.Module:
    model, optimiser = network(card, seed=seed)
    checkpoint.save(
        folder,
        model=model,
        optimiser=optimiser,
        card=card,
        position=Position(**position),  # type: ignore[arg-type]
    )
    return model


def resume(folder: Path, card: Card) -> tuple[nn.Module, torch.optim.Optimizer, Position]:
    model = card.build()
    optimiser = torch.optim.AdamW(model.parameters())
    position = checkpoint.resume(folder, model=model, optimiser=optimiser, device=CPU)
    return model, optimiser, position


def test_resuming_restores_weights_optimiser_and_position(
    tmp_path: Path, make_card: MakeCard
) -> None:
    card = make_card()
    model, optimiser = network(card)
    position = Position(epoch=3, batch=2, step=17, loss_sum=1.5, loss_count=9, best_value=0.25)
    checkpoint.save(tmp_path, model=model, optimiser=optimiser, card=card, position=position)
    other_model, other_optimiser, other_position = resume(tmp_path, card)
    assert other_position == position
    torch.testing.assert_close(other_model.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(
        other_optimiser.state_dict()["state"], optimiser.state_dict()["state"], rtol=0, atol=0
    )


def test_without_a_checkpoint_training_begins_at_the_beginning(
    tmp_path: Path, make_card: MakeCard
) -> None:
    assert resume(tmp_path, make_card())[2] == Position()


def test_a_checkpoint_is_json_and_safetensors_and_no_pickle(
    tmp_path: Path, make_card: MakeCard
) -> None:
    save(tmp_path, make_card(), step=1)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    for path in files:
        content = path.read_bytes()
        if path.suffix == ".safetensors":  # 8 bytes of length, then a header in JSON
            length = int.from_bytes(content[:8], "little")
            assert json.loads(content[8 : 8 + length])
        else:
            assert path.suffix == ".json"
            assert json.loads(content)
    assert len(files) == 4


def test_only_the_last_and_the_best_are_kept(tmp_path: Path, make_card: MakeCard) -> None:
    for step, best_step in [(1, None), (2, 2), (3, 2), (4, 2), (5, 2)]:
        save(tmp_path, make_card(), step=step, best_step=best_step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000002", "step-00000005"]


def test_the_best_is_that_of_the_best_step(tmp_path: Path, make_card: MakeCard) -> None:
    for step in (1, 2, 3):
        save(tmp_path, make_card(), step=step, best_step=min(step, 2))
    assert checkpoint.best(tmp_path).name == "step-00000002"


def test_before_the_first_validation_the_last_is_the_best(
    tmp_path: Path, make_card: MakeCard
) -> None:
    for step in (1, 2):
        save(tmp_path, make_card(), step=step)
    assert checkpoint.best(tmp_path).name == "step-00000002"


def test_a_run_that_got_nowhere_has_no_best(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no checkpoint"):
        checkpoint.best(tmp_path)


@pytest.mark.parametrize("interrupted_at", ["model", "optimiser", "card", "position"])
def test_an_interrupted_write_leaves_the_previous_checkpoint(
    tmp_path: Path, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch, interrupted_at: str
) -> None:
    card = make_card()
    model = save(tmp_path, card, step=1)

    def cut_short(path: Path) -> None:
        if path.stem == interrupted_at:
            path.write_bytes(b"\x10\x00")
            raise KeyboardInterrupt

    def save_file(tensors: dict[str, torch.Tensor], path: Path) -> None:
        cut_short(path)
        real_save_file(tensors, path)

    def write_text(path: Path, text: str) -> int:
        cut_short(path)
        return path.write_bytes(text.encode())

    real_save_file = checkpoint.save_file
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", save_file)
        patch.setattr(Path, "write_text", write_text)
        with pytest.raises(KeyboardInterrupt):
            save(tmp_path, card, seed=1, step=2)

    resumed, _, position = resume(tmp_path, card)
    assert position.step == 1
    torch.testing.assert_close(resumed.state_dict(), model.state_dict(), rtol=0, atol=0)
    save(tmp_path, card, step=2, best_step=2)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000002"]


def test_a_loaded_model_is_ready_to_use_and_says_what_it_is(
    tmp_path: Path, make_card: MakeCard
) -> None:
    card = make_card(dropout=0.5)
    trained = save(tmp_path, card, step=1).eval()
    model, read = checkpoint.load(checkpoint.best(tmp_path), device=CPU)
    frames = torch.randint(0, 256, (2, 3, 8, 8, 3), dtype=torch.uint8)
    assert model(frames).equal(trained(frames))
    assert read.make_recipe() == card.make_recipe()
    assert read.spec == card.spec


def test_the_metrics_of_past_epochs_stand_in_the_last_checkpoint(
    tmp_path: Path, make_card: MakeCard
) -> None:
    save(tmp_path, make_card(), step=1, history=[{"val/loss": 2.0}])
    save(tmp_path, make_card(), step=2, history=[{"val/loss": 2.0}, {"val/loss": 1.0}])
    assert checkpoint.last_position(tmp_path).history == [{"val/loss": 2.0}, {"val/loss": 1.0}]


def test_checkpoints_live_in_an_object_store_too(bucket: str, make_card: MakeCard) -> None:
    folder, card = storage.at(f"{bucket}/runs/a"), make_card()
    assert resume(folder, card)[2] == Position()
    for step in (1, 2, 3):
        model = save(folder, card, seed=step, step=step, best_step=min(step, 2))
    resumed, _, position = resume(folder, card)
    assert position.step == 3
    torch.testing.assert_close(resumed.state_dict(), model.state_dict(), rtol=0, atol=0)
    assert checkpoint.best(folder).name == "step-00000002"
    kept = {file.path.parent.name for file in storage.files_below(folder)}
    assert kept == {"step-00000002", "step-00000003"}, "the last and the best"
    loaded, read = checkpoint.load(checkpoint.best(folder), device=CPU)
    assert read.model == card.model
    assert not loaded.training


def test_an_upload_that_was_cut_short_counts_for_nothing(
    bucket: str, make_card: MakeCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, card = storage.at(f"{bucket}/runs/a"), make_card()
    save(folder, card, step=1)
    write = storage.write_whole

    def cut_short(file: storage.Anywhere, content: bytes) -> None:
        if file.name == checkpoint.POSITION:
            raise KeyboardInterrupt
        write(file, content)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "write_whole", cut_short)
        with pytest.raises(KeyboardInterrupt):
            save(folder, card, step=2)
    assert len([f for f in storage.files_below(folder) if f.path.parent.name.endswith("2")]) == 3
    assert checkpoint.last_position(folder).step == 1
