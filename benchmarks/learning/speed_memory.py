"""A training worker's memory on a table of synthetic clips, in a process of its own.

    python -m benchmarks.learning.speed_memory FOLDER COUNT EPOCHS

Writes a table of COUNT clips, trains EPOCHS on them with a tiny network, and says its own memory
(anonymous, resident: files that it has mapped are the system's) in MiB, when training starts and at
most after any step.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig
from videoproc.learning.loader import GlobalBatch
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import find_samples
from videoproc.learning.world import World
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import select_task
from videoproc.types import Row, Video

FRAMES, SIDE = 16, 56  # 150 KB a clip: one a row group, as larger ones
RECIPE = Recipe(sampling=Sampling(num_frames=FRAMES), size=Size(height=SIDE, width=SIDE))
LABELS = ("left", "right")
CLIPS_PER_SHARD = 200


def main() -> None:
    folder, count, epochs = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    writing = multiprocessing.get_context("spawn").Process(target=write, args=(folder, count))
    writing.start()
    writing.join()
    dataset, videos = Dataset(folder=folder), [_video(i) for i in range(count)]
    samples = find_samples(dataset, recipe=RECIPE, videos=videos, all_views=False)
    card = Card(
        task="classification",
        spec={"classes": list(LABELS)},
        model="cnn",
        model_settings={"channels": [4], "features": 4},
        num_outputs=len(LABELS),
        frame_shape=(FRAMES, SIDE, SIDE, 3),
        recipe=RECIPE.to_json(),
    )
    seen: list[float] = []
    worker = _Watched(
        config=LoopConfig(epochs=epochs, batch_size=32),
        task=select_task(card.task),
        card=card,
        train=samples,
        val=samples[:32],
        folder=folder / "run",
        report=lambda metrics, epoch: None,  # noqa: ARG005
        world=World.current(torch.device("cpu")),
    )
    worker.seen = seen
    before = own_mib()
    worker.fit()
    print(before, max(seen))


def write(folder: Path, count: int) -> None:
    clips = Dataset(folder=folder).clips
    for start in range(0, count, CLIPS_PER_SHARD):
        numbers = range(start, min(count, start + CLIPS_PER_SHARD))
        clips.append_rows(list(_rows([_video(number) for number in numbers])))


class _Watched(Trainer):
    seen: list[float]

    def step(self, batch: GlobalBatch) -> float:
        total = super().step(batch)
        self.seen.append(own_mib())
        return total


def own_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    (held,) = (line.split()[1] for line in lines if line.startswith("RssAnon"))
    return int(held) / 1024


def _video(number: int) -> Video:
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return Video(
        video_id=digest[:32],
        digest=digest,
        uri=f"{number}.mp4",
        size_bytes=1,
        num_frames=48,
        duration_s=2.0,
        labels=(LABELS[number % 2],),
    )


def _rows(videos: list[Video]) -> Iterator[Row]:
    rng = np.random.default_rng(0)
    for video in videos:
        frames = rng.integers(0, 256, (FRAMES, SIDE, SIDE, 3), np.uint8)
        for clip in RECIPE.clips_of(video):
            yield {
                **{name: value for name, value in vars(clip).items() if name != "clip_index"},
                "recipe_id": RECIPE.recipe_id,
                "frame_indices": list(range(FRAMES)),
                "pts_s": [i / 24 for i in range(FRAMES)],
                "shape": list(frames.shape),
                "dtype": "uint8",
                "encoding": "raw",
                "frames": [frame.tobytes() for frame in frames],
            }


if __name__ == "__main__":
    main()
