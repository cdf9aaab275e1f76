"""Grey-level co-occurrence: which grey values lie near which, how far off, in which direction."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.pictures import grey_frames

LEVELS = 32
DISTANCES_PX = (1, 3, 6)  # 2 along a diagonal is rounded to what 1 is
DIRECTIONS_DEG = (0, 45, 90, 135)
PROPERTIES = ("contrast", "dissimilarity", "homogeneity", "energy", "correlation", "entropy")
FRAMES = 8


def cooccurrence(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Six properties of the co-occurrence matrix (Haralick 1973) of FRAMES frames' grey values in
    LEVELS levels, as scikit-image defines them: contrast (in levels squared), dissimilarity (in
    levels), homogeneity, energy, correlation, and entropy (complexity; in nats).

    Of the matrix of all frames together at each distance (in pixels of frames of at most 128) and
    direction (clockwise as seen from the right: 90 degrees compares with the pixel below); then of
    each property, at distance 1 and over all directions, its standard deviation over time.
    """
    from skimage.feature import graycomatrix, graycoprops

    counts = np.stack(
        [
            graycomatrix(
                grey // (256 // LEVELS),
                DISTANCES_PX,
                np.radians(DIRECTIONS_DEG),
                levels=LEVELS,
                symmetric=True,
            )
            for grey in grey_frames(frames_thwc, most=FRAMES)
        ]
    )
    together = counts.sum(axis=0, dtype=np.float64)
    of_clip = [graycoprops(together, name) for name in PROPERTIES]
    # Frames in the place of distances: their matrices at distance 1, all directions summed.
    near = np.moveaxis(counts[:, :, :, 0].sum(axis=-1, dtype=np.float64), 0, -1)[..., None]
    of_frames = [graycoprops(near, name).std() for name in PROPERTIES]
    return np.concatenate([np.ravel(of_clip), of_frames]).astype(np.float32)


COLUMNS = (
    *(
        f"{name}_{distance}px_{direction}deg"
        for name in PROPERTIES
        for distance in DISTANCES_PX
        for direction in DIRECTIONS_DEG
    ),
    *(f"{name}_deviation" for name in PROPERTIES),
)

FEATURE = Feature(name="texture_cooccurrence", version=1, columns=COLUMNS, compute=cooccurrence)
