"""The night's report: one page that needs nothing but a browser, made for a phone too.

No script, no font, no picture from elsewhere; whatever comes from outside (names of files, labels,
messages) is escaped.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import resources

import jinja2

from videoproc.report.bottleneck import bottleneck
from videoproc.report.night import FAILED, NOTHING_NEW, ModelResult, Night
from videoproc.report.table import with_intervals
from videoproc.report.words import duration, number, plural

NIGHTS_SHOWN = 14
STEPS_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A picture of clips, with what it shows."""

    caption: str
    jpeg: bytes


@dataclass(frozen=True, kw_only=True)
class StillAndMoving:
    """A clip as a strip of its frames, and in motion for those who do not mind motion."""

    jpeg: bytes
    webp: bytes


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A clip that a model got wrong; confidence is 0 to 1."""

    model: str
    uri: str
    true: str
    told: str
    confidence: float
    pictures: StillAndMoving | None


def render(
    night: Night,
    *,
    before: Sequence[Night] = (),
    sheets: Sequence[Sheet] = (),
    mistakes: Sequence[Mistake] | None = None,
) -> str:
    """The page of a night as HTML.

    before: earlier nights of the dataset, oldest first. mistakes: None where nobody has looked.
    """
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "data_uri": _data_uri,
        "duration": duration,
        "number": number,
        "plural": plural,
        "day": _day,
        "quote": shlex.quote,
        "share": lambda value: f"{value:.1%}",
    }
    text = resources.files("videoproc.report").joinpath("night.html").read_text()
    return environment.from_string(text).render(
        night=night,
        headline=headline(night),
        throughput=_throughput(night),
        steps=_steps(night),
        trained=lambda model: _trained(model, night),
        sentence=_sentence(night),
        courses=[_Course.of(model, before, night) for model in night.models],
        others=_others(night.models),
        sheets=sheets,
        mistakes=mistakes,
    )


def headline(night: Night) -> str:
    """The night in one sentence."""
    if night.outcome == FAILED:
        got = f", after {plural(night.clips, 'clip')} had come in" if night.clips else ""
        return f"The night did not reach its end{got}: {night.error}"
    if night.outcome == NOTHING_NEW:
        return f"Nothing new: all {night.videos:,} videos had been worked on before."
    came = [
        f"{night.changes[name]:,} {name}"
        for name in ("new", "changed", "moved", "relabelled", "deleted")
        if night.changes.get(name)
    ]
    failed = sum(failure.count for failure in night.failures)
    trained = [model.model for model in night.models if model.trained_tonight]
    parts = [
        f"{plural(night.videos_decoded, 'video')} became {plural(night.clips, 'clip')}"
        if night.clips
        else "no new clip was made",
        f"{plural(failed, 'video')} failed" if failed else "none failed",
        f"trained: {', '.join(trained)}" if trained else "no model was trained again",
    ]
    return f"{', '.join(came) or 'No video changed'}; {'; '.join(parts)}."


def _sentence(night: Night) -> str:
    if night.outcome == FAILED and not night.seconds:
        return ""
    return bottleneck(night.seconds, idle_s=night.idle_s, cores=night.cores, phases=night.phases)


def _trained(model: ModelResult, night: Night) -> str:
    if model.trained_tonight:
        return "trained tonight"
    if night.outcome == FAILED:
        return "as the nights before have left it"
    return "not trained again, since nothing it learns from has changed"


def _day(started: str) -> str:
    return datetime.fromisoformat(started).strftime("%d %b %Y, %H:%M UTC")


def _data_uri(picture: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _throughput(night: Night) -> list[tuple[str, str]]:
    if not night.busy_s or not night.clips:
        return []
    return [
        ("video hours per hour", f"{night.hours_decoded * 3600 / night.busy_s:,.1f}"),
        ("clips per second", f"{night.clips / night.busy_s:,.1f}"),
        ("videos per second and core", f"{night.videos_decoded / night.busy_s / night.cores:,.2f}"),
    ]


def _steps(night: Night) -> list[tuple[str, float, float]]:
    """(step, core seconds, share), the longest first, and idle time last."""
    total = sum(night.seconds.values()) + night.idle_s
    if not total:
        return []
    longest = sorted(night.seconds.items(), key=lambda item: -item[1])[:STEPS_SHOWN]
    return [(n, s, s / total) for n, s in [*longest, ("idle", night.idle_s)]]


@dataclass(frozen=True, kw_only=True)
class _Course:
    """A model's headline metric over the nights."""

    result: ModelResult
    points: list[tuple[str, float]]

    @classmethod
    def of(cls, result: ModelResult, before: Sequence[Night], night: Night) -> _Course:
        points = [
            (one.started, model.metrics[model.monitor])
            for one in [*before, night]
            for model in one.models
            if model.model == result.model and model.monitor in model.metrics
        ]
        return cls(result=result, points=points[-NIGHTS_SHOWN:])

    @property
    def value(self) -> float:
        return self.result.metrics[self.result.monitor]

    @property
    def interval(self) -> str:
        metrics, monitor = self.result.metrics, self.result.monitor
        if f"{monitor}_low" not in metrics:
            return "no interval: one source"
        low, high = metrics[f"{monitor}_low"], metrics[f"{monitor}_high"]
        return f"95 % interval by source {low:.3f} to {high:.3f}"

    @property
    def change(self) -> str:
        if len(self.points) < 2:
            return "first night"
        difference = self.value - self.points[-2][1]
        return (
            "as the night before" if not difference else f"{difference:+.3f} since the night before"
        )

    @property
    def line(self) -> str:
        """The points of an SVG polyline in a box of 100 by 28; higher is better or not as it is."""
        values = [value for _, value in self.points]
        low, high = min(values), max(values)
        span = (high - low) or 1.0
        step = 100 / max(1, len(values) - 1)
        return " ".join(
            f"{i * step:.1f},{25 - 22 * (value - low) / span if high > low else 14:.1f}"
            for i, value in enumerate(values)
        )


def _others(models: Sequence[ModelResult]) -> dict[str, list[float | str | None]]:
    """Every number by name, a value a model; those of single classes are left to MLflow."""
    values = [with_intervals(model.metrics) for model in models]
    names = sorted({name for of_model in values for name in of_model if "/" not in name})
    return {name: [of_model.get(name) for of_model in values] for name in names}
