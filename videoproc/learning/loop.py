"""Training: the same code in one process and in many, on CPU and GPU.

Losses are summed over the workers and divided by the global count, so that with dropout off the
number of workers changes nothing but rounding. The position stands in the checkpoint: a resumed
run sees exactly the samples, and draws exactly the dropout, that the uninterrupted one would have.
With another number of workers it sees the same samples, and draws other dropout: that is seeded by
rank too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from videoproc import schema
from videoproc.learning import augmented, checkpoint
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.config import LoopConfig
from videoproc.learning.evaluate import score
from videoproc.learning.loader import GlobalBatch, Waiting, batches, epoch_order
from videoproc.learning.optim import learning_rate, make_optimiser
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.storage import Anywhere
from videoproc.tasks import Task

Report = Callable[[dict[str, float], int], None]
"""Takes metrics and the epoch that they belong to, counted from 0. Called on rank 0 only."""


def _stays() -> bool:
    return False


@dataclass(kw_only=True)
class Trainer:
    """One run of training: what it trains, on what, where to, and how far it has got.

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
        torch.manual_seed(self.config.seed)
        self.model = self.card.build().to(self.world.device)
        self.optimiser = make_optimiser(self.model, self.config.optim)
        self.position = checkpoint.resume(
            self.folder, model=self.model, optimiser=self.optimiser, device=self.world.device
        )
        steps = self.world.gather(self.position.step)
        if len(set(steps)) > 1:  # a shared disk that shows some machines what was a moment ago
            raise RuntimeError(
                f"the workers find different last checkpoints in {self.folder}: {steps}"
            )
        self.wrapped = self.world.wrap(self.model)
        self.batches_per_epoch = -(-len(self.train) // self.config.batch_size)
        self.total_steps = self.batches_per_epoch * self.config.epochs

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
            order=epoch_order(
                len(self.train), seed=self.config.seed, epoch=position.epoch, shuffle=True
            ),
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
        rate = self._rate(self.position.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self._seed_dropout()
        self.wrapped.train()
        made = augmented.augment(
            batch,
            self.config.augmentation,
            seed=self.config.seed,
            epoch=self.position.epoch,
            number=self.position.batch,
        )
        with torch.autocast(self.world.device.type, torch.bfloat16, enabled=self._bf16):
            outputs = self.task.loss.forward(self.wrapped, made.own)
        loss_sum = (made.loss_b(self.task.loss, outputs) * batch.weight_b).sum()
        self.optimiser.zero_grad(set_to_none=True)
        # The exchange averages over workers: times their number it is the sum.
        (loss_sum * self.world.size / batch.global_size).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip_norm)
        self.optimiser.step()
        total, leaving = self.world.sums(loss_sum.item(), self.is_leaving())
        self._leaving = leaving > 0  # of all workers at the same step
        return total

    def _validate(self) -> dict[str, float]:
        scores, losses = score(
            self.model,
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
        position, value = self.position, metrics[f"val/{self.task.metrics.MONITOR}"]
        if self.world.rank == 0:
            self.report(metrics, position.epoch)
        loss = metrics["val/loss"]
        if position.best_step is None or self._better(value, loss):
            position.best_value, position.best_loss = value, loss
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

    def _better(self, value: float, loss: float) -> bool:
        """Of two epochs with the same metric (few clips, few values) the lower loss is better."""
        best, best_loss = self.position.best_value, self.position.best_loss
        assert best is not None
        assert best_loss is not None
        if value == best:
            return loss < best_loss
        return value > best if self.task.metrics.MAXIMISE else value < best

    def _rate(self, step: int) -> float:
        return learning_rate(step, total_steps=self.total_steps, config=self.config.optim)

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
            )
        self.world.barrier()
