"""What was told of a part, as one file: it is there whole or not at all, and holds no pickle."""

from __future__ import annotations

import io
import json
from dataclasses import fields

import numpy as np

from videoproc import storage
from videoproc.learning.learner import Learner, Part, Told
from videoproc.storage import Anywhere

FILE = "told.npz"
ARRAYS = ("scores", "losses")
SCORE = "score "  # an array's name begins so where it is one of the scores


def learn_once(learner: Learner, part: Part, *, seed: int, folder: Anywhere) -> Told:
    """What the learner tells of the part; what it has told before, if that is there."""
    if (told := read(folder)) is None:
        told = learner.learn(part, seed=seed, folder=folder)
        write(told, folder)
    return told


def write(told: Told, folder: Anywhere) -> None:
    others = {f.name: getattr(told, f.name) for f in fields(told) if f.name not in ARRAYS}
    arrays = {SCORE + name: values for name, values in told.scores.items()}
    content = io.BytesIO()
    arrays |= {"told": np.array(json.dumps(others)), "losses": told.losses}
    np.savez(content, allow_pickle=False, **arrays)
    folder.mkdir(parents=True, exist_ok=True)
    storage.write_whole(folder / FILE, content.getvalue())


def read(folder: Anywhere) -> Told | None:
    """What `write` was given; None where there is nothing yet."""
    if not (folder / FILE).is_file():
        return None
    with np.load(io.BytesIO((folder / FILE).read_bytes()), allow_pickle=False) as arrays:
        scores = {n.removeprefix(SCORE): arrays[n] for n in arrays if n.startswith(SCORE)}
        others = json.loads(str(arrays["told"]))
        return Told(scores=scores, losses=arrays["losses"], **others)
