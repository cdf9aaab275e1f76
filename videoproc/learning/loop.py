"""Training: the same code in one process and in many, on CPU and GPU.

Losses are summed over the workers and divided by the global count, so that with dropout off the
number of workers changes nothing but rounding. The position stands in the checkpoint: a resumed
run sees exactly the samples, and draws exactly the dropout, that the uninterrupted one would have.
With another number of workers it sees the same samples, and draws other dropout: that is seeded by
rank too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from videoproc import schema
from videoproc.learning import augmented, checkpoint
from videoproc.learning.augmented import Augmented
from videoproc.learning.average import Average
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.config import LoopConfig
from videoproc.learning.evaluate import score
from videoproc.learning.loader import GlobalBatch, Waiting, batches, epoch_order
from videoproc.learning.objective import training_loss
from videoproc.learning.optim import add_penalties, make_optimiser, set_rate
from videoproc.learning.order import balanced_order
from videoproc.learning.samples import Sample
from videoproc.learning.schedule import Quality, learning_rate, plateau_drops
from videoproc.learning.world import World
from videoproc.models.initial import freeze
from videoproc.storage import Anywhere
from videoproc.tasks import Task

Report = Callable[[dict[str, float], int], None]
"""Takes metrics and the epoch that they belong to, counted from 0. Called on rank 0 only."""


def _stays() -> bool:
    return False


@dataclass(kw_only=True)
class Trainer:
    """One run of training: what it trains, on what, where to, and how far it has got.

    val: may be empty: then nothing is chosen by it, and the last epoch is the best.
    is_leaving: asked on each worker after every step, whether a machine is about to be taken away:
    where one worker says so, all save a checkpoint there and then, and go on. It must say so once.
    """

    config: LoopConfig
    task: Task
    card: Card
    train: Sequence[Sample]
    val: Sequence[Sample]
    folder: Anywhere
    report: Report
    world: World
    is_leaving: Callable[[], bool] = _stays

    def __post_init__(self) -> None:
        self._leaving = False
        config = self.config
        torch.manual_seed(config.seed)
        self.model = self.card.build()
        checkpoint.load_initial(self.folder, self.model)
        freeze(self.model, config.optim.rates)
        if config.channels_last:
            keep_channels_last(self.model)
        self.model = self.model.to(self.world.device)
        self.average = Average(self.model, decay=config.average) if config.average else None
        self.optimiser = make_optimiser(self.model, config.optim)
        self.position = checkpoint.resume(
            self.folder,
            model=self.model,
            optimiser=self.optimiser,
            device=self.world.device,
            average=None if self.average is None else self.average.model,
        )
        steps = self.world.gather(self.position.step)
        if len(set(steps)) > 1:  # a shared disk that shows some machines what was a moment ago
            raise RuntimeError(
                f"the workers find different last checkpoints in {self.folder}: {steps}"
            )
        trained = self.model
        if config.compile:  # one program for each shape: a resumed run computes by the same ones
            trained = torch.compile(self.model, dynamic=False)  # type: ignore[assignment]
        self.wrapped = self.world.wrap(trained)
        self._loss_b = training_loss(
            self.task, [sample.row for sample in self.train], self.card.spec, config.loss
        )
        self.batches_per_epoch = -(-len(self._order(0)) // config.batch_size)
        self.total_steps = self.batches_per_epoch * config.epochs

    def fit(self) -> Position:
        """Train from where the last checkpoint stands to the end; returns the last position."""
        while not self.position.finished:
            self._epoch()
        return self.position

    def _epoch(self) -> None:
        position, started, waiting = self.position, time.perf_counter(), Waiting()
        clips_before = position.loss_count
        for batch in batches(
            self.train,
            make_batch=lambda rows: self.task.targets.make_batch(rows, self.card.spec),
            order=self._order(position.epoch),
            batch_size=self.config.batch_size,
            first_batch=position.batch,
            rank=self.world.rank,
            num_workers=self.world.size,
            device=self.world.device,
            waiting=waiting,
            pairs=augmented.pairs(
                self.config.augmentation, seed=self.config.seed, epoch=position.epoch
            ),
        ):
            position.loss_sum += self.step(batch)
            position.loss_count += batch.global_size
            position.batch += 1
            position.step += 1
            every = self.config.checkpoint_every_steps
            # An epoch's last batch is saved with the epoch's metrics, unless there is no time.
            is_due = (
                every and position.step % every == 0 and position.batch < self.batches_per_epoch
            )
            if is_due or self._leaving:
                self._save()
        elapsed_s = time.perf_counter() - started
        metrics = {
            "train/loss": position.loss_sum / position.loss_count,
            "learning_rate": self._rate(position.step - 1),
            "train/seconds": elapsed_s,
            "train/clips_per_second": (position.loss_count - clips_before) / elapsed_s,
            "train/data_wait_share": waiting.seconds / elapsed_s,
        } | self._validate()
        self._end_epoch(metrics)

    def step(self, batch: GlobalBatch) -> float:
        """One step on this worker's part of a global batch; the global sum of its losses."""
        set_rate(self.optimiser, self._rate(self.position.step))
        self._seed_dropout()
        self.wrapped.train()
        made = augmented.augment(
            batch,
            self.config.augmentation,
            segments=None if self.card.segments is None else self.card.segments["count"],
            seed=self.config.seed,
            epoch=self.position.epoch,
            number=self.position.batch,
        )
        self.optimiser.zero_grad(set_to_none=True)
        loss_sum = self._backward(made, batch)
        optim = self.config.optim
        add_penalties(self.model, l1=optim.l1, l2=optim.l2)
        nn.utils.clip_grad_norm_(self.model.parameters(), optim.clip_norm)
        self.optimiser.step()
        if self.average is not None:
            self.average.update(self.model, steps=self.position.step + 1)
        total, leaving = self.world.sums(loss_sum, self.is_leaving())
        self._leaving = leaving > 0  # of all workers at the same step
        return total

    def _backward(self, made: Augmented, batch: GlobalBatch) -> float:
        """The gradients of this worker's samples, part by part; the sum of their losses.

        Workers exchange gradients with their last part, and each has one.
        """
        size, loss = len(batch.weight_b), 0.0
        edges = np.linspace(0, size, min(self.config.accumulate, size) + 1, dtype=int)
        for start, stop in pairwise(edges):
            part = made.rows(slice(start, stop)) if len(edges) > 2 else made
            with self._without_exchange() if stop < size else nullcontext():
                with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self._bf16):
                    outputs = self.task.loss.forward(self.wrapped, part.own)
                loss_b = part.loss_b(self._loss_b, outputs)
                loss_sum = (loss_b * batch.weight_b[start:stop]).sum()
                # The exchange averages over workers: times their number it is the sum.
                (loss_sum * self.world.size / batch.global_size).backward()
            loss += loss_sum.item()
        return loss

    def _without_exchange(self) -> AbstractContextManager[None]:
        wrapped = self.wrapped
        return wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) else nullcontext()

    def _order(self, epoch: int) -> np.ndarray:
        seed = self.config.seed
        if self.config.balanced_sampling:
            labels = [sample.row["label"] for sample in self.train]
            return balanced_order(labels, seed=seed, epoch=epoch)
        return epoch_order(len(self.train), seed=seed, epoch=epoch, shuffle=True)

    def _validate(self) -> dict[str, float]:
        if not self.val:
            return {}
        model = self.model if self.average is None else self.average.model
        # Each worker has batch statistics of its own part; those of rank 0 stand in checkpoints.
        self.world.share_buffers(model)
        scores, losses = score(
            self.card.answering(model),
            self.val,
            task=self.task,
            spec=self.card.spec,
            batch_size=self.config.batch_size,
            world=self.world,
        )
        summary = self.task.metrics.summarise(scores, self.card.spec)
        return {"val/loss": float(losses.mean())} | {
            # Numbers of single classes wait for `evaluate`: an epoch is read at a look.
            f"val/{name}": value
            for name, value in summary.items()
            if "/" not in name
        }

    def _end_epoch(self, metrics: dict[str, float]) -> None:
        position = self.position
        if self.world.rank == 0:
            self.report(metrics, position.epoch)
        if self._is_best(metrics):
            position.best_value = metrics.get(f"val/{self.task.metrics.MONITOR}")
            position.best_loss = metrics.get("val/loss")
            position.best_step = position.step
            position.epochs_since_best = 0
        else:
            position.epochs_since_best += 1
        position.history.append(metrics)
        position.epoch += 1
        position.batch, position.loss_sum, position.loss_count = 0, 0.0, 0
        patience = self.config.patience
        position.finished = position.epoch >= self.config.epochs or (
            0 < patience <= position.epochs_since_best
        )
        self._save()

    def _quality(self, value: float, loss: float) -> Quality:
        """Of two epochs with the same metric (few clips, few values) the lower loss is better. One
        whose loss is no number is worse than any: its metric is that of answering at random."""
        if math.isnan(loss):
            return -math.inf, -math.inf
        return (value if self.task.metrics.MAXIMISE else -value, -loss)

    def _is_best(self, metrics: dict[str, float]) -> bool:
        best, best_loss = self.position.best_value, self.position.best_loss
        if best is None or best_loss is None:
            return True
        value, loss = metrics[f"val/{self.task.metrics.MONITOR}"], metrics["val/loss"]
        return self._quality(value, loss) > self._quality(best, best_loss)

    def _rate(self, step: int) -> float:
        return learning_rate(
            step,
            total_steps=self.total_steps,
            steps_per_epoch=self.batches_per_epoch,
            config=self.config.optim,
            drops=self._drops(),
        )

    def _drops(self) -> int:
        """How often `plateau` has lowered the rate: by what stands in the checkpoint."""
        schedule, monitor = self.config.optim.schedule, f"val/{self.task.metrics.MONITOR}"
        if schedule.name != "plateau":
            return 0
        return plateau_drops(
            [self._quality(m[monitor], m["val/loss"]) for m in self.position.history],
            patience=schedule.patience,
        )

    def _seed_dropout(self) -> None:
        # A function of the position, so that a resumed run needs no generator's state.
        seed = schema.content_id(self.config.seed, self.position.step, self.world.rank)
        torch.manual_seed(int(seed[:15], 16))

    @property
    def _bf16(self) -> bool:
        auto = self.config.precision == "auto" and self.world.device.type == "cuda"
        return auto or self.config.precision == "bf16"

    def _save(self) -> None:
        if self.world.rank == 0:
            checkpoint.save(
                self.folder,
                model=self.model,
                optimiser=self.optimiser,
                card=self.card,
                position=self.position,
                average=None if self.average is None else self.average.model,
            )
        self.world.barrier()


def keep_channels_last(model: nn.Module) -> None:
    """Store filters channel by channel within each pixel; convolutions then give such maps."""
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in model.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.to(memory_format=formats[parameter.ndim])
