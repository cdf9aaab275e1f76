"""What was told of samples as metrics, pictures and tables, for `evaluate` and, by
`measuring_folds`, for what is measured over folds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from videoproc import runlog
from videoproc.learning.evaluate import interval, members, paired_interval
from videoproc.learning.samples import Sample
from videoproc.learning.scored import ABOUT, Scored, select, to_table
from videoproc.learning.sources import BySource, by_source
from videoproc.report.breakdown import breakdown
from videoproc.tasks import Scores, Spec, Task
from videoproc.types import Row, Video

SCORES = "scores.parquet"
BEYOND_SOURCE = "beyond_source.json"
WORST = 12  # mistakes that are kept by name


@dataclass(frozen=True, kw_only=True)
class Measured:
    """metrics by name; figures and numbers by file name; table: `scored.to_table`."""

    metrics: dict[str, float]
    table: pa.Table
    figures: dict[str, Figure] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)

    def log_files(self, run: runlog.Run, split: str) -> None:
        """Everything but the metrics, below the split's name."""
        for name, figure in self.figures.items():
            run.log_figure(figure, f"{split}/{name}")
        for name, numbers in self.numbers.items():
            run.log_json(numbers, f"{split}/{name}")
        run.log_table(self.table, f"{split}/{SCORES}")


def put_together(
    samples: Sequence[Sample],
    videos: Sequence[Video],
    scores: Scores,
    losses: np.ndarray,
    *,
    task: str,
    spec: Spec,
) -> Scored:
    """Samples with what was told of them; `videos` has those that the samples are of."""
    resolution = {video.video_id: f"{video.width}x{video.height}" for video in videos}
    rows = [sample.row | {"resolution": resolution[sample.row["video_id"]]} for sample in samples]
    return Scored(
        task=task,
        spec=spec,
        about=[{name: row[name] for name in ABOUT.names} for row in rows],
        scores=scores,
        losses=losses,
    )


def measure(scored: Scored, task: Task, *, temperature: float | None = None) -> Measured:
    """Metrics with intervals by source, pictures, the numbers behind them, and each sample.

    temperature: of the model's probabilities, from samples that it has not learned from.
    """
    found = Measured(metrics=_metrics(scored, task), table=to_table(scored))
    if task.plots:
        found.figures.update(task.plots.plots(scored.scores, scored.spec))
        found.numbers.update(task.plots.tables(scored.scores, scored.spec))
    if task.temperature and temperature is not None:
        scaled = task.temperature.scale(scored.scores, temperature)
        found.metrics.update({"temperature": temperature} | task.temperature.measures(scaled))
        found.figures.update(task.temperature.plots(scored.scores, scaled, temperature))
    _break_down(scored, task, found)
    if task.mistakes:
        found.numbers["mistakes.json"] = [
            {name: scored.about[mistake.index][name] for name in ("clip_id", "video_id", "uri")}
            | {"true": mistake.true, "told": mistake.told, "confidence": mistake.confidence}
            for mistake in task.mistakes.worst(scored.scores, scored.spec, WORST)
        ]
    return found


def _break_down(scored: Scored, task: Task, found: Measured) -> None:
    """The monitored metric by source and by resolution, and what the source alone would tell."""
    known = _beyond_source(scored, task)
    resolutions = [row["resolution"] for row in scored.about]
    for by, names in (("source", scored.sources), ("resolution", resolutions)):
        parts = _parts(scored, task, by=by, names=names)
        found.figures[f"by_{by}.png"] = breakdown(
            parts,
            by=by,
            value=task.metrics.MONITOR,
            overall=found.metrics[task.metrics.MONITOR],
            maximise=task.metrics.MAXIMISE,
            title=known.sentence if known and by == "source" else "",
        )
        found.numbers[f"by_{by}.json"] = parts
    if known:
        found.metrics.update(known.metrics)
        found.numbers[BEYOND_SOURCE] = asdict(known) | {"sentence": known.sentence}


def _beyond_source(scored: Scored, task: Task) -> BySource | None:
    """None for a task without classes."""
    if not (task.classes and task.mistakes):
        return None
    return by_source(
        [row["label"] for row in scored.about],
        [answer.is_right for answer in task.mistakes.answers(scored.scores, scored.spec)],
        scored.sources,
    )


