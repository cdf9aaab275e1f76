"""What Prometheus reads is what our clusters give."""

from __future__ import annotations

import re
from typing import Any

from ray._private import ray_constants

from tests.cluster.reading import CLUSTER, of_kind, pods, read

JOBS: dict[str, dict[str, Any]] = {
    job["job_name"]: job for job in read(CLUSTER / "prometheus.yaml")["scrape_configs"]
}


def _label(name: str) -> str:
    """A label of a pod as Prometheus names it."""
    return "__meta_kubernetes_pod_label_" + re.sub(r"\W", "_", name)


def test_nodes_of_machines_are_found_in_the_file_that_ray_writes() -> None:
    (found,) = JOBS["ray"]["file_sd_configs"]
    (file,) = found["files"]
    assert file == f"/tmp/ray/{ray_constants.PROMETHEUS_SERVICE_DISCOVERY_FILE}"


def test_pods_are_found_by_their_label_and_by_the_name_of_a_port_that_all_have() -> None:
    (found,) = JOBS["kuberay"]["kubernetes_sd_configs"]
    assert found["namespaces"]["names"] == [n["metadata"]["name"] for n in of_kind("Namespace")]
    (selector,) = found["selectors"]
    name, _, value = selector["label"].partition("=")
    chosen = [pod for pod in pods() if pod.labels.get(name) == value]
    keep = next(r for r in JOBS["kuberay"]["relabel_configs"] if r.get("action") == "keep")
    assert keep["source_labels"] == ["__meta_kubernetes_pod_container_port_name"]
    assert len(chosen) == 9  # head, decode and train of three clusters
    for pod in chosen:
        ports = {port["name"]: port["containerPort"] for port in pod.containers[0]["ports"]}
        assert ports[keep["regex"]] == 8080


def test_labels_that_are_kept_are_labels_that_pods_have() -> None:
    known = {_label(name) for pod in pods() for name in pod.labels}
    known |= {_label("ray.io/cluster")}  # the operator gives it
    for rule in JOBS["kuberay"]["relabel_configs"]:
        for source in rule["source_labels"]:
            assert source in known or not source.startswith("__meta_kubernetes_pod_label_")
