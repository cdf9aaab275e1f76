"""First weights from elsewhere, and which parts of a network learn, and how fast.

Parts are named by the beginning of their parameters' names, whole words between dots: `trunk` is
`trunk.dense.0.weight` and all the others below it, and not `trunks.weight`; an empty name is all.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from videoproc.types import UserError

FROZEN = 0.0
"""The rate factor of a part that does not learn."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """loaded: names of the model's tensors that were given; left: those that keep the value they
    had; unused: names, in the source, that the model has no place for."""

    loaded: tuple[str, ...]
    left: tuple[str, ...]
    unused: tuple[str, ...]


def load_partly(
    model: nn.Module,
    tensors: Mapping[str, torch.Tensor],
    *,
    name_map: Mapping[str, str] | None = None,
    skip: Collection[str] = (),
    strict: bool = False,
) -> Loaded:
    """Copy into `model` those of `tensors` whose name it knows, and say which.

    name_map: from the source's names, or their beginnings, to the model's; of several that fit the
    longest counts, and names that none fits stay. skip: parts of the model to leave as they are,
    such as a head for other classes. strict: everything else must be given.

    Errors: UserError, before anything is copied, for a shape that differs, a name that comes twice,
    a part to skip that is not there, nothing to load, and with `strict` for a tensor of the model
    that is not given.
    """
    own = model.state_dict()
    _check_parts(skip, own, what="skip")
    wanted = {name: own[name] for name in own if _longest_part(name, skip) is None}
    sources = _sources(wanted, tensors, name_map or {})
    unused = [source for source in tensors if source not in sources.values()]
    missing = [name for name in wanted if name not in sources]
    if not sources or (strict and missing):
        hint = f", such as {unused[0]!r}, to the model's" if unused else ""
        raise UserError(
            f"weights: {len(missing)} of the model's {len(own)} tensors are not among the "
            f"{len(tensors)} given ({', '.join(missing[:1])}): map the given names{hint}"
        )
    with torch.no_grad():
        for name, source in sources.items():
            own[name].copy_(tensors[source])
    left = [name for name in own if name not in sources]
    return Loaded(loaded=tuple(sources), left=tuple(left), unused=tuple(unused))


def _sources(
    wanted: Mapping[str, torch.Tensor],
    tensors: Mapping[str, torch.Tensor],
    name_map: Mapping[str, str],
) -> dict[str, str]:
    """The name in `tensors` of each that is wanted and there."""
    sources: dict[str, str] = {}
    for source, tensor in tensors.items():
        name = _renamed(source, name_map)
        if name not in wanted:
            continue
        if name in sources:
            raise UserError(
                f"weights: {sources[name]!r} and {source!r} are both to become {name!r}: map one "
                "of them elsewhere"
            )
        if tensor.shape != wanted[name].shape:
            raise UserError(
                f"weights: {source!r} is {tuple(tensor.shape)} and the model's {name!r} is "
                f"{tuple(wanted[name].shape)}: use the settings that it was made with, or skip it"
            )
        sources[name] = source
    return sources


def rate_factors(names: Iterable[str], rates: Mapping[str, float]) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by; 0 (FROZEN) where it does not learn.

    rates: a factor for each part; the longest part that fits a name counts, and names that none
    fits have 1. Errors: UserError for a part that fits no name, and for a factor below 0.
    """
    parts = {name: _longest_part(name, rates) for name in names}
    factors = {name: 1.0 if part is None else rates[part] for name, part in parts.items()}
    _check_parts(rates, factors, what="rates")
    for part, rate in rates.items():
        if not rate >= 0:
            raise UserError(f"rates: {part} is {rate}: use 0 (frozen) or a factor above it")
    return factors


def parameter_groups(model: nn.Module, rates: Mapping[str, float]) -> list[dict[str, Any]]:
    """Groups for an optimiser, one for each factor but 0: `params` and `rate_factor`.

    Errors: as rate_factors.
    """
    parameters = dict(model.named_parameters())
    groups: dict[float, list[nn.Parameter]] = {}
    for name, factor in rate_factors(parameters, rates).items():
        if factor != FROZEN:
            groups.setdefault(factor, []).append(parameters[name])
    return [{"params": params, "rate_factor": factor} for factor, params in groups.items()]


def freeze(model: nn.Module, rates: Mapping[str, float]) -> list[str]:
    """Parameters of factor 0 ask for no gradient; returns their names.

    The running statistics of batch norms are no parameters: they follow the data all the same.
    Errors: as rate_factors.
    """
    factors = rate_factors([name for name, _ in model.named_parameters()], rates)
    frozen = [name for name, factor in factors.items() if factor == FROZEN]
    for name in frozen:
        model.get_parameter(name).requires_grad_(False)
    return frozen


def _renamed(name: str, name_map: Mapping[str, str]) -> str:
    part = _longest_part(name, name_map)
    if part is None:
        return name
    words = (name_map[part], name.removeprefix(part).removeprefix("."))
    return ".".join(word for word in words if word)


def _longest_part(name: str, parts: Iterable[str]) -> str | None:
    return max((part for part in parts if _is_part(part, name)), key=len, default=None)


def _is_part(part: str, name: str) -> bool:
    return part in ("", name) or name.startswith(f"{part}.")


def _check_parts(parts: Iterable[str], names: Collection[str], *, what: str) -> None:
    for part in parts:
        if not any(_is_part(part, name) for name in names):
            there = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise UserError(f"{what}: the model has no part {part!r}; it has {there}")
