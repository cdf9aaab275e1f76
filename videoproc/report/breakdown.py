"""A figure of merit by source, resolution or whatever else divides a corpus, as a picture."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from videoproc.types import Row

MAX_PARTS = 24
MAX_NAME_CHARS = 32
MAX_TITLE_CHARS = 100  # a line of a panel


def breakdown(
    parts: Sequence[Row],
    *,
    by: str,
    value: str,
    overall: float,
    maximise: bool = True,
    title: str = "",
) -> Figure:
    """One bar a part, the worst on top; of very many the worst and the largest.

    parts: rows with `by` (a name), `value`, `clips`, `videos` and `labels` (how many there are
    in the part). A part of one label is pale: there a model that knows the part only, the camera
    say, knows the label. title: a sentence above all of it.
    """
    sign = 1 if maximise else -1
    worst_first = sorted(parts, key=lambda part: (sign * part[value], -part["clips"]))
    panels = {"": worst_first}
    if len(parts) > MAX_PARTS:
        half = MAX_PARTS // 2
        largest = sorted(parts, key=lambda part: -part["clips"])[:half]
        panels = {
            f"the {half} worst of {len(parts)}": worst_first[:half],
            f"the {half} largest of {len(parts)}": [p for p in worst_first if p in largest],
        }
    rows = max(len(shown) for shown in panels.values())
    size = (8.0 * len(panels), 1.6 + 0.3 * rows)
    figure = Figure(figsize=size, layout="constrained")
    all_axes = figure.subplots(1, len(panels), sharex=True, squeeze=False)[0]
    for axes, (which, shown) in zip(all_axes, panels.items(), strict=True):
        _draw(axes, shown, by=by, value=value, overall=overall)
        axes.set_title(which)
    if title:
        figure.suptitle(textwrap.fill(title, MAX_TITLE_CHARS * len(panels)), fontsize=9)
    handles = {
        label: handle
        for axes in all_axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure


def _draw(axes: Axes, parts: Sequence[Row], *, by: str, value: str, overall: float) -> None:
    for several, colour, label in (
        (True, "tab:blue", "several labels"),
        (False, "lightsteelblue", "one label only"),
    ):
        chosen = {y: p[value] for y, p in enumerate(parts) if (p["labels"] > 1) is several}
        if chosen:
            axes.barh(list(chosen), list(chosen.values()), color=colour, label=label)
    for y, part in enumerate(parts):
        axes.annotate(
            f"{part[value]:.3g}",
            (part[value], y),
            xytext=(3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.axvline(overall, color="tab:red", linestyle=":", label=f"all clips: {overall:.3g}")
    names = [f"{_short(str(part[by]))}  ({_count(part)})" for part in parts]
    axes.set_yticks(range(len(parts)), names, fontsize=8)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.set_xlabel(f"{value} by {by}")
    if all(0 <= part[value] <= 1 for part in parts):
        axes.set_xlim(0, 1.1)
    axes.grid(alpha=0.3, axis="x")


def _count(part: Row) -> str:
    clips, videos = (
        f"{part[unit]} {unit[:-1] if part[unit] == 1 else unit}" for unit in ("clips", "videos")
    )
    return clips if part["videos"] == part["clips"] else f"{clips} of {videos}"


def _short(name: str) -> str:
    # The end of a path tells more than its beginning.
    return name if len(name) <= MAX_NAME_CHARS else "…" + name[1 - MAX_NAME_CHARS :]
