"""The team's server on one machine: the specification's main rules, and rules of our own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.engine import make_url

from tests.cluster.reading import CLUSTER, IMAGE, PINNED, bytes_of, of_kind, one, read, scalars

TOP = {"name", "services", "networks", "volumes", "secrets", "configs"}
SERVICE = {
    *("user", "read_only", "cap_drop", "security_opt", "restart", "logging", "image", "command"),
    *("environment", "secrets", "networks", "volumes", "tmpfs", "healthcheck", "depends_on"),
    *("deploy", "ports", "stop_grace_period"),
}
"""What a service here may have. Each is in the specification; what is not here has no need."""

COMPOSE = read(CLUSTER / "compose.yaml")
SERVICES = COMPOSE["services"]
EACH = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def test_it_has_the_parts_that_compose_knows() -> None:
    assert {key for key in COMPOSE if not key.startswith("x-")} <= TOP
    for service in SERVICES.values():
        assert set(service) <= SERVICE
        assert set(service.get("healthcheck", {})) <= {"test", "interval", "timeout", "retries"}


@EACH
def test_what_a_service_names_is_there(service: dict[str, Any]) -> None:
    assert set(service["secrets"]) <= set(COMPOSE["secrets"])
    assert set(service["networks"]) <= set(COMPOSE["networks"])
    for other, wanted in service.get("depends_on", {}).items():
        condition = wanted["condition"]
        if condition == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert condition == "service_completed_successfully"
            assert SERVICES[other]["restart"] == "no"


@EACH
def test_every_image_is_of_one_version(service: dict[str, Any]) -> None:
    assert PINNED.fullmatch(service["image"])
    assert service["image"] == IMAGE or "/videoproc:" not in service["image"]


def test_the_database_is_the_same_as_on_kubernetes() -> None:
    (postgres,) = one("StatefulSet")["spec"]["template"]["spec"]["containers"]
    assert SERVICES["database"]["image"] == postgres["image"]


@EACH
def test_every_service_is_a_person_without_rights(service: dict[str, Any]) -> None:
    assert re.fullmatch(r"\$\{VIDEOPROC_UID:\?[^}]+\}:\$\{VIDEOPROC_GID:\?[^}]+\}", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in service["tmpfs"]


@EACH
def test_every_service_has_limits(service: dict[str, Any]) -> None:
    limits = service["deploy"]["resources"]["limits"]
    assert bytes_of(limits["cpus"]) > 0
    assert bytes_of(limits["memory"]) >= 256e6


@EACH
def test_whatever_runs_on_says_whether_it_is_well(service: dict[str, Any]) -> None:
    assert ("healthcheck" in service) == (service["restart"] != "no")


def test_only_mlflow_has_a_port_and_that_on_loopback_unless_told() -> None:
    ports = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert ports == {"mlflow": ["${VIDEOPROC_BIND:-127.0.0.1}:5000:5000"]}
    for name, service in SERVICES.items():
        assert ("outside" in service["networks"]) == (name == "mlflow")
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_secrets_are_files_which_git_and_images_leave_out() -> None:
    ignored = (CLUSTER.parent / ".gitignore").read_text().splitlines()
    kept_out = (CLUSTER.parent / ".dockerignore").read_text().splitlines()
    readme = (CLUSTER / "README.md").read_text()
    for secret in COMPOSE["secrets"].values():
        path = Path(secret["file"])
        assert path.parent == Path("secrets")
        assert f"> {path}" in readme  # its command there
    assert {"/cluster/secrets/", "/cluster/data/", "/cluster/.env"} <= set(ignored)
    assert {"cluster/secrets", "cluster/data", "cluster/.env"} <= set(kept_out)


def test_no_secret_stands_in_the_file() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|KEY|CREDENTIALS", name):
                assert name.endswith("_FILE")
                assert value.removeprefix("/run/secrets/") in service["secrets"]
    assert not any(re.search(r"://[^/\s@]+:[^/\s@]+@", text) for text in scalars(COMPOSE))


@EACH
def test_folders_of_the_machine_are_its_own_data_only(service: dict[str, Any]) -> None:
    for volume in service.get("volumes", []):
        assert volume.startswith("./data/")
        assert (
            f"{volume.partition(':')[0].removeprefix('./')}" in (CLUSTER / "README.md").read_text()
        )


def test_mlflow_speaks_to_the_services_that_there_are() -> None:
    server = SERVICES["mlflow"]
    script = server["command"][-1]
    assert "@database:5432/mlflow" in script
    assert server["environment"]["AWS_ENDPOINT_URL"] == "http://store:8333"
    assert "-s3.port=8333" in SERVICES["store"]["command"]
    made = SERVICES["bucket"]["command"][-1]
    bucket = re.search(r"--artifacts-destination=s3://([^/\s]+)", script)
    assert bucket
    assert f'Bucket="{bucket[1]}"' in made
    compile(made, "bucket", "exec")


def test_the_image_has_the_driver_that_mlflow_speaks_to_postgresql_with() -> None:
    """SQLAlchemy's choice where an address names none has changed between its versions."""
    (server,) = of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"]
    for arguments in (SERVICES["mlflow"]["command"][-1], " ".join(server["args"])):
        address = re.search(r"--backend-store-uri=(\S+)", arguments)
        assert address
        driver = make_url(address[1]).get_dialect().driver
        assert f'"{driver}-binary==' in (CLUSTER / "Dockerfile").read_text()
