"""Stored clips that a tiny network can tell apart, made without decoding anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from videoproc.features import compute_features, select_features
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample, find_samples, read_sample
from videoproc.learning.world import World
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset, Recipe
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import select_task
from videoproc.types import Video

LABELS = ("dark", "medium", "bright")
NUM_VIDEOS = 53
RECIPE = Recipe(sampling=Sampling(num_frames=3), size=Size(height=8, width=8))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # More threads than idle cores slow steps of a millisecond down thirtyfold.
    torch.set_num_threads(1)


def make_videos() -> list[Video]:
    """Three labels in turn, four sources in turn."""
    digests = [hashlib.sha256(str(i).encode()).hexdigest() for i in range(NUM_VIDEOS)]
    return [
        Video(
            video_id=digest[:32],
            digest=digest,
            uri=f"{i}.mp4",
            size_bytes=1,
            num_frames=48,
            duration_s=2.0,
            labels=(LABELS[i % 3],),
            group=f"source {i % 4}",
        )
        for i, digest in enumerate(digests)
    ]


def noise(rng: np.random.Generator, shape: tuple[int, ...], label: str) -> np.ndarray:
    return (rng.integers(0, 120, shape, np.uint8) + 60 * LABELS.index(label)).astype(np.uint8)


def store_clips(dataset: Dataset, videos: list[Video], recipe: Recipe) -> None:
    """Noise, the brighter the later its label stands in LABELS; ten clips a shard."""
    rng = np.random.default_rng(0)
    shape = (recipe.sampling.num_frames, recipe.size.height, recipe.size.width, 3)
    rows = [
        {
            **{name: value for name, value in vars(clip).items() if name != "clip_index"},
            "recipe_id": recipe.recipe_id,
            "frame_indices": list(range(shape[0])),
            "pts_s": [i / 24 for i in range(shape[0])],
            "shape": list(shape),
            "dtype": "uint8",
            "encoding": "raw",
            "frames": [frame.tobytes() for frame in noise(rng, shape, str(video.label))],
        }
        for video in videos
        for clip in recipe.clips_of(video)
    ]
    for start in range(0, len(rows), 10):
        dataset.clips.append_rows(rows[start : start + 10])


def store_vectors(dataset: Dataset, samples: Sequence[Sample], names: Sequence[str]) -> None:
    """The features of samples' clips."""
    reader, rows = ClipReader(), []
    for sample in samples:
        for step_row in compute_features(features=select_features(names))(
            read_sample(sample, reader) | {"error_class": None}
        ):
            rows += [
                {
                    "clip_id": sample.row["clip_id"],
                    "video_id": sample.row["video_id"],
                    "feature": name,
                    "feature_id": feature_id,
                    "vector": vector,
                }
                for name, feature_id, vector in zip(
                    step_row["features"],
                    step_row["feature_ids"],
                    step_row["vectors"],
                    strict=True,
                )
            ]
    dataset.features.append_rows(rows)


@pytest.fixture(scope="session")
def videos() -> list[Video]:
    return make_videos()


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return RECIPE


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory, videos: list[Video]) -> Dataset:
    """Every video's clip; read it only."""
    made = Dataset(folder=tmp_path_factory.mktemp("stored"))
    store_clips(made, videos, RECIPE)
    return made


@pytest.fixture(scope="session")
def samples(dataset: Dataset, videos: list[Video]) -> list[Sample]:
    return find_samples(dataset, recipe=RECIPE, videos=videos, all_views=False)


def tiny_card(model: str = "cnn_gru", *, dropout: float = 0.0) -> Card:
    settings = {"channels": [4, 8], "features": 8, "dropout": dropout}
    return Card(
        task="classification",
        spec={"classes": sorted(LABELS)},
        model=model,
        model_settings=settings | ({"hidden": 8} if model != "cnn" else {}),
        num_outputs=len(LABELS),
        frame_shape=(3, 8, 8, 3),
        recipe=RECIPE.to_json(),
    )


@pytest.fixture(scope="session")
def make_card() -> Callable[..., Card]:
    """A card of a tiny network: make_card(model, dropout=)."""
    return tiny_card


@pytest.fixture
def make_trainer(
    tmp_path: Path, samples: list[Sample], make_card: Callable[..., Card]
) -> Callable[..., Trainer]:
    """A trainer of 33 clips in batches of 8, validated on 20 others."""

    def make(
        name: str = "run", *, dropout: float = 0.0, reported: list | None = None, **loop: object
    ) -> Trainer:
        card = make_card(dropout=dropout)
        settings = {"epochs": 2, "batch_size": 8, "optim": OptimConfig(learning_rate=1e-2)}
        return Trainer(
            config=LoopConfig(**(settings | loop)),  # type: ignore[arg-type]
            task=select_task(card.task),
            card=card,
            train=samples[:33],
            val=samples[33:],
            folder=tmp_path / name,
            report=lambda values, epoch: (
                reported.append((values, epoch)) if reported is not None else None
            ),
            world=World.current(),
        )

    return make
