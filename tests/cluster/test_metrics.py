"""What Prometheus would read of a cluster: the counters of jobs, and their sums."""

from __future__ import annotations

import json
import re
import shutil
import urllib.request
from collections import Counter
from pathlib import Path

import mlflow
import pytest

from cluster import nodes
from pipelines.index import IndexConfig, index
from tests.cluster.three_nodes import Nodes, trainers_by_node, wait_for

pytestmark = pytest.mark.slow

SAMPLE = re.compile(r"(?P<name>\w+)\{(?P<labels>.*)\} (?P<value>\S+)")
TINY = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16")


def test_counters_of_an_extract_are_its_own_account_to_the_last_row(
    three: Nodes, corpus: Path, tmp_path: Path
) -> None:
    source, data = Path(shutil.copytree(corpus, tmp_path / "corpus")), tmp_path / "data"
    index(IndexConfig(source=str(source / "videos.csv"), layout="csv", data=str(data)))
    files = sorted((source / "videos").rglob("*.mp4"))
    files[0].write_bytes(b"no video" * 100)
    files[1].unlink()
    _, before = scrape(three)
    three.command("submit", "extract", "--data", str(data), *TINY, "--features", "[colour]")
    done = newest_run(three, experiment="data-processing")
    assert done["videos_failed"] == 2
    nodes_asked, counted = scrape(three)
    counted -= before
    assert nodes_asked >= 3
    assert counted["videos", "extract", ""] == done["videos_decoded"]
    assert counted["clips", "extract", ""] == done["clips"]
    classes = {why: value for (name, _, why), value in counted.items() if name == "failures"}
    assert sum(classes.values()) == done["videos_failed"]
    assert set(classes) == {"FileNotFoundError", "InvalidDataError"}
    for stage in ("decode", "features", "write", "transfer"):
        seconds = pytest.approx(done[f"seconds/{stage}"])
        assert counted["stage_seconds", "extract", stage] == seconds
    assert counted["driver_wait_seconds", "extract", ""] > 0


def test_counters_of_a_training_on_two_nodes_are_its_epochs(three: Nodes, extracted: Path) -> None:
    settings = ("--model", "cnn", "--loop.epochs", "2", "--loop.batch_size", "8", "--workers", "2")
    _, before = scrape(three)
    three.command("submit", "train", "--data", str(extracted), *settings)
    assert len(trainers_by_node(three)) == 2
    done = newest_run(three, experiment="data")
    _, counted = scrape(three)
    counted -= before
    assert counted["train_clips", "cnn", ""] == 2 * done["clips.train"]
    assert counted["train_seconds", "cnn", ""] >= done["train/seconds"]
    assert 0 < counted["train_data_wait_seconds", "cnn", ""] <= counted["train_seconds", "cnn", ""]


def newest_run(three: Nodes, *, experiment: str) -> dict[str, float]:
    """The numbers among the metrics and tags of the run that ended last."""
    store = mlflow.MlflowClient(f"sqlite:///{three.workspace}/mlflow.db")
    found = store.get_experiment_by_name(experiment)
    assert found is not None
    data = store.search_runs([found.experiment_id], max_results=1)[0].data
    return dict(data.metrics) | {k: float(v) for k, v in data.tags.items() if v.isdecimal()}


def scrape(three: Nodes) -> tuple[int, Counter[tuple[str, str, str]]]:
    """How many places Prometheus is told of, and what they count: by (name without `ray_videoproc_`
    and `_total`; pipeline or model; error class or stage)."""
    (found,) = json.loads(
        Path(three.state.temp_dir, "1", "prom_metrics_service_discovery.json").read_text()
    )
    counted: Counter[tuple[str, str, str]] = Counter()
    for target in found["targets"]:
        url = f"http://{target}/metrics"
        wait_for(lambda url=url: nodes.answers(url, {}))  # a node that is just up may not yet
        with urllib.request.urlopen(url, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        for line in lines:
            sample = SAMPLE.fullmatch(line)
            if sample is None or not sample["name"].startswith("ray_videoproc_"):
                continue
            labels = dict(re.findall(r'(\w+)="([^"]*)"', sample["labels"]))
            name = sample["name"].removeprefix("ray_videoproc_").removesuffix("_total")
            of = labels.get("pipeline", labels.get("model", ""))
            counted[name, of, labels.get("error_class", labels.get("stage", ""))] += float(
                sample["value"]
            )
    return len(found["targets"]), counted
