"""What a training step costs with channels-last filters and with torch.compile, on one core.

    OMP_NUM_THREADS=1 python -m benchmarks.learning.step

Batches of clips of 16 frames at 112x112, at the models' defaults. All settings run in turn, round
by round in one process, by the loop's own step, and the CPU time of the process is counted: compare
by ratio. The first step of each, in which torch compiles, is told apart, as wall time. The result
is benchmarks/results/learning_step.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
import torch._inductor.config

from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig
from videoproc.learning.loader import GlobalBatch
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.tasks import select_task
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "learning_step.json"
SHAPE = (16, 112, 112, 3)
CLASSES = ("a", "b")
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "channels_last": {"channels_last": True},
    "compile": {"compile": True},
    "channels_last, compile": {"channels_last": True, "compile": True},
    "bf16": {"precision": "bf16"},
    "channels_last, bf16": {"channels_last": True, "precision": "bf16"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["cnn_gru", "tsm"])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--batch_size", type=int, default=4)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    # What an earlier run compiled would make the first steps look cheap.
    torch._inductor.config.force_disable_caches = True
    record = {
        "record": "learning_step",
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.learning.step",
        "batch": [arguments.batch_size, *SHAPE],
        "rounds": arguments.rounds,
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "torch": torch.__version__,
        "code_version": code_version(),
        "models": {
            model: measure(model, rounds=arguments.rounds, batch_size=arguments.batch_size)
            for model in arguments.models
        },
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record["models"], indent=1))


def measure(model: str, *, rounds: int, batch_size: int) -> dict[str, dict[str, float]]:
    """By setting: seconds of the first step, CPU seconds of a later one, and its ratio to plain."""
    batch = make_batch(batch_size)
    with tempfile.TemporaryDirectory() as folder:
        trainers = {
            name: make_trainer(model, settings, Path(folder) / name, batch_size=batch_size)
            for name, settings in SETTINGS.items()
        }
        first_s = {}
        for name, trainer in trainers.items():
            started = time.perf_counter()
            trainer.step(batch)
            first_s[name] = time.perf_counter() - started
        taken_s: dict[str, list[float]] = {name: [] for name in trainers}
        for _ in range(rounds):
            for name, trainer in trainers.items():
                started = time.process_time()
                trainer.step(batch)
                taken_s[name].append(time.process_time() - started)
    plain_s = median(taken_s["plain"])
    return {
        name: {
            "first_step_s": round(first_s[name], 2),
            "cpu_s_a_step": round(median(times), 3),
            "of_plain": round(median(times) / plain_s, 2),
        }
        for name, times in taken_s.items()
    }


def make_trainer(model: str, settings: dict[str, Any], folder: Path, *, batch_size: int) -> Trainer:
    card = Card(
        task="classification",
        spec={"classes": list(CLASSES)},
        model=model,
        model_settings={},
        num_outputs=len(CLASSES),
        frame_shape=SHAPE,
        recipe="",
    )
    samples = [Sample(place=None, row={"label": CLASSES[0]})] * 1000  # type: ignore[arg-type]
    return Trainer(
        config=LoopConfig(batch_size=batch_size, **settings),
        task=select_task(card.task),
        card=card,
        train=samples,
        val=samples,
        folder=folder,
        report=lambda *_: None,
        world=World.current(torch.device("cpu")),
    )


def make_batch(size: int) -> GlobalBatch:
    rng = np.random.default_rng(0)
    return GlobalBatch(
        arrays={
            "frames": torch.from_numpy(rng.integers(0, 256, (size, *SHAPE), np.uint8)),
            "target": torch.arange(size) % len(CLASSES),
        },
        weight_b=torch.ones(size),
        global_size=size,
        clip_ids=[f"{i:032x}" for i in range(size)],
        places=np.arange(size),
        partners=np.arange(size),
    )


if __name__ == "__main__":
    main()
