"""The six actions, as motions: where the shape is and how large, frame by frame.

They come in three pairs that only time tells apart. A motion is drawn for the pair, and its
second class is the same motion run backwards; so both classes hold the same frames with the same
probability, in opposite order, and a model that averages over frames can only guess:

    right   o . . . .   ─▶   . . o . .   ─▶   . . . . o
    left    . . . . o   ─▶   . . o . .   ─▶   o . . . .
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

REVERSE_OF = {"left": "right", "down": "up", "recede": "approach"}
"""The second class of each pair, and the class that it is when run backwards."""

LABELS = ("left", "right", "up", "down", "approach", "recede")


@dataclass(frozen=True, kw_only=True)
class Motion:
    """centre_xy: (T, 2) pixels, y downwards. radius_px: (T,), that of the disc of like area."""

    centre_xy: np.ndarray
    radius_px: np.ndarray

    def reversed(self) -> Motion:
        """The same motion run backwards."""
        return Motion(centre_xy=self.centre_xy[::-1], radius_px=self.radius_px[::-1])


def draw_motion(
    label: str, rng: np.random.Generator, *, num_frames: int, height: int, width: int
) -> Motion:
    """A random motion of the class `label` in a frame of height x width pixels."""
    if label in REVERSE_OF:
        forward = draw_motion(
            REVERSE_OF[label], rng, num_frames=num_frames, height=height, width=width
        )
        return forward.reversed()
    progress = _progress(rng, num_frames)
    frame = np.array([width, height])
    if label == "approach":
        return _approach(progress, rng, frame)
    radius = rng.uniform(0.10, 0.14) * height
    # x grows to the right, and y downwards, so that "up" begins at the far end.
    return _crossing(progress, rng, frame, radius, axis=0 if label == "right" else 1)


def _progress(rng: np.random.Generator, num_frames: int) -> np.ndarray:
    """(T,) from 0 to 1: a rest, a move at a varying pace, a rest, in distribution symmetric."""
    rest_before, rest_after = rng.uniform(0.0, 0.12, size=2)
    time = np.linspace(0.0, 1.0, num_frames)
    linear = np.clip((time - rest_before) / (1.0 - rest_before - rest_after), 0.0, 1.0)
    eased = linear * linear * (3.0 - 2.0 * linear)
    return linear + rng.uniform(0.0, 1.0) * (eased - linear)


def _crossing(
    progress: np.ndarray, rng: np.random.Generator, frame: np.ndarray, radius: float, *, axis: int
) -> Motion:
    """From one side of the frame to the other along `axis` (0 is x), with a slight drift."""
    first, last = radius + rng.uniform(0.02, 0.08, size=2) * frame[axis]
    along = first + progress * (frame[axis] - last - first)
    across_frame = frame[1 - axis]
    drift = rng.uniform(-0.05, 0.05) * across_frame
    across = rng.uniform(0.25, 0.75) * across_frame + drift * (progress - 0.5)
    centre = np.stack([along, across] if axis == 0 else [across, frame[1] - along], axis=1)
    return Motion(centre_xy=centre, radius_px=np.full(len(progress), radius))


def _approach(progress: np.ndarray, rng: np.random.Generator, frame: np.ndarray) -> Motion:
    """At one place, growing by a constant factor in equal steps of progress."""
    largest = rng.uniform(0.24, 0.34) * frame[1]
    ratio = rng.uniform(2.6, 3.6)
    middle = rng.uniform(0.4, 0.6, size=2) * frame
    drift = rng.uniform(-0.08, 0.08, size=2) * frame
    return Motion(
        centre_xy=middle + drift * (progress[:, None] - 0.5),
        radius_px=largest * ratio ** (progress - 1.0),
    )
