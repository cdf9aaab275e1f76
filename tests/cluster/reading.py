"""The files of `cluster/`, read for the tests that hold them to their rules."""

from __future__ import annotations

import functools
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CLUSTER = ROOT / "cluster"
KUBERAY = CLUSTER / "kuberay"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = f"registry.example.com/videoproc:{VERSION}"
CUDA_IMAGE = f"{IMAGE}-cuda"
PINNED = re.compile(r"registry\.example\.com/[a-z]+:\d+(\.\d+)+(-cuda)?")
"""Every image, ours and those of others: in the user's own registry, and of one version."""


@dataclass(frozen=True)
class Pod:
    """What a manifest makes pods of: where it stands, their labels, their spec, their volumes."""

    place: str
    labels: dict[str, str]
    spec: dict[str, Any]
    volumes: list[dict[str, Any]]

    @property
    def containers(self) -> list[dict[str, Any]]:
        return [*self.spec.get("initContainers", []), *self.spec["containers"]]


def read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text()))


@functools.cache
def manifests() -> list[dict[str, Any]]:
    """Every document of cluster/kuberay."""
    files = sorted(KUBERAY.glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


def of_kind(*kinds: str) -> list[dict[str, Any]]:
    return [document for document in manifests() if document["kind"] in kinds]


def one(kind: str) -> dict[str, Any]:
    (found,) = of_kind(kind)
    return found


def job_spec(document: dict[str, Any]) -> dict[str, Any]:
    """What a RayJob or a RayCronJob says of the job."""
    spec: dict[str, Any] = document["spec"]
    return dict(spec.get("jobTemplate", spec))


def ray_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every description of a Ray cluster."""
    yield "RayCluster", one("RayCluster")["spec"]
    for kind in ("RayJob", "RayCronJob"):
        yield kind, job_spec(one(kind))["rayClusterSpec"]


def pods() -> list[Pod]:
    """Every pod that the manifests make."""
    found = []
    for place, spec in ray_specs():
        groups = [("head", spec["headGroupSpec"])]
        groups += [(group["groupName"], group) for group in spec["workerGroupSpecs"]]
        found += [_pod(f"{place} {name}", group["template"]) for name, group in groups]
    for kind in ("RayJob", "RayCronJob"):
        found.append(_pod(f"{kind} submitter", job_spec(one(kind))["submitterPodTemplate"]))
    for document in of_kind("Deployment", "StatefulSet"):
        spec = document["spec"]
        claims = [{"name": c["metadata"]["name"]} for c in spec.get("volumeClaimTemplates", [])]
        found.append(_pod(document["metadata"]["name"], spec["template"], claims))
    return found


def _pod(place: str, template: dict[str, Any], claims: Sequence[dict[str, Any]] = ()) -> Pod:
    spec = template["spec"]
    return Pod(place, template["metadata"]["labels"], spec, [*spec["volumes"], *claims])


def scalars(value: Any) -> Iterator[str]:
    """Every text within a document, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield str(key)
            yield from scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from scalars(inner)
    else:
        yield str(value)


def pinned_version(package: str) -> str:
    """The version of a package in constraints.txt."""
    pins = dict(
        line.split("==")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    )
    return pins[package]


def bytes_of(quantity: str) -> float:
    """A quantity of Kubernetes or compose in bytes (or cores): 8Gi, 512M, 500m, 4."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "M": 1e6, "G": 1e9, "": 1.0}
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * units[unit]
