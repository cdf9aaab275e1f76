"""What Ray Train's controller makes of workers that fail.

Apart from the trainer: the controller reads this, and is up the sooner without torch.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ray.exceptions import RayActorError
from ray.train import UserCallback
from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError
from ray.util.queue import Queue

from videoproc.runtime.news import Stopped
from videoproc.types import UserError


@dataclass
class OnFailure(UserCallback):
    """Runs in Ray Train's controller: what the user can mend is not tried again."""

    heard: Queue

    def after_exception(
        self,
        run_context: Any,  # noqa: ARG002 - Ray's signature
        worker_exceptions: dict[int, Exception],
    ) -> None:
        for error in worker_exceptions.values():
            if isinstance(error, UserError):
                raise error
        with suppress(RayActorError):
            self.heard.put(Stopped(first_line(worker_exceptions)))


def first_line(failures: dict[int, Exception]) -> str:
    """Of a lost worker where there is one: what the others say then is only that it is gone."""
    ranks = sorted(
        failures,
        key=lambda rank: (not isinstance(failures[rank], WorkerHealthCheckFailedError), rank),
    )
    error = failures[ranks[0]]
    if isinstance(error, WorkerHealthCheckFailedError):
        return f"worker {ranks[0]} died"
    return (
        f"worker {ranks[0]} failed ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
    )
