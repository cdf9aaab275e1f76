"""Drawing: a camera with its own look, and shapes that move before it."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videoproc.corpus.synthetic.actions import Motion

SIDES = {"disc": 0, "square": 4, "triangle": 3}
"""The shapes, as regular polygons; none for the disc."""

INRADIUS = {"disc": 1.0, "square": 0.886, "triangle": 0.778}
"""In radii of the disc of the same area, so that no shape is larger than another."""

MAX_SHAKE_PX = 4


@dataclass(frozen=True, kw_only=True)
class Camera:
    """One source: its format and its look, the same in all its videos.

    background_hwc: float32 RGB from 0 to 255, wider than the frame by MAX_SHAKE_PX on each side.
    """

    height: int
    width: int
    fps: float
    background_hwc: np.ndarray
    noise_std: float
    shake_px: float


@dataclass(frozen=True, kw_only=True)
class Actor:
    """One shape in one motion, present from `start_frame` for as many frames as the motion has."""

    motion: Motion
    start_frame: int
    shape: str
    angle_rad: float
    colour_rgb: np.ndarray


def draw_camera(rng: np.random.Generator, *, height: int, width: int, fps: float) -> Camera:
    """A camera with a random texture, palette, noise level and shake."""
    rows, columns = height + 2 * MAX_SHAKE_PX, width + 2 * MAX_SHAKE_PX
    texture = _texture(rng, rows, columns)[..., None]
    # Muted and dark: a shape is vivid and bright, so it stands out before every camera.
    dark, light = (_colour(rng, saturation=0.35, value=value) for value in (0.22, 0.52))
    return Camera(
        height=height,
        width=width,
        fps=fps,
        background_hwc=(dark + texture * (light - dark)).astype(np.float32),
        noise_std=rng.uniform(2.0, 8.0),
        shake_px=rng.uniform(0.0, 1.5),
    )


def draw_actor(rng: np.random.Generator, motion: Motion, *, start_frame: int = 0) -> Actor:
    """A shape of random kind, angle and vivid colour in the given motion."""
    return Actor(
        motion=motion,
        start_frame=start_frame,
        shape=str(rng.choice(list(SIDES))),
        angle_rad=rng.uniform(0.0, 2.0 * np.pi),
        colour_rgb=_colour(rng, saturation=rng.uniform(0.55, 0.9), value=1.0),
    )


def draw_frames(
    camera: Camera, actors: Sequence[Actor], rng: np.random.Generator, *, num_frames: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """What the camera sees.

    Returns: frames (T, H, W, 3) uint8, and for each actor its mask, (T, H, W) bool: the pixels
    of which it covers at least half.
    """
    offset_xy = _shake(rng, num_frames, camera.shake_px)
    frames = np.stack([_view(camera, x, y) for x, y in offset_xy])
    masks = []
    for actor in actors:
        present = slice(actor.start_frame, actor.start_frame + len(actor.motion.radius_px))
        cover, shade = _cover(actor, offset_xy[present], camera.height, camera.width)
        paint = shade[..., None] * actor.colour_rgb
        frames[present] += cover[..., None] * (paint - frames[present])
        mask = np.zeros(frames.shape[:3], dtype=bool)
        mask[present] = cover >= 0.5
        masks.append(mask)
    grain = rng.standard_normal(frames.shape[:3], dtype=np.float32) * np.float32(camera.noise_std)
    return np.clip(np.rint(frames + grain[..., None]), 0, 255).astype(np.uint8), masks


def _shake(rng: np.random.Generator, num_frames: int, shake_px: float) -> np.ndarray:
    """(T, 2) whole pixels: smoothed white noise, which has the same law run backwards."""
    white = rng.standard_normal((num_frames + 2, 2))
    smooth = (white[:-2] + 2.0 * white[1:-1] + white[2:]) / np.sqrt(6.0)
    return np.clip(np.rint(shake_px * smooth), -MAX_SHAKE_PX, MAX_SHAKE_PX).astype(int)


def _view(camera: Camera, x: int, y: int) -> np.ndarray:
    # What stands still moves by +offset in the frame, as the actors do.
    top, left = MAX_SHAKE_PX - y, MAX_SHAKE_PX - x
    return camera.background_hwc[top : top + camera.height, left : left + camera.width]


def _cover(
    actor: Actor, offset_xy: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Two (T, H, W) float32: the share of each pixel that the shape covers, and its shading."""
    centre = (actor.motion.centre_xy + offset_xy).astype(np.float32)
    radius = actor.motion.radius_px.astype(np.float32)[:, None, None]
    dx = (np.arange(width, dtype=np.float32) + 0.5 - centre[:, :1])[:, None, :]
    dy = (np.arange(height, dtype=np.float32) + 0.5 - centre[:, 1:])[:, :, None]
    if sides := SIDES[actor.shape]:
        angles = actor.angle_rad + 2.0 * np.pi * np.arange(sides) / sides
        edges = [dx * np.float32(np.cos(a)) + dy * np.float32(np.sin(a)) for a in angles]
        reach = np.maximum.reduce(edges)
    else:
        reach = np.sqrt(dx * dx + dy * dy)
    outside = reach - INRADIUS[actor.shape] * radius
    # A darker rim keeps the shape apart from a background of like colour.
    shade = np.clip(0.55 - 1.5 * outside / radius, 0.55, 1.0)
    return np.clip(0.5 - outside, 0.0, 1.0), shade


def _colour(rng: np.random.Generator, *, saturation: float, value: float) -> np.ndarray:
    """(3,) float32 RGB from 0 to 255, of a random hue."""
    hue = rng.uniform()
    return 255.0 * np.array(colorsys.hsv_to_rgb(hue, saturation, value), dtype=np.float32)


def _texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """(H, W) from 0 to 1: value noise in four octaves, and faint stripes."""
    texture = np.zeros((height, width))
    for cells in (3, 6, 12, 24):
        grid = rng.uniform(-1.0, 1.0, size=(cells + 1, cells + 1))
        texture += _hats(height, cells) @ grid @ _hats(width, cells).T * (3.0 / cells) ** 0.6
    angle, wavelength = rng.uniform(0.0, np.pi), rng.uniform(0.08, 0.2) * width
    y, x = np.mgrid[:height, :width]
    stripes = np.sin(2.0 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)
    texture += rng.uniform(0.1, 0.4) * stripes
    return (texture - texture.min()) / np.ptp(texture)


def _hats(size: int, cells: int) -> np.ndarray:
    """(size, cells + 1) weights of linear interpolation between the corners of the cells."""
    at = np.linspace(0.0, cells, size)[:, None]
    return np.clip(1.0 - np.abs(at - np.arange(cells + 1)), 0.0, None)
