"""What each augmentation costs a clip of 16 frames at 112x112 on one core, and what others took.

    OMP_NUM_THREADS=1 python -m benchmarks.augment.cost

All run in turn, round by round in one process, on the same clip, and the CPU time of the process
is counted: compare by ratio. What works on tensors has the way from uint8 (T, H, W, C) and back
counted, since clips come and go so. `torch` also costs each worker of Ray its import, which is
measured in a process of its own. The result is benchmarks/results/augment_cost.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch
from kornia import color, enhance, filters
from kornia.geometry import transform
from PIL import Image, ImageFilter

from videoproc.augment import (
    StepAugmentation,
    blur,
    compress,
    crop,
    draw_view,
    erase,
    flip,
    grey,
    hue,
    jitter,
    mix,
    noise,
    rotate,
)
from videoproc.augment import timing as in_time
from videoproc.augment.device import augment_frames
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "augment_cost.json"
T, H, W = 16, 112, 112
Work = Callable[[np.ndarray], np.ndarray]

CROP = crop.Params(top=9, left=13, height=92, width=92)
TURN = rotate.Params(degrees=10.0)
JITTER = jitter.Params(brightness=1.1, contrast=0.9, saturation=1.1)
BLUR = blur.Params(sigma_px=1.5)


def ours() -> dict[str, Work]:
    lost_t = np.arange(T) % 5 == 4
    played = in_time.plan(T, speed=1.3, shift=0.1, backwards=True, lost_t=lost_t)
    jpeg = compress.Params(jpeg_quality=40, h264_crf=None)
    h264 = compress.Params(jpeg_quality=None, h264_crf=35)
    box = erase.Params(top=20, left=30, height=40, width=50, rgb=(1, 2, 3))
    return {
        "speed, shift, reverse, drop": lambda frames: in_time.apply(frames, played),
        "flip": lambda frames: np.ascontiguousarray(
            flip.apply(frames, flip.Params(horizontal=True, vertical=False))
        ),
        "crop": lambda frames: crop.apply(frames, CROP),
        "rotate": lambda frames: rotate.apply(frames, TURN),
        "jitter": lambda frames: jitter.apply(frames, JITTER),
        "hue": lambda frames: hue.apply(frames, hue.Params(degrees=30.0)),
        "grey": lambda frames: grey.apply(frames, grey.Params()),
        "blur": lambda frames: blur.apply(frames, BLUR),
        "noise": lambda frames: noise.apply(frames, noise.Params(std=8.0, seed=1)),
        "erase": lambda frames: erase.apply(frames, box),
        "compress, JPEG": lambda frames: compress.apply(frames, jpeg),
        "compress, H.264": lambda frames: compress.apply(frames, h264),
    }


def to_tensor(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def to_frames(x_tchw: torch.Tensor) -> np.ndarray:
    made = (x_tchw * 255).round().clamp(0, 255).to(torch.uint8)
    return made.permute(0, 2, 3, 1).contiguous().numpy()


def by_kornia(change: Callable[[torch.Tensor], torch.Tensor]) -> Work:
    return lambda frames: to_frames(change(to_tensor(frames)))


def by_pillow(change: Callable[[Image.Image], Image.Image]) -> Work:
    return lambda frames: np.stack([np.asarray(change(Image.fromarray(f))) for f in frames])


def kornia_turn(x_tchw: torch.Tensor) -> torch.Tensor:
    # All frames as channels of one picture, which is faster than one by one.
    turned = transform.rotate(x_tchw.reshape(1, -1, H, W), torch.tensor([TURN.degrees]))
    return turned.view(x_tchw.shape)


def kornia_crop(x_tchw: torch.Tensor) -> torch.Tensor:
    cut = x_tchw[:, :, CROP.top : CROP.top + CROP.height, CROP.left : CROP.left + CROP.width]
    return transform.resize(cut, (H, W))


def kornia_jitter(x_tchw: torch.Tensor) -> torch.Tensor:
    x = enhance.adjust_brightness_accumulative(x_tchw, JITTER.brightness, clip_output=False)
    x = enhance.adjust_saturation_with_gray_subtraction(x, JITTER.saturation)
    return enhance.adjust_contrast_with_mean_subtraction(x, JITTER.contrast)


def kornia_blur(x_tchw: torch.Tensor) -> torch.Tensor:
    return filters.gaussian_blur2d(x_tchw, 11, (BLUR.sigma_px, BLUR.sigma_px))


def pyav_crop_as_before(frames: np.ndarray) -> np.ndarray:
    """With a scaler for each frame, and as many threads as PyAV takes by itself."""
    cut = frames[:, CROP.top : CROP.top + CROP.height, CROP.left : CROP.left + CROP.width]
    pictures = [av.VideoFrame.from_ndarray(np.ascontiguousarray(f), format="rgb24") for f in cut]
    scaled = [p.reformat(width=W, height=H, interpolation="BILINEAR") for p in pictures]
    return np.stack([picture.to_ndarray() for picture in scaled])


def pillow_jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=40)
    return Image.open(buffer)


def others() -> dict[str, dict[str, Work]]:
    box = (CROP.left, CROP.top, CROP.left + CROP.width, CROP.top + CROP.height)
    bilinear = Image.Resampling.BILINEAR
    return {
        "crop": {
            "PyAV, a scaler a frame": pyav_crop_as_before,
            "Pillow": by_pillow(lambda p: p.resize((W, H), bilinear, box)),
            "kornia": by_kornia(kornia_crop),
        },
        "rotate": {"kornia": by_kornia(kornia_turn)},
        "jitter": {"kornia": by_kornia(kornia_jitter)},
        "grey": {
            "Pillow": by_pillow(lambda p: p.convert("L").convert("RGB")),
            "kornia": by_kornia(lambda x: color.rgb_to_grayscale(x).expand_as(x)),
        },
        "blur": {
            "Pillow": by_pillow(lambda p: p.filter(ImageFilter.GaussianBlur(BLUR.sigma_px))),
            "kornia": by_kornia(kornia_blur),
        },
        "compress, JPEG": {"Pillow": by_pillow(pillow_jpeg)},
    }


def in_step() -> dict[str, Work]:
    """What the training step does, here of one clip on the CPU."""

    def of_each(**settings: float) -> Work:
        augmentation = StepAugmentation(**settings).of_each_clip  # type: ignore[arg-type]
        view = draw_view((T, H, W), augmentation=augmentation, seed=[1])
        return lambda frames: augment_frames(torch.from_numpy(frames)[None], views=[view]).numpy()

    def mixed(**settings: float) -> Work:
        drawn = mix.draw(1, settings=StepAugmentation(**settings), seed=[0])  # type: ignore[arg-type]
        return lambda frames: mix.mix_frames(*[torch.from_numpy(frames)[None]] * 2, drawn)[
            0
        ].numpy()

    return {
        "crop and flips": of_each(min_crop_area=0.7, flip_horizontal=True, flip_vertical=True),
        "crop, flips and jitter": of_each(min_crop_area=0.7, flip_horizontal=True, jitter=0.2),
        "mixup": mixed(mixup=0.2),
        "cutmix": mixed(cutmix=1.0),
    }


def import_cost() -> dict[str, float]:
    """Seconds and MB that torch and kornia add to a process that has the rest."""
    code = (
        "import json, psutil, time; import videoproc.augment\n"
        "mb = lambda: psutil.Process().memory_info().rss / 1e6\n"
        "before, began = mb(), time.process_time(); import kornia\n"
        "print(json.dumps({'s': time.process_time() - began, 'mb': mb() - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=201)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    y, x = np.mgrid[:H, :W]
    rng = np.random.default_rng(0)
    wave = 127 + 90 * np.sin((x + 3 * np.arange(T)[:, None, None]) / 9) * np.cos(y / 11)
    grain = rng.normal(0, 6, (T, H, W, 3))
    frames = np.clip(wave[..., None] + grain, 0, 255).astype(np.uint8)
    works = {(kind, ""): work for kind, work in ours().items()}
    works |= {("in the training step", name): work for name, work in in_step().items()}
    works |= {(kind, name): work for kind, by in others().items() for name, work in by.items()}
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in works}
    for number in range(rounds + 1):
        for key, work in works.items():
            began = time.process_time()
            work(frames)
            if number:  # the first warms up
                taken[key].append((time.process_time() - began) * 1e3)
    record = {
        "record": "augment_cost",
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.augment.cost",
        "clip": {"frames": T, "height": H, "width": W},
        "rounds": rounds,
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "code_version": code_version(),
        "import_of_torch_and_kornia": {k: round(v, 2) for k, v in import_cost().items()},
        "kinds": {
            kind: {
                "cpu_ms_a_clip": round(median(taken[kind, ""]), 2),
                "times_ours": {
                    name: round(
                        median(
                            b / a for a, b in zip(taken[kind, ""], taken[kind, name], strict=True)
                        ),
                        2,
                    )
                    for name in others().get(kind, {})
                },
            }
            for kind in ours()
        },
        "training_step_on_cpu_ms_a_clip": {
            name: round(median(taken["in the training step", name]), 2) for name in in_step()
        },
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
