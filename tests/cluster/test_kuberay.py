"""The manifests of Kubernetes: rules of our own, and the schemas of KubeRay's operator."""

from __future__ import annotations

import copy
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cluster.submit import find_jobs
from pipelines import cli
from pipelines.nightly import NightlyConfig
from tests.cluster.reading import (
    CLUSTER,
    CUDA_IMAGE,
    IMAGE,
    PINNED,
    Pod,
    bytes_of,
    job_spec,
    manifests,
    of_kind,
    one,
    pinned_version,
    pods,
    ray_specs,
    read,
    scalars,
)
from videoproc.tables.lease import LOST_AFTER_S

PODS = pytest.mark.parametrize("pod", pods(), ids=lambda pod: pod.place)
SPECS = pytest.mark.parametrize(
    "spec", [s for _, s in ray_specs()], ids=[n for n, _ in ray_specs()]
)
SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|ACCESS_KEY", re.IGNORECASE)


def test_the_standing_cluster_and_those_of_a_night_are_the_same() -> None:
    (_, standing), *others = ray_specs()
    for kind, spec in others:
        assert spec == standing, f"{kind} has another cluster than cluster.yaml"


def test_a_night_now_and_every_night_are_the_same_job() -> None:
    assert job_spec(one("RayJob")) == job_spec(one("RayCronJob"))


@SPECS
def test_there_are_nodes_for_each_part_of_the_night(spec: dict[str, Any]) -> None:
    for place in read(CLUSTER / "nightly.yaml")["placement"].values():
        assert place["labels"] in [group["labels"] for group in spec["workerGroupSpecs"]]


@SPECS
def test_a_cluster_has_the_ray_of_the_image_and_asks_for_a_token(spec: dict[str, Any]) -> None:
    assert spec["rayVersion"] == pinned_version("ray")
    assert spec["authOptions"] == {"mode": "token"}


@SPECS
def test_the_autoscaler_is_as_locked_as_the_pods(spec: dict[str, Any]) -> None:
    options = spec["autoscalerOptions"]
    head = spec["headGroupSpec"]["template"]["spec"]
    assert spec["enableInTreeAutoscaling"]
    assert options["securityContext"] == head["containers"][0]["securityContext"]
    assert options["resources"]["limits"] == options["resources"]["requests"]
    volumes = {volume["name"] for volume in head["volumes"]}
    assert {mount["name"] for mount in options["volumeMounts"]} <= volumes


@SPECS
def test_cpu_nodes_decode_and_gpu_nodes_train(spec: dict[str, Any]) -> None:
    groups = {group["groupName"]: group for group in spec["workerGroupSpecs"]}
    assert set(groups) == {"decode", "train"}
    for name, group in groups.items():
        (container,) = group["template"]["spec"]["containers"]
        limits, gpus = container["resources"]["limits"], name == "train"
        assert group["labels"] == {"videoproc/role": name}
        assert ("nvidia.com/gpu" in limits) == gpus
        assert group["resources"] == {name: limits["nvidia.com/gpu" if gpus else "cpu"]}
        assert container["image"] == (CUDA_IMAGE if gpus else IMAGE)
        assert 0 <= group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
    assert groups["decode"]["maxReplicas"] > groups["decode"]["minReplicas"]


@SPECS
def test_nothing_is_decoded_on_the_head(spec: dict[str, Any]) -> None:
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


@PODS
def test_every_image_is_of_one_version(pod: Pod) -> None:
    for container in pod.containers:
        assert PINNED.fullmatch(container["image"])
        if "/videoproc:" in container["image"]:
            assert container["image"] in (IMAGE, CUDA_IMAGE)


@PODS
def test_every_container_says_what_it_needs_and_gets_no_more(pod: Pod) -> None:
    for container in pod.containers:
        requests = container["resources"]["requests"]
        limits = container["resources"]["limits"]
        assert {"cpu", "memory"} <= set(requests)
        assert set(requests) == set(limits)
        assert requests["memory"] == limits["memory"]  # else it is ended where others are greedy
        assert bytes_of(requests["cpu"]) <= bytes_of(limits["cpu"])


