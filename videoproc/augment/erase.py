"""Erasing: a rectangle of one colour before the picture (Zhong et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation

MAX_ASPECT = 3.3  # width by height, or height by width


@dataclass(frozen=True, kw_only=True)
class Params:
    """The box in pixels, and its colour."""

    top: int
    left: int
    height: int
    width: int
    rgb: tuple[int, int, int]


def draw(
    rng: np.random.Generator, settings: Augmentation, shape_thw: tuple[int, int, int]
) -> Params | None:
    """A share of the frame of up to erase_area, anywhere in it."""
    _, height, width = shape_thw
    area = settings.erase_area * rng.random() * height * width
    aspect = MAX_ASPECT ** rng.uniform(-1.0, 1.0)
    y, x = rng.random(2)
    red, green, blue = rng.integers(0, 256, 3).tolist()
    box_height = min(height, round(np.sqrt(area / aspect)))
    box_width = min(width, round(np.sqrt(area * aspect)))
    if not (box_height and box_width):
        return None
    return Params(
        top=int(y * (height - box_height + 1)),
        left=int(x * (width - box_width + 1)),
        height=box_height,
        width=box_width,
        rgb=(red, green, blue),
    )


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    rows = slice(params.top, params.top + params.height)
    columns = slice(params.left, params.left + params.width)
    made = frames_thwc.copy()
    made[:, rows, columns] = params.rgb
    return made
