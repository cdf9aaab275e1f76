"""First weights from elsewhere, for whatever network is to begin with them."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import torch

from videoproc import schema
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import InitConfig
from videoproc.models.initial import Loaded, load_partly


@dataclass(frozen=True, kw_only=True)
class FirstWeights:
    """content: tensors as safetensors. name: of the run or the file that they are of. init: how
    they find their place."""

    content: bytes
    name: str
    init: InitConfig

    @property
    def key(self) -> str:
        """An id of what decides the weights beside the network and the seed."""
        return schema.content_id(hashlib.sha256(self.content).hexdigest(), asdict(self.init))

    def of(self, card: Card, *, seed: int) -> tuple[dict[str, torch.Tensor], Loaded]:
        """All weights that a network of `card` begins with: those given, and where there is none
        those that `seed` decides.

        Errors: UserError where this is no safetensors, and as load_partly.
        """
        tensors = checkpoint.read_weights(self.content, name=self.name)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = card.build()
        loaded = load_partly(
            model,
            tensors,
            name_map=self.init.name_map,
            skip=self.init.skip,
            strict=self.init.strict,
        )
        return model.state_dict(), loaded
