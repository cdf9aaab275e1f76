"""The launcher's file: Ray's own schema and defaults, and rules of our own."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ray.autoscaler._private import util

from tests.cluster.reading import CLUSTER, CUDA_IMAGE, IMAGE, ROOT, job_spec, one, read, scalars

Config = dict[str, Any]


@pytest.fixture
def config() -> Config:
    return read(CLUSTER / "aws.yaml")


def test_ray_takes_it(config: Config) -> None:
    util.validate_config(util.prepare_config(copy.deepcopy(config)))


def test_ray_would_refuse_a_misspelt_field(config: Config) -> None:
    config["available_node_types"]["decode"]["max_worker"] = 3
    with pytest.raises(Exception, match="max_worker"):
        util.validate_config(util.prepare_config(config))


def test_cpu_machines_decode_on_spot_and_gpu_machines_train(config: Config) -> None:
    types = config["available_node_types"]
    decode, train, head = types["decode"], types["train"], types[config["head_node_type"]]
    assert decode["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert "GPU" not in decode["resources"]
    assert decode["resources"]["decode"] == decode["resources"]["CPU"]
    assert train["resources"]["train"] == train["resources"]["GPU"]
    assert train["docker"]["worker_image"] == CUDA_IMAGE
    assert head["resources"]["CPU"] == 0
    for name, machine in (("train", train), ("head", head)):
        assert "InstanceMarketOptions" not in machine["node_config"], name
    for role in ("decode", "train"):
        assert types[role]["labels"] == {"videoproc/role": role}
        assert types[role]["min_workers"] in (0, 1)
        assert types[role]["max_workers"] > types[role]["min_workers"]
    assert config["max_workers"] == decode["max_workers"] + train["max_workers"]


def test_there_are_machines_for_each_part_of_the_night(config: Config) -> None:
    there = [machine.get("labels") for machine in config["available_node_types"].values()]
    for place in read(CLUSTER / "nightly.yaml")["placement"].values():
        assert place["labels"] in there


def test_labels_and_resources_are_those_of_the_kubernetes_cluster(config: Config) -> None:
    for group in one("RayCluster")["spec"]["workerGroupSpecs"]:
        machine = config["available_node_types"][group["groupName"]]
        assert machine["labels"] == group["labels"]
        assert set(group["resources"]) <= set(machine["resources"])


def test_no_machine_is_open_to_the_world(config: Config) -> None:
    assert config["provider"]["use_internal_ips"] is True
    assert "security_group" not in config["provider"]
    for name, machine in config["available_node_types"].items():
        node = machine["node_config"]
        # Where none is named Ray makes a group that lets everyone in by ssh.
        assert node["SecurityGroupIds"], name
        assert node["SubnetIds"], name
        assert node["MetadataOptions"]["HttpTokens"] == "required"
        assert all(disk["Ebs"]["Encrypted"] for disk in node["BlockDeviceMappings"])
    assert not any("0.0.0.0" in text for text in scalars(config))


def test_machines_have_roles_by_name_and_workers_not_the_heads(config: Config) -> None:
    roles = {
        name: machine["node_config"]["IamInstanceProfile"]["Name"]
        for name, machine in config["available_node_types"].items()
    }
    assert roles["decode"] == roles["train"] != roles["head"]
    assert not any("AWS_SECRET" in text or "AKIA" in text for text in scalars(config))


def test_every_process_asks_for_the_token_which_comes_from_a_file(config: Config) -> None:
    assert "--env RAY_AUTH_MODE=token" in config["docker"]["run_options"]
    assert config["file_mounts"]["/home/videoproc/.ray/auth_token"] == "~/.ray/auth_token"
    assert not any("RAY_AUTH_TOKEN=" in text for text in scalars(config))


def test_all_software_is_in_the_image(config: Config) -> None:
    whole = util.prepare_config(copy.deepcopy(config))
    assert config["docker"]["image"] == IMAGE
    steps = ("initialization", "setup", "head_setup", "worker_setup")
    assert [whole[f"{step}_commands"] for step in steps] == [[], [], [], []]


def test_the_containers_have_no_rights(config: Config) -> None:
    options = config["docker"]["run_options"]
    assert {"--cap-drop=ALL", "--security-opt=no-new-privileges"} <= set(options)


def test_the_night_is_the_same_file_as_on_kubernetes(config: Config) -> None:
    assert (ROOT / config["file_mounts"]["/home/videoproc/nightly.yaml"]).is_file()
    assert job_spec(one("RayJob"))["entrypoint"].endswith("/nightly.yaml")