def over_baselines(
    sets: Sequence[Scored], told: Mapping[str, Scores], task: Task
) -> dict[str, float]:
    """What baselines come to on the same samples, and how far the model is above each.

    sets: what a model told of these samples, or the same model trained several times, whose mean is
    taken. told: the scores of each baseline by name, in the order of the samples. Of the monitored
    metric: `<name>_<metric>`, `over_<name>` (the model's less the baseline's), and the latter's
    paired interval by source (`_low`, `_high`) where there are several sources.
    """
    first, monitor = sets[0], task.metrics.MONITOR
    of_sets = [monitored(scored.scores, first.spec, task) for scored in sets]

    def model(indices: np.ndarray) -> float:
        return float(np.mean([value(indices) for value in of_sets]))

    all_samples, found = np.arange(len(first.about)), dict[str, float]()
    for name, scores in told.items():
        baseline = monitored(scores, first.spec, task)
        found[f"{name}_{monitor}"] = baseline(all_samples)
        found[f"over_{name}"] = model(all_samples) - baseline(all_samples)
        between = paired_interval(baseline, model, groups=first.sources)
        if between is not None:
            low, high = map(float, between)
            found |= {f"over_{name}_low": low, f"over_{name}_high": high}
    return found


def said_interval(metrics: Mapping[str, float], name: str) -> str:
    """For people: the interval of a metric, where there is one."""
    if f"{name}_low" not in metrics:
        return "one source only, so no interval"
    return f"95 % interval by source {metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}"


def beside(baselines: Mapping[str, float], metric: str, split: str) -> str:
    """For people: what `over_baselines` found of each, and how far above it the model is."""
    said = ""
    for name in (n.removesuffix(f"_{metric}") for n in baselines if n.endswith(f"_{metric}")):
        value, over = baselines[f"{name}_{metric}"], baselines[f"over_{name}"]
        between = (
            f", {baselines[f'over_{name}_low']:+.3f} to {baselines[f'over_{name}_high']:+.3f}"
            if f"over_{name}_low" in baselines
            else ""
        )
        said += f"; {split}/{name}_{metric} {value:.3f} (over it {over:+.3f}{between})"
    return said


def monitored(scores: Scores, spec: Spec, task: Task) -> Callable[[np.ndarray], float]:
    """The monitored metric of the samples at some indices."""
    return lambda indices: task.metrics.summarise(select(scores, indices), spec)[
        task.metrics.MONITOR
    ]


def _metrics(scored: Scored, task: Task) -> dict[str, float]:
    """What the task measures, of clips and where it can of videos, with intervals by source."""
    video_b = _video_b(scored)
    measured = task.metrics.summarise(scored.scores, scored.spec) | {
        "loss": float(scored.losses.mean()),
        "clips": len(scored.about),
        "videos": int(video_b.max()) + 1,
    }
    measured |= _bounds(scored.scores, scored.sources, scored.spec, task)
    if task.measures:
        measured |= task.measures.measures(scored.scores, scored.spec)
    if task.videos:
        of_videos = task.videos.of_videos(scored.scores, video_b)
        source_of = dict(zip(video_b, scored.sources, strict=True))
        sources = [source_of[video] for video in range(len(source_of))]
        monitor = task.metrics.MONITOR
        found = {monitor: task.metrics.summarise(of_videos, scored.spec)[monitor]}
        found |= _bounds(of_videos, sources, scored.spec, task)
        measured |= {f"video_{name}": value for name, value in found.items()}
    return measured


def _video_b(scored: Scored) -> np.ndarray:
    """The number of each clip's video, 0 to V - 1."""
    return np.unique([row["video_id"] for row in scored.about], return_inverse=True)[1]


def _bounds(scores: Scores, sources: Sequence[str], spec: Any, task: Task) -> dict[str, float]:
    """The interval of the monitored metric; empty where one source alone allows none."""
    monitor = task.metrics.MONITOR
    between = interval(monitored(scores, spec, task), groups=sources)
    return {f"{monitor}_low": between[0], f"{monitor}_high": between[1]} if between else {}


def _parts(scored: Scored, task: Task, *, by: str, names: Sequence[str]) -> list[Row]:
    """One row a part: the monitored metric, clips, videos, and how many labels there are."""
    monitor, rows = task.metrics.MONITOR, []
    for name, indices in members(names).items():
        about = [scored.about[index] for index in indices]
        summary = task.metrics.summarise(select(scored.scores, indices), scored.spec)
        rows.append(
            {
                by: name,
                monitor: summary[monitor],
                "clips": len(about),
                "videos": len({row["video_id"] for row in about}),
                "labels": len({row["label"] for row in about}),
            }
        )
    return rows
