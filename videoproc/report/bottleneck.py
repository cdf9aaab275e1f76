"""Where a night's time went, in a sentence that names the setting which would move it."""

from __future__ import annotations

from collections.abc import Mapping

REMEDIES = {
    "decode": "fewer or smaller reads help: sampling.num_frames, sampling.clip_s, or more cores",
    "transfer": "smaller clips help: size, sampling.num_frames",
    "augment": "fewer or cheaper views help: augmentation.views",
    "encode": "frames.encoding raw costs no encoding, and more room",
    "features": "fewer features help: features",
    "write": "smaller clips help: size, sampling.num_frames; so does a faster disk",
    "commit": "rarer commits help: commit_every_s",
    "model": "a smaller model, a GPU, or more cores help",
    "read": "a faster disk helps, or more cores",
    "idle": "the work was too little for so many cores, or a few long videos were left at the end",
}
"""By step: what moves it. Steps are named where they are run."""


def bottleneck(
    seconds: Mapping[str, float], *, idle_s: float, cores: int, phases: Mapping[str, float]
) -> str:
    """seconds: worker time by step. idle_s: core seconds without work. phases: wall time by job."""
    if learning := _learning(phases):
        return learning
    shares = dict(seconds) | {"idle": idle_s}
    total = sum(shares.values())
    if not total:
        return "No video had to be worked on."
    step = max(shares, key=shares.__getitem__)
    share, remedy = shares[step] / total, REMEDIES.get(step, "")
    of = f"{share:.0%} of {total:,.0f} core seconds ({cores} cores)"
    said = f"Cores were idle for {of}" if step == "idle" else f"The bottleneck was {step}: {of}"
    return f"{said}; {remedy}." if remedy else f"{said}."


def _learning(phases: Mapping[str, float]) -> str:
    trained = {name: s for name, s in phases.items() if name.startswith("train ")}
    total = sum(phases.values())
    if not trained or sum(trained.values()) <= total / 2:
        return ""
    longest = max(trained, key=trained.__getitem__)
    return (
        f"Training took {sum(trained.values()) / total:.0%} of the night, {longest[6:]} the "
        f"longest ({trained[longest]:.0f} s): fewer epochs (loop.epochs, loop.patience), more "
        "workers or a GPU help."
    )
