"""A night of 300 real videos on three nodes: every node takes part, and the tables are those of one
process. Then a training whose two workers stand on two of the nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.three_nodes import NODES, Nodes, assert_equal, tasks_by_node, trainers_by_node

pytestmark = [pytest.mark.slow, pytest.mark.data]

FRAMES = ("--sampling.num_frames", "8", "--size.height", "56", "--size.width", "56")


@pytest.mark.timeout(900)
def test_a_submitted_night_takes_every_node_and_equals_one_process(
    three: Nodes, shared_data: Path, tmp_path: Path
) -> None:
    listed = shared_data / "surveillance_fights" / "groups.csv"
    source = ("--source", str(listed), "--layout", "csv", "--split.group", "source_id")
    alone, night = tmp_path / "alone", tmp_path / "night"
    for command in (
        ("pipelines.index", "--data", str(alone), *source),
        ("pipelines.extract", "--data", str(alone), *FRAMES, "--inline"),
    ):
        code, said = Nodes(tmp_path / "workspace").run("-m", *command, timeout_s=300)
        assert code == 0, said

    config = tmp_path / "night.yaml"
    config.write_text(f"source: {listed}\nlayout: csv\nsplit: {{group: source_id}}\nmodels: []\n")
    flags = ("--config", str(config), "--data", str(night), *FRAMES)
    code, said = three.run("-m", "cluster", "submit", "nightly", *flags, timeout_s=600)
    assert code == 0, said
    assert_equal(night, alone)
    assert tasks_by_node(three, of="MapBatches") == NODES

    training = ("--model", "cnn_gru", "--workers", "2", "--loop.epochs", "1")
    code, said = three.run(
        *("-m", "pipelines.train", "--data", str(night), *training),
        more=three.exports(),
        timeout_s=300,
    )
    assert code == 0, said
    assert len(trainers_by_node(three)) == 2
