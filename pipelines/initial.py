"""First weights from elsewhere: where they come from, and what they have learned from there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import torch

from pipelines import cli
from videoproc import runlog, schema
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.masking import masked
from videoproc.models.initial import Loaded, load_partly
from videoproc.storage import Anywhere
from videoproc.types import UserError, Video

SUFFIX = ".safetensors"
LearnedFrom = dict[str, dict[str, list[str]]]
"""By split, the ids of videos and the names of groups."""


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """How the tensors of `init_from` find their place in the model.

    Args:
        name_map: from the source's names, or their beginnings, to the model's; names that none of
            them begins stay as they are.
        skip: parts of the model that keep their random weights, such as a head for other classes.
        strict: refuse a source that does not have every other tensor of the model.
    """

    name_map: dict[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    strict: bool = False


@dataclass(frozen=True, kw_only=True)
class Initial:
    """weights: all of the model's, ready to begin with. source: a run's id or a file. key: of what
    decides the weights beside the seed. run: None where they are no run's of ours."""

    weights: dict[str, torch.Tensor]
    loaded: Loaded
    source: str
    key: str
    run: runlog.Run | None

    @property
    def tags(self) -> dict[str, str]:
        return {runlog.BEGAN_AS if self.run else "init_file": self.source}

    @property
    def said(self) -> str:
        kept, left = len(self.loaded.loaded), self.loaded.left
        of_run = "run " if self.run else ""
        others = f"; fresh: {', '.join(left)}" if left else ""
        unused = f"; {len(self.loaded.unused)} of its tensors have no place" * bool(
            self.loaded.unused
        )
        return f"begins with {kept} tensors of {of_run}{self.source}{others}{unused}"


def find_initial(source: str, config: InitConfig, *, card: Card, seed: int) -> Initial:
    """The weights that a model of `card` begins with: those of `source`, the id of a training run
    (or its beginning) or a safetensors file, and where it has none those that `seed` decides.

    Errors: UserError where there is no such run or file, and as load_partly.
    """
    run, name, content = _read(source)
    tensors = checkpoint.read_weights(content, name=name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = card.build()
    loaded = load_partly(
        model, tensors, name_map=config.name_map, skip=config.skip, strict=config.strict
    )
    return Initial(
        weights=model.state_dict(),
        loaded=loaded,
        source=name,
        key=schema.content_id(hashlib.sha256(content).hexdigest(), asdict(config)),
        run=run,
    )


def _read(source: str) -> tuple[runlog.Run | None, str, bytes]:
    """The run if it is one, what to call the source, and the safetensors in it."""
    if source.endswith(SUFFIX):
        file = cli.absolute(source)
        return None, masked(str(file)), _content(file, source)
    workspace = cli.workspace()
    run = runlog.resolve_run(source, workspace=workspace)
    return run, run.run_id, _content(run.checkpoint_folder(workspace) / checkpoint.MODEL, source)


def _content(file: Anywhere, source: str) -> bytes:
    if not file.exists():
        raise UserError(
            f"init_from: {source!r} has no weights at {masked(str(file))}: give a training run of "
            f"a network, or a file whose name ends in {SUFFIX}"
        )
    return file.read_bytes()


def with_parents(own: LearnedFrom, initial: Initial | None, *, data: Anywhere) -> LearnedFrom:
    """What a model has learned from in all: `own`, and what the run has that it began as. Groups
    mean something in one dataset only, so that those of another's are left out."""
    if initial is None or initial.run is None:
        return own
    theirs = initial.run.read_json(runlog.LEARNED_FROM)
    kinds = ["videos"]
    if initial.run.tags.get("data") == masked(str(data)):
        kinds.append("groups")
    return {
        split: {
            kind: sorted({*names, *(theirs[split][kind] if kind in kinds else ())})
            for kind, names in of_split.items()
        }
        for split, of_split in own.items()
    }


def seen_before(learned_from: LearnedFrom, videos: Sequence[Video]) -> Mapping[str, int]:
    """How many videos of the dataset's val and test splits a model has learned from before."""
    counts: dict[str, int] = {}
    for split, seen_in in (("val", ("train",)), ("test", ("train", "val"))):
        ids = {video for name in seen_in for video in learned_from[name]["videos"]}
        groups = {group for name in seen_in for group in learned_from[name]["groups"]}
        of_split = [video for video in videos if video.split == split]
        seen = [video for video in of_split if video.video_id in ids or video.group in groups]
        if seen:
            counts[split] = len(seen)
    return counts
