"""What every model of the table promises, and what sets the models apart."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from videoproc.models import MODELS, build_model, model_config
from videoproc.types import UserError

TINY = {"channels": [4, 8], "features": 8, "dropout": 0.0}
FRAME_SHAPE = (4, 16, 16, 3)

every_model = pytest.mark.parametrize("name", MODELS)
every_recurrent_model = pytest.mark.parametrize("name", [name for name in MODELS if name != "cnn"])


def make(name: str, *, seed: int = 0, **settings: object) -> nn.Module:
    torch.manual_seed(seed)
    hidden = {"hidden": 8} if name != "cnn" else {}
    config = model_config(name, TINY | hidden | settings)
    return build_model(name, config, num_outputs=3, frame_shape=FRAME_SHAPE)


def clips(*, num: int = 6, frames: int = 4, side: int = 16, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (num, frames, side, side, 3), dtype=torch.uint8, generator=generator
    )


@every_model
def test_one_step_changes_every_weight(name: str) -> None:
    model = make(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    F.cross_entropy(model(clips()), torch.arange(6) % 3).backward()
    optimiser.step()
    unchanged = [key for key, value in model.state_dict().items() if value.equal(before[key])]
    assert unchanged == []


@every_model
def test_learns_a_few_clips_by_heart(name: str) -> None:
    model, frames, target = make(name, features=16), clips(), torch.arange(6) % 3
    frames = (frames.float() * torch.linspace(0.3, 1, 6).view(-1, 1, 1, 1, 1)).to(torch.uint8)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(200):
        optimiser.zero_grad()
        F.cross_entropy(model(frames), target).backward()
        optimiser.step()
    assert model(frames).argmax(dim=1).equal(target)


@every_model
def test_saved_weights_give_another_instance_the_same_outputs(name: str, tmp_path: Path) -> None:
    model, other = make(name, seed=0).eval(), make(name, seed=1).eval()
    save_file(model.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(load_file(tmp_path / "weights.safetensors"))
    assert other(clips()).equal(model(clips()))


@every_model
def test_the_exported_program_gives_the_models_outputs_for_other_batch_sizes(name: str) -> None:
    model = make(name).eval()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*_flat_weights.* assigned during export")
        exported = torch.export.export(
            model, (clips(num=2),), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},)
        ).module()
    for num in (2, 3, 7):
        torch.testing.assert_close(exported(clips(num=num)), model(clips(num=num)))


@every_model
@pytest.mark.parametrize(("frames", "side"), [(1, 16), (9, 16), (4, 4), (4, 25)])
def test_takes_other_numbers_of_frames_and_other_sizes(name: str, frames: int, side: int) -> None:
    outputs = make(name).eval()(clips(num=2, frames=frames, side=side))
    assert outputs.shape == (2, 3)
    assert outputs.isfinite().all()


@every_model
def test_a_clips_output_does_not_depend_on_its_neighbours_in_training_either(name: str) -> None:
    model = make(name).train()
    alone = model(clips()[:1])
    for seed in (1, 2):
        among_others = torch.cat([clips()[:1], clips(seed=seed)])
        torch.testing.assert_close(model(among_others)[:1], alone)


def test_cnn_ignores_the_order_of_frames() -> None:
    model = make("cnn").eval()
    torch.testing.assert_close(model(clips().flip(1)), model(clips()))


@every_recurrent_model
def test_recurrent_models_see_the_order_of_frames(name: str) -> None:
    model = make(name).eval()
    assert (model(clips().flip(1)) - model(clips())).abs().max() > 1e-3


@every_recurrent_model
def test_recurrent_models_remember_the_first_frame(name: str) -> None:
    model, changed = make(name).eval(), clips()
    changed[:, 0] = 255 - changed[:, 0]
    assert (model(changed) - model(clips())).abs().max() > 1e-5


@every_model
def test_where_a_thing_stands_in_the_frame_changes_the_output(name: str) -> None:
    left = torch.zeros(1, *FRAME_SHAPE, dtype=torch.uint8)
    left[:, :, 6:10, 4:6] = 255
    model = make(name).eval()
    assert (model(left.roll(6, dims=3)) - model(left)).abs().max() > 1e-4


@every_model
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", []),
        ("channels", [4, 0]),
        ("channels", 8),
        ("features", 0),
        ("features", 8.5),
        ("dropout", 1.0),
        ("dropout", "half"),
        ("depth", 3),
    ],
)
def test_a_wrong_setting_is_named(name: str, field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"model_settings of {name}.*{field}"):
        model_config(name, {field: value})


@every_recurrent_model
@pytest.mark.parametrize("field", ["hidden", "layers"])
def test_a_wrong_setting_of_the_recurrent_layer_is_named(name: str, field: str) -> None:
    with pytest.raises(UserError, match=f"{field} is 0"):
        model_config(name, {field: 0})


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no model 'vgg'; there are cnn, cnn_lstm, cnn_gru"):
        model_config("vgg", {})


@every_model
def test_more_halvings_than_the_frames_have_pixels_for_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="frames of 16x16 are too small"):
        make(name, channels=[4] * 5)
