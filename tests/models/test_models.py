"""What every model of the table promises, in every form that its settings give it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from tests.models.toys import (
    FRAME_SHAPE,
    ORDER_BLIND,
    TINY,
    VARIANTS,
    WITH_BATCH_NORM,
    clips,
    fit,
    make,
)
from videoproc.models import MODELS, build_model, model_config
from videoproc.types import UserError

FORMS: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in MODELS), *VARIANTS]

every_model = pytest.mark.parametrize("name", MODELS)
every_form = pytest.mark.parametrize(
    ("name", "settings"),
    FORMS,
    ids=[
        " ".join([name, *(f"{key}={settings[key]}" for key in settings)])
        for name, settings in FORMS
    ],
)
every_model_that_sees_order = pytest.mark.parametrize(
    "name", [name for name in MODELS if name not in ORDER_BLIND]
)


@every_form
def test_one_step_changes_every_weight(name: str, settings: dict[str, Any]) -> None:
    model = make(name, **settings)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    F.cross_entropy(model(clips()), torch.arange(6) % 3).backward()
    optimiser.step()
    unchanged = [key for key, value in model.state_dict().items() if value.equal(before[key])]
    assert unchanged == []


@pytest.mark.parametrize(
    ("name", "settings", "layers"),
    [
        ("cnn", {}, {"trunk.convolutions": [32, 64, 128], "trunk.dense": [128], "head": [10]}),
        (
            "cnn",
            {"channels": [32, 64], "features": 512, "dropout": 0.0},
            {"trunk.convolutions": [32, 64], "trunk.dense": [512], "head": [10]},
        ),
        (
            "cnn_lstm",
            {"layers": 2},
            {"recurrent.weight_hh": [4 * 128, 4 * 128], "head": [10]},
        ),
    ],
)
def test_the_reference_architectures_are_settings(
    name: str, settings: dict[str, Any], layers: dict[str, list[int]]
) -> None:
    config = model_config(name, settings)
    model = build_model(name, config, num_outputs=10, frame_shape=(4, 64, 64, 3))
    for part, widths in layers.items():
        weights = [v for k, v in model.state_dict().items() if k.startswith(part) and v.ndim > 1]
        assert [len(weight) for weight in weights] == widths


@every_model
def test_learns_eight_clips_by_heart(name: str) -> None:
    brightness = torch.linspace(0.3, 1, 8).view(-1, 1, 1, 1, 1)
    frames = (clips(num=8) * brightness).to(torch.uint8)
    assert fit(make(name), frames, torch.arange(8) % 3, steps=300)


@every_model_that_sees_order
def test_learns_to_tell_clips_from_their_reverse(name: str) -> None:
    forwards = clips(num=2)
    frames = torch.cat([forwards, forwards.flip(1)])
    assert fit(make(name), frames, torch.tensor([0, 0, 1, 1]), steps=300)


@pytest.mark.parametrize("name", ORDER_BLIND)
def test_a_mean_over_frames_ignores_their_order(name: str) -> None:
    model = make(name).eval()
    torch.testing.assert_close(model(clips().flip(1)), model(clips()))


@every_model_that_sees_order
def test_remembers_the_first_frame(name: str) -> None:
    model, changed = make(name).eval(), clips()
    changed[:, 0] = 255 - changed[:, 0]
    assert (model(changed) - model(clips())).abs().max() > 1e-5


@every_form
def test_a_seed_decides_the_weights_and_the_outputs(name: str, settings: dict[str, Any]) -> None:
    model, again = make(name, seed=3, **settings).eval(), make(name, seed=3, **settings).eval()
    other = make(name, seed=4, **settings).eval()
    assert again(clips()).equal(model(clips()))
    assert not other(clips()).equal(model(clips()))


@every_form
def test_saved_weights_give_another_instance_the_same_outputs(
    name: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model, other = make(name, seed=0, **settings).eval(), make(name, seed=1, **settings).eval()
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
    for num in (1, 2, 7):
        torch.testing.assert_close(exported(clips(num=num)), model(clips(num=num)))


@every_model
@pytest.mark.parametrize(("frames", "side"), [(1, 16), (9, 16), (4, 4), (4, 25)])
def test_takes_other_numbers_of_frames_and_other_sizes(name: str, frames: int, side: int) -> None:
    outputs = make(name).eval()(clips(num=2, frames=frames, side=side))
    assert outputs.shape == (2, 3)
    assert outputs.isfinite().all()


@every_form
def test_a_clips_output_does_not_depend_on_its_neighbours_in_training_either(
    name: str, settings: dict[str, Any]
) -> None:
    model = make(name, **settings).train()
    alone = model(clips()[:1])
    for seed in (1, 2):
        among_others = torch.cat([clips()[:1], clips(seed=seed)])
        torch.testing.assert_close(model(among_others)[:1], alone)


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_with_batch_statistics_it_depends_on_them_in_training_only(name: str) -> None:
    model, both = make(name, norm="batch"), clips(num=2)
    assert (model.train()(both)[:1] - model(torch.cat([both[:1], both[:1]]))[:1]).abs().max() > 1e-4
    model.eval()
    torch.testing.assert_close(model(both)[:1], model(both[:1]))


@every_form
def test_half_precision_gives_about_the_same_outputs(name: str, settings: dict[str, Any]) -> None:
    model = make(name, **settings).eval()
    with torch.autocast("cpu", torch.bfloat16):
        half = model(clips()).float()
    exact = model(clips())
    assert (half - exact).abs().max() < 0.1 * exact.abs().max()


@every_model
def test_where_a_thing_stands_in_the_frame_changes_the_output(name: str) -> None:
    left = torch.zeros(1, *FRAME_SHAPE, dtype=torch.uint8)
    left[:, :, 6:10, 4:6] = 255
    model = make(name).eval()
    assert (model(left.roll(6, dims=3)) - model(left)).abs().max() > 1e-4


@every_model
def test_every_setting_is_checked_and_named(name: str) -> None:
    wrong = {int: 0, float: 1.5, str: "half", bool: "perhaps", tuple: [4, 0]}
    for field, value in vars(model_config(name, {})).items():
        with pytest.raises(UserError, match=f"model_settings of {name}: {field} is"):
            model_config(name, {field: wrong[type(value)]})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("channels", []),
        ("channels", 8),
        ("features", 8.5),
        ("dropout", 1.0),
        ("dropout", "half"),
        ("depth", 3),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(UserError, match=f"model_settings of cnn.*{field}"):
        model_config("cnn", {field: value})


def test_an_unknown_model_is_answered_with_those_there_are() -> None:
    with pytest.raises(UserError, match=r"no model 'vgg'; there are cnn, cnn_lstm, cnn_gru"):
        model_config("vgg", {})


@every_model
def test_frames_that_are_too_small_are_refused(name: str) -> None:
    larger = {"patch": 32} if name == "video_transformer" else {"channels": [4] * 5}
    with pytest.raises(UserError, match="frames of 16x16 are too small"):
        make(name, **larger)


@every_model
def test_frames_that_are_not_rgb_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="frames have 1 channels"):
        build_model(
            name, model_config(name, TINY.get(name, {})), num_outputs=3, frame_shape=(4, 16, 16, 1)
        )