@PODS
def test_every_pod_is_a_person_without_rights(pod: Pod) -> None:
    person = pod.spec["securityContext"]
    assert person["runAsNonRoot"] is True
    assert person["runAsUser"] > 0
    assert person["runAsGroup"] > 0
    assert person["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod.spec)
    for container in pod.containers:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@PODS
def test_every_container_can_write_to_tmp_and_mounts_what_there_is(pod: Pod) -> None:
    volumes = {volume["name"]: volume for volume in pod.volumes}
    for volume in volumes.values():
        assert "hostPath" not in volume
        assert "sizeLimit" in volume.get("emptyDir", {"sizeLimit": "of no such volume"})
    for container in pod.containers:
        mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        assert set(mounts.values()) <= set(volumes)
        assert "emptyDir" in volumes[mounts["/tmp"]]


@PODS
def test_only_heads_may_speak_to_kubernetes(pod: Pod) -> None:
    """The autoscaler does, in the head's pod."""
    assert ("automountServiceAccountToken" in pod.spec) == (not pod.place.endswith("head"))
    assert not pod.spec.get("automountServiceAccountToken")


@PODS
def test_whatever_runs_on_says_whether_it_is_well(pod: Pod) -> None:
    if pod.place.endswith("submitter"):
        return
    for container in pod.containers:
        ports = {port["name"] for port in container["ports"]}
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[name]
            assert probe.get("httpGet", {}).get("port", next(iter(ports))) in ports
            assert ("httpGet" in probe) != ("exec" in probe)


def test_no_secret_stands_in_a_file() -> None:
    assert not of_kind("Secret")
    for pod in pods():
        for container in pod.containers:
            for variable in container.get("env", []):
                if SECRET_NAME.search(variable["name"]) and not variable["name"].endswith("_FILE"):
                    assert "value" not in variable
                    assert set(variable["valueFrom"]) == {"secretKeyRef"}
    for text in scalars(manifests()):
        assert not re.search(r"://[^/\s@]+:[^/\s@]+@", text), "a password in an address"


def test_the_readme_makes_every_secret_and_config_that_is_named() -> None:
    named = set()
    for pod in pods():
        for volume in pod.volumes:
            if "secret" in volume:
                named.add(f"secret generic {volume['secret']['secretName']}")
            if "configMap" in volume:
                named.add(f"configmap {volume['configMap']['name']}")
        for container in pod.containers:
            refs = [s["secretRef"]["name"] for s in container.get("envFrom", [])]
            refs += [
                variable["valueFrom"]["secretKeyRef"]["name"]
                for variable in container.get("env", [])
                if "valueFrom" in variable
            ]
            named |= {f"secret generic {name}" for name in refs}
    assert len(named) == 4
    readme = (CLUSTER / "README.md").read_text()
    for what in named:
        assert f"create {what} " in readme


def test_all_is_in_one_namespace_which_refuses_pods_with_rights() -> None:
    namespace = one("Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for document in manifests():
        if document["kind"] != "Namespace":
            assert document["metadata"]["namespace"] == namespace["metadata"]["name"]


def _chosen(policy: dict[str, Any], pod: Pod) -> bool:
    spec = policy["spec"]
    wanted = spec.get("podSelector") or spec.get("selector") or {}
    return bool(wanted.get("matchLabels", {}).items() <= pod.labels.items())


def test_what_no_policy_allows_is_refused() -> None:
    (refusal,) = [
        policy["spec"]
        for policy in of_kind("NetworkPolicy")
        if policy["spec"]["podSelector"] == {} and not {"ingress", "egress"} & set(policy["spec"])
    ]
    assert set(refusal["policyTypes"]) == {"Ingress", "Egress"}


@PODS
def test_every_pod_has_a_policy_of_its_own(pod: Pod) -> None:
    own = [p for p in of_kind("NetworkPolicy") if p["spec"]["podSelector"] and _chosen(p, pod)]
    assert own


@pytest.mark.parametrize("policy", of_kind("NetworkPolicy"), ids=lambda p: p["metadata"]["name"])
def test_a_policy_lets_named_ones_in_by_ports_that_are_open(policy: dict[str, Any]) -> None:
    within = [pod for pod in pods() if _chosen(policy, pod)]
    assert within
    opened = {
        port["containerPort"]
        for pod in within
        for container in pod.containers
        for port in container.get("ports", [])
    }
    for rule in policy["spec"].get("ingress", []):
        assert rule["from"]
        assert all("ipBlock" not in peer for peer in rule["from"])
        assert {port["port"] for port in rule.get("ports", [])} <= opened
        if "ports" not in rule:  # only its own kind may come by every port
            assert rule["from"] == [{"podSelector": policy["spec"]["podSelector"]}]
    for rule in policy["spec"].get("egress", []):
        assert rule["to"]
        for peer in rule["to"]:
            if "ipBlock" in peer and peer["ipBlock"]["cidr"] == "0.0.0.0/0":
                assert peer["ipBlock"]["except"] == ["169.254.169.254/32"]
                assert {port["port"] for port in rule["ports"]} <= {443, 6443}


def _ways(direction: str, side: str) -> set[tuple[str, str, int | None]]:
    """Between pods of ours: from whom, to whom, by which port (none: by any)."""
    ways = set()
    for policy in of_kind("NetworkPolicy"):
        own = policy["spec"]["podSelector"].get("matchLabels", {}).get("app.kubernetes.io/name")
        for rule in policy["spec"].get(direction, []) if own else []:
            for peer in rule[side]:
                labels = peer.get("podSelector", {}).get("matchLabels", {})
                if other := labels.get("app.kubernetes.io/name"):
                    ends = (own, other) if direction == "egress" else (other, own)
                    ways |= {(*ends, port["port"]) for port in rule.get("ports", [{"port": None}])}
    return ways


def test_whoever_may_go_out_to_a_pod_is_let_in_there() -> None:
    out = _ways("egress", "to")
    assert out == _ways("ingress", "from")
    assert len(out) == 4


def test_a_claim_says_how_much_it_wants() -> None:
    claims = [claim["spec"] for claim in of_kind("PersistentVolumeClaim")]
    claims += [c["spec"] for s in of_kind("StatefulSet") for c in s["spec"]["volumeClaimTemplates"]]
    for claim in claims:
        assert bytes_of(claim["resources"]["requests"]["storage"]) > 0


@pytest.mark.parametrize("service", of_kind("Service"), ids=lambda s: s["metadata"]["name"])
def test_a_service_leads_to_a_port_of_its_pods_and_is_not_seen_outside(
    service: dict[str, Any],
) -> None:
    assert service["spec"].get("type", "ClusterIP") == "ClusterIP"
    (pod,) = [p for p in pods() if service["spec"]["selector"].items() <= p.labels.items()]
    ports = {p["name"]: p["containerPort"] for c in pod.containers for p in c["ports"]}
    for port in service["spec"]["ports"]:
        assert ports[port["targetPort"]] == port["port"]


def test_a_drained_node_waits_for_heads_and_for_nothing_else() -> None:
    kept = {pod.place for pod in pods() if _chosen(one("PodDisruptionBudget"), pod)}
    assert kept == {"RayCluster head", "RayJob head", "RayCronJob head"}


def test_jobs_find_mlflow_where_it_is() -> None:
    service = next(s for s in of_kind("Service") if s["metadata"]["name"] == "mlflow")
    (port,) = (port["port"] for port in service["spec"]["ports"])
    (server,) = next(d for d in of_kind("Deployment"))["spec"]["template"]["spec"]["containers"]
    (allowed,) = [a for a in server["args"] if a.startswith("--allowed-hosts=")]
    assert f"mlflow:{port}" in allowed.partition("=")[2].split(",")
    for pod in pods():
        if pod.labels["app.kubernetes.io/name"] == "videoproc-ray":
            env = {v["name"]: v.get("value") for v in pod.containers[0]["env"]}
            assert env["MLFLOW_TRACKING_URI"] == f"http://mlflow:{port}"


def test_a_night_runs_a_job_that_there_is_on_the_config_that_is_mounted() -> None:
    spec = job_spec(one("RayJob"))
    python, dash_m, module, flag, config = shlex.split(spec["entrypoint"])
    assert (python, dash_m, flag) == ("python", "-m", "--config")
    assert module.removeprefix("pipelines.") in find_jobs()
    head = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    mounts = {m["mountPath"]: m["name"] for m in head["containers"][0]["volumeMounts"]}
    volume = next(v for v in head["volumes"] if v["name"] == mounts[str(Path(config).parent)])
    assert f"--from-file={Path(config).name}=" in (CLUSTER / "README.md").read_text()
    assert volume["configMap"]["name"] == "nightly"
    assert spec["shutdownAfterJobFinishes"]
    assert spec["activeDeadlineSeconds"] < 24 * 3600


def test_the_config_of_a_night_elsewhere_is_one_and_keeps_all_in_the_store() -> None:
    config = cli.parse(NightlyConfig, ["--config", str(CLUSTER / "nightly.yaml")])
    for place in (config.source, config.data, config.checkpoints):
        assert str(place).startswith("s3://example-bucket/")
    assert config.wait_s > LOST_AFTER_S


# From here on: what the operator itself would say.

SCHEMAS = {
    "RayCluster": "ray.io_rayclusters.yaml",
    "RayJob": "ray.io_rayjobs.yaml",
    "RayCronJob": "ray.io_raycronjobs.yaml",
}


@pytest.fixture(scope="session")
def crds(shared_data: Path) -> dict[str, dict[str, Any]]:
    """The operator's schema of each kind, which refuses what it does not know: Kubernetes would
    drop a misspelt field without a word."""
    loaded = {}
    for kind, name in SCHEMAS.items():
        text = (shared_data / "kuberay_crds" / name).read_text()
        versions = yaml.load(text, Loader=yaml.CSafeLoader)["spec"]["versions"]
        (stored,) = [version for version in versions if version["storage"]]
        loaded[kind] = _strict(stored["schema"]["openAPIV3Schema"])
    return loaded


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    for inner in schema.get("properties", {}).values():
        _strict(inner)
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            _strict(schema[key])
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


def _within(schema: dict[str, Any], *path: str) -> dict[str, Any]:
    for name in path:
        schema = schema["properties"][name]
        schema = schema.get("items", schema)
    return schema


def _check(value: Any, schema: dict[str, Any], what: str) -> None:
    errors = [
        f"{what}: {error.json_path}: {error.message[:200]}"
        for error in jsonschema.Draft202012Validator(schema).iter_errors(value)
    ]
    assert errors == []


@pytest.mark.data
@pytest.mark.parametrize("kind", SCHEMAS)
def test_the_operator_knows_every_field(kind: str, crds: dict[str, dict[str, Any]]) -> None:
    _check(one(kind), crds[kind], kind)


@pytest.mark.data
def test_a_misspelt_field_is_noticed(crds: dict[str, dict[str, Any]]) -> None:
    cluster = copy.deepcopy(one("RayCluster"))
    cluster["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]["resource"] = {}
    with pytest.raises(AssertionError, match=r"'resource' was unexpected"):
        _check(cluster, crds["RayCluster"], "RayCluster")


@pytest.mark.data
def test_kubernetes_own_kinds_are_made_of_parts_that_the_operator_knows(
    crds: dict[str, dict[str, Any]],
) -> None:
    """Its schemas hold those of pods, services, claims and the rules of network policies."""
    spec = _within(crds["RayCluster"], "spec")
    template = _within(spec, "headGroupSpec", "template")
    claim = _within(template, "spec", "volumes", "ephemeral", "volumeClaimTemplate", "spec")
    for document in of_kind("Deployment", "StatefulSet"):
        name = document["metadata"]["name"]
        _check(document["spec"]["template"], template, name)
        for made in document["spec"].get("volumeClaimTemplates", []):
            _check(made["spec"], claim, name)
    for document in of_kind("PersistentVolumeClaim"):
        _check(document["spec"], claim, document["metadata"]["name"])
    for document in of_kind("Service"):
        service = _within(spec, "headGroupSpec", "headService", "spec")
        _check(document["spec"], service, document["metadata"]["name"])
    for document in of_kind("NetworkPolicy"):
        for direction in ("ingress", "egress"):
            rule = _within(spec, "networkPolicy", "head", f"{direction}Rules")
            for given in document["spec"].get(direction, []):
                _check(given, rule, document["metadata"]["name"])
