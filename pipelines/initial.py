"""First weights from elsewhere: where they come from, and what a model begins with then."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pipelines import cli
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import WEIGHTS_SUFFIX, InitConfig
from videoproc.learning.initial import FirstWeights
from videoproc.masking import masked
from videoproc.models.initial import Loaded
from videoproc.storage import Anywhere
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where first weights come from. run: None where they are no run's of ours."""

    first: FirstWeights
    run: runlog.Run | None

    @property
    def tags(self) -> dict[str, str]:
        return {runlog.BEGAN_AS if self.run else "init_file": self.first.name}

    def begin(self, card: Card, *, seed: int) -> Initial:
        """What a model of `card` begins with. Errors: as `FirstWeights.of`."""
        weights, loaded = self.first.of(card, seed=seed)
        return Initial(source=self, weights=weights, loaded=loaded)


@dataclass(frozen=True, kw_only=True)
class Initial:
    """weights: all of the model's, ready to begin with."""

    source: Source
    weights: dict[str, torch.Tensor]
    loaded: Loaded

    @property
    def said(self) -> str:
        kept, left, unused = len(self.loaded.loaded), self.loaded.left, len(self.loaded.unused)
        of_run = "run " if self.source.run else ""
        parts = [
            f"begins with {kept} tensors of {of_run}{self.source.first.name}",
            f"fresh: {', '.join(left)}" if left else "",
            f"{unused} of its tensors have no place" if unused else "",
            "" if self.source.run else "what a file has learned from, nobody can tell",
        ]
        return "; ".join(part for part in parts if part)


def find_source(source: str, init: InitConfig) -> Source:
    """The weights of a training run, by its id or the beginning of it, or of a safetensors file.

    Errors: UserError where there is no such run or file.
    """
    if source.endswith(WEIGHTS_SUFFIX):
        file = cli.absolute(source)
        run, name, content = None, masked(str(file)), _content(file, source)
    else:
        workspace = cli.workspace()
        run = runlog.resolve_run(source, workspace=workspace)
        name = run.run_id
        content = _content(run.checkpoint_folder(workspace) / checkpoint.MODEL, source)
    return Source(first=FirstWeights(content=content, name=name, init=init), run=run)


def _content(file: Anywhere, source: str) -> bytes:
    if not file.exists():
        raise UserError(
            f"init_from: {source!r} has no weights at {masked(str(file))}: give a training run of "
            f"a network, or a file whose name ends in {WEIGHTS_SUFFIX}"
        )
    return file.read_bytes()
