"""Real worker processes with a gloo process group, one thread each."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing


def in_workers(
    job: Callable[..., Any], *arguments: Any, num_workers: int, folder: Path
) -> list[Any]:
    """What `job(*arguments)` returns in each of `num_workers` processes, by rank."""
    folder.mkdir(parents=True)
    torch.multiprocessing.spawn(
        _work, args=(job, arguments, num_workers, folder), nprocs=num_workers
    )
    return [torch.load(folder / f"rank-{rank}", weights_only=False) for rank in range(num_workers)]


def _work(
    rank: int, job: Callable[..., Any], arguments: tuple[Any, ...], num_workers: int, folder: Path
) -> None:
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=num_workers
    )
    torch.save(job(*arguments), folder / f"rank-{rank}")
    dist.barrier()  # one that leaves early can cut the others' last exchange short
    dist.destroy_process_group()
