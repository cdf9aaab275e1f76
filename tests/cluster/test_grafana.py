"""The dashboard asks for counters that jobs keep, by labels that they have."""

from __future__ import annotations

import json
import re

import pytest

from tests.cluster.reading import CLUSTER
from videoproc.runtime.metrics import COUNTERS

PANELS = {
    panel["title"]: panel for panel in json.loads((CLUSTER / "grafana.json").read_text())["panels"]
}


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_asks_for_what_jobs_count(title: str) -> None:
    (target,) = PANELS[title]["targets"]
    names = re.findall(r"ray_(videoproc_\w+)", target["expr"])
    assert names
    for name in names:
        _, labels = COUNTERS[name]
        assert set(re.findall(r"by \((\w+)\)", target["expr"])) <= set(labels)
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= set(labels)


@pytest.mark.parametrize("title", PANELS)
def test_panels_lie_side_by_side(title: str) -> None:
    def cells(panel: dict) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        rows = range(at["y"], at["y"] + at["h"])
        return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in rows}

    mine = cells(PANELS[title])
    assert max(x for x, _ in mine) < 24
    others = [cells(panel) for name, panel in PANELS.items() if name != title]
    assert not any(mine & other for other in others)
