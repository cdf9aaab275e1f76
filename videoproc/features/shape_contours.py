"""Outlines of what stands out in the frames and of what moves: how many, how large, how compact."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import (
    mean_and_deviation,
    mean_and_deviation_columns,
    steps_of,
)
from videoproc.features.pictures import foreground, grey_frames, moving, opencv

QUANTITIES = (
    "count",
    "area",
    "largest_area",
    "perimeter",
    "solidity",
    "rectangularity",
    "circularity",
    "elongation",
)
SPECK = 0.001  # a smaller share of the frame is no object


def shape_contours(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """What `outline` says of each frame's foreground (the smaller class by Otsu), mean and standard
    deviation over time; then of the pixels that change between neighbours."""
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    standing = [outline(foreground(frame)) for frame in grey]
    moved = [
        outline(moving(grey[i], grey[j])) for i, j in zip(steps.first, steps.second, strict=True)
    ]
    return np.concatenate(
        [
            mean_and_deviation(np.reshape(masks, (-1, len(QUANTITIES))))  # of no steps too
            for masks in (standing, moved)
        ]
    ).astype(np.float32)


def outline(mask_hw: np.ndarray) -> list[float]:
    """count: objects of at least SPECK of the frame. area: share of the frame that the mask covers.
    largest_area: that of the largest object. perimeter: of all objects, as a multiple of the
    frame's. Of the largest object: solidity (area over its convex hull's), rectangularity (over its
    smallest rectangle's), circularity (4 pi area / perimeter squared) and elongation (1 - shorter /
    longer side of that rectangle). No object: zeros.
    """
    cv2 = opencv()
    height, width = mask_hw.shape
    contours, _ = cv2.findContours(mask_hw, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    objects = [one for one in contours if cv2.contourArea(one) >= SPECK * height * width]
    covered = float(mask_hw.mean())
    if not objects:
        return [0.0, covered, *[0.0] * (len(QUANTITIES) - 2)]
    largest = max(objects, key=cv2.contourArea)
    area, around = cv2.contourArea(largest), cv2.arcLength(largest, closed=True)
    sides = sorted(cv2.minAreaRect(largest)[1])
    return [
        float(len(objects)),
        covered,
        area / (height * width),
        sum(cv2.arcLength(one, closed=True) for one in objects) / (2 * (height + width)),
        area / cv2.contourArea(cv2.convexHull(largest)),
        area / (sides[0] * sides[1]),
        4 * np.pi * area / around**2,
        1 - sides[0] / sides[1],
    ]


FEATURE = Feature(
    name="shape_contours",
    version=1,
    columns=(
        *mean_and_deviation_columns(f"foreground_{name}" for name in QUANTITIES),
        *mean_and_deviation_columns(f"moving_{name}" for name in QUANTITIES),
    ),
    compute=shape_contours,
)
