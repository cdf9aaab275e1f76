"""A real Ray node of a workspace under tmp_path, and jobs submitted to it from a small checkout."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster import local, nodes
from cluster import submit as submit_module
from videoproc.types import UserError
from videoproc.version import code_version

REPORT = """
    import json, os, sys
    from pathlib import Path
    import ray

    def where():
        import pipelines
        return {"module": pipelines.__file__, "cwd": os.getcwd()}

    if __name__ == "__main__":
        ray.init(logging_level="ERROR")
        names = ("VIDEOPROC_WORKSPACE", "VIDEOPROC_BASE_DIR")
        print("REPORT" + json.dumps({
            "arguments": sys.argv[1:],
            "config": Path(sys.argv[2]).read_text(),
            "folder": sorted(os.listdir()),
            "python": sys.executable,
            "gcs": ray.get_runtime_context().gcs_address,
            "worker": ray.get(ray.remote(where).remote()),
            "submitted": "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ,
            **{name: os.environ.get(name) for name in names},
        }))
"""
LINE = "\nthe job begins\n"
FAIL = """
    import sys

    if __name__ == "__main__":
        print("error: the corpus is empty")
        sys.exit(int(sys.argv[1]))
"""
HANG = """
    import subprocess, sys, time
    from pathlib import Path

    if __name__ == "__main__":
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        Path(sys.argv[1]).write_text(str(child.pid))
        time.sleep(600)
"""


@dataclass(frozen=True)
class Checkout:
    """A checkout with three small jobs, and a workspace to run them for."""

    root: Path
    workspace: Path

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "cluster", *words]

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        foreign = ("RAY_", "VIDEOPROC_", "MLFLOW_")
        plain = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        own = {"VIDEOPROC_WORKSPACE": str(self.workspace), "PYTHONPATH": str(self.root)}
        return {**plain, **own, **(more or {})}

    def run(
        self, *words: str, cwd: Path | None = None, environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words),
            cwd=cwd or self.root,
            env=self.environ(environ),
            capture_output=True,
            text=True,
            timeout=200,
        )

    def state(self) -> dict[str, str]:
        return dict(json.loads((self.workspace / "cluster" / "state.json").read_text()))


def make_checkout(folder: Path) -> Checkout:
    root = folder / "checkout"
    shutil.copytree(nodes.ROOT / "cluster", root / "cluster")
    (root / "videoproc").mkdir()
    (root / "videoproc" / "__init__.py").touch()
    for name in ("masking.py", "types.py", "version.py"):
        shutil.copy(nodes.ROOT / "videoproc" / name, root / "videoproc")
    (root / "pipelines").mkdir()
    (root / "pipelines" / "__init__.py").touch()
    (root / "pipelines" / "shared.py").write_text("HELPER = 1\n")
    for name, text in {"report": REPORT, "fail": FAIL, "hang": HANG}.items():
        (root / "pipelines" / f"{name}.py").write_text(textwrap.dedent(text))
    return Checkout(root=root, workspace=folder / "workspace")


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Checkout]:
    checkout = make_checkout(tmp_path)
    yield checkout
    local.stop_cluster(checkout.workspace)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    checkout = make_checkout(tmp_path_factory.mktemp("running"))
    try:
        result = checkout.run("up", "--cpus", "2")
        assert result.returncode == 0, result.stderr
        yield checkout
    finally:
        checkout.run("down")


HERE = submit_module.Target(
    address="http://127.0.0.1:8265", python="/venv/bin/python", headers={}, is_here=True
)
ELSEWHERE = dataclasses.replace(HERE, address="http://head:8265", python="python", is_here=False)


def submit(
    arguments: list[str],
    *,
    base_dir: Path,
    target: submit_module.Target = HERE,
    environ: dict[str, str] | None = None,
) -> submit_module.Submission:
    return submit_module.submission(
        "index",
        arguments,
        target=target,
        workspace=Path("/data/workspace"),
        base_dir=base_dir,
        environ=environ or {},
    )


def test_a_submitted_command_is_quoted_and_its_configs_travel(tmp_path: Path) -> None:
    for name in ("night ly.yaml", "more.yaml"):
        (tmp_path / name).touch()
    words = ["--data", "my data", "--config", "night ly.yaml", "--n=$(x)", "--config=more.yaml"]
    job = submit(words, base_dir=tmp_path)
    assert shlex.split(job.entrypoint) == [
        *("/venv/bin/python", "-m", "pipelines.index"),
        *("--config", "config/0/night ly.yaml", "--config", "config/1/more.yaml"),
        *("--data", "my data", "--n=$(x)"),
    ]
    assert job.configs == {
        "config/0/night ly.yaml": tmp_path / "night ly.yaml",
        "config/1/more.yaml": tmp_path / "more.yaml",
    }


@pytest.mark.parametrize(
    ("arguments", "environ", "remedy"),
    [
        (["--source", "https://ann:hunter2@host/a.csv"], {}, "--config"),
        (["--source=https://host/a.csv?X-Amz-Signature=hunter2"], {}, "--config"),
        (["--source", "https://host/ann's.csv?key=hunter2"], {}, "or a query"),
        (["--source=https://host/my list.csv?key=hunter2"], {}, "--config"),
        ([], {"MLFLOW_TRACKING_URI": "http://ann:hunter2@host"}, "MLFLOW_TRACKING_PASSWORD"),
        ([], {"MLFLOW_TRACKING_URI": "postgresql://ml:/hunter2@db/r"}, "MLFLOW_TRACKING_PASSWORD"),
        ([], {"AWS_ENDPOINT_URL": "http://ann:hunter2@store"}, "AWS_SECRET_ACCESS_KEY"),
        ([], {"VIDEOPROC_ARTIFACTS": "s3://ann:hunter2@bucket/a"}, "AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_secret_is_refused_where_whoever_sees_the_job_would_see_it(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], remedy: str
) -> None:
    with pytest.raises(UserError, match=remedy) as refused:
        submit(arguments, base_dir=tmp_path, environ=environ)
    assert "hunter2" not in str(refused.value)


def test_a_submitted_job_knows_where_things_are_and_is_given_no_keys(tmp_path: Path) -> None:
    places = {
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:5000",
        "VIDEOPROC_ARTIFACTS": "s3://bucket/artifacts",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9000",
    }
    environ = places | {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    assert submit([], base_dir=tmp_path, environ=environ).env_vars == {
        "VIDEOPROC_WORKSPACE": "/data/workspace",
        "VIDEOPROC_BASE_DIR": str(tmp_path),
        "VIDEOPROC_CODE_VERSION": code_version(),
        **places,
    }


def test_a_cluster_elsewhere_keeps_its_own_workspace_unless_told(tmp_path: Path) -> None:
    version = {"VIDEOPROC_CODE_VERSION": code_version()}
    assert submit([], base_dir=tmp_path, target=ELSEWHERE).env_vars == version
    environ = {"VIDEOPROC_CLUSTER_WORKSPACE": "/disk/workspace"}
    told = submit([], base_dir=tmp_path, target=ELSEWHERE, environ=environ)
    assert told.env_vars == version | {"VIDEOPROC_WORKSPACE": "/disk/workspace"}
    with pytest.raises(UserError, match=r"VIDEOPROC_CLUSTER_WORKSPACE is 'ws': .* absolute path"):
        submit(
            [],
            base_dir=tmp_path,
            target=ELSEWHERE,
            environ={"VIDEOPROC_CLUSTER_WORKSPACE": "ws"},
        )


@pytest.mark.parametrize(
    ("words", "config", "setting"),
    [
        (["--data", "my/set"], "", "data is 'my/set'"),
        (["--data=my/set"], "", "data is 'my/set'"),
        (["--roots", "[s3://bucket/a, here]"], "", "roots is 'here'"),
        ([], "source: corpus/videos.csv", "source is 'corpus/videos.csv'"),
        ([], "data: s3://bucket/set\nroots: [/there, here]", "roots is 'here'"),
    ],
)
def test_a_path_from_here_is_refused_for_a_cluster_elsewhere(
    words: list[str], config: str, setting: str, tmp_path: Path
) -> None:
    (tmp_path / "night.yaml").write_text(config)
    words = [*words, "--config", "night.yaml"]
    with pytest.raises(UserError) as refused:
        submit(words, base_dir=tmp_path, target=ELSEWHERE)
    assert setting in str(refused.value)
    assert "s3://" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert submit(words, base_dir=tmp_path), "here the folder is the same"


def test_places_that_the_cluster_elsewhere_has_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text("source: /corpus\nlayout: csv\ncheckpoints: s3://b/runs\n")
    words = ["--config", "night.yaml", "--data", "s3://bucket/set", "--roots=[https://a.b/c, /d]"]
    assert submit(words, base_dir=tmp_path, target=ELSEWHERE).configs


def test_no_place_and_a_file_that_the_job_will_refuse_are_no_path_from_here(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_bytes("source: müll".encode("latin-1"))
    words = ["--config", "night.yaml", "--source", "null", "--checkpoints="]
    assert submit(words, base_dir=tmp_path, target=ELSEWHERE).configs


def test_every_setting_of_a_job_that_is_a_place_is_known() -> None:
    jobs = "".join(file.read_text() for file in (nodes.ROOT / "pipelines").glob("*.py"))
    found = set(re.findall(r"cli\.(?:absolute|local)\(config\.(\w+)", jobs))
    assert found >= {"source", "data", "checkpoints"}
    assert found <= set(submit_module.PLACES)


def test_the_oldest_ray_is_that_of_the_packages() -> None:
    project = tomllib.loads((nodes.ROOT / "pyproject.toml").read_text())["project"]
    (ray,) = [word for word in project["dependencies"] if word.startswith("ray[")]
    assert ray.endswith(f"]>={submit_module.OLDEST_RAY}")


def test_a_missing_config_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no config file .*nightly\.yaml"):
        submit(["--config", "nightly.yaml"], base_dir=tmp_path)


def test_a_cluster_that_the_environment_names_comes_first(tmp_path: Path) -> None:
    environ = {"RAY_ADDRESS": "http://head:8265", "VIDEOPROC_CLUSTER_PYTHON": "/opt/python"}
    target = submit_module.find_target(tmp_path, environ)
    assert (target.address, target.python) == ("http://head:8265", "/opt/python")
    assert not target.is_here


def test_an_unknown_job_is_one_line_that_names_the_jobs(checkout: Checkout) -> None:
    result = checkout.run("submit", "indx")
    assert result.returncode == 2
    assert result.stderr == "error: there is no job 'indx'; the jobs are: fail, hang, report\n"


@pytest.mark.parametrize("words", [("submit", "report"), ("env",)])
def test_without_a_cluster_one_line_says_how_to_start_one(
    checkout: Checkout, words: tuple[str, ...]
) -> None:
    result = checkout.run(*words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert "make cluster-up" in result.stderr


def test_an_address_where_nothing_answers_is_one_line(checkout: Checkout) -> None:
    result = checkout.run("submit", "report", environ={"RAY_ADDRESS": "http://127.0.0.1:1"})
    assert result.returncode == 2
    assert result.stderr == "error: no job server answers at http://127.0.0.1:1\n"


def test_a_password_in_the_address_is_in_no_line(checkout: Checkout) -> None:
    address = {"RAY_API_SERVER_ADDRESS": "http://ann:hunter2@127.0.0.1:1"}
    result = checkout.run("submit", "report", environ=address)
    assert result.returncode == 2
    assert result.stderr == "error: no job server answers at http://127.0.0.1:1\n"


def test_down_without_a_cluster_does_nothing(checkout: Checkout) -> None:
    assert checkout.run("down").returncode == 0


def test_a_token_is_its_owners_and_stays_the_same(tmp_path: Path) -> None:
    token = local.make_token(tmp_path / "cluster")
    text = token.read_text()
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    assert len(text) == 64
    assert local.make_token(tmp_path / "cluster").read_text() == text


def test_a_taken_port_is_passed_over() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert next(nodes.free_ports(port)) > port


def test_a_node_that_cannot_start_leaves_its_log_and_no_process(checkout: Checkout) -> None:
    result = checkout.run("up", "--cpus", "-1")
    assert result.returncode == 2
    assert "ray.log" in result.stderr
    assert not nodes.processes_of(checkout.workspace)
    assert not (checkout.workspace / "cluster" / "state.json").exists()


def test_nodes_of_one_machine_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    three = nodes.share_machine(3, cpus=None)
    assert three["num-cpus"] == 2
    assert 0 < 3 * three["object-store-memory"] <= 0.31 * psutil.virtual_memory().total
    assert nodes.share_machine(16, cpus=None)["num-cpus"] == 1
    assert nodes.share_machine(3, cpus=4)["num-cpus"] == 4
    assert nodes.share_machine(1, cpus=None) == {}, "one alone takes what Ray finds"


def test_no_nodes_are_one_line(checkout: Checkout) -> None:
    result = checkout.run("up", "--nodes", "0")
    assert (result.returncode, result.stderr) == (2, "error: nodes is 0: use 1 or more\n")


@pytest.mark.slow
def test_a_submitted_job_runs_the_uploaded_code_with_the_nodes_python(
    running: Checkout, tmp_path: Path
) -> None:
    report = reported(running, tmp_path)
    assert report["arguments"] == ["--config", "config/0/job.yaml", "--data", "d"]
    assert report["config"] == "data: d\n"
    assert report["folder"] == ["config", "pipelines", "videoproc"]
    assert report["python"] == sys.executable
    assert report["gcs"] == running.state()["gcs_address"]
    assert "working_dir_files" in report["worker"]["module"]
    assert report["submitted"]
    assert report["VIDEOPROC_WORKSPACE"] == str(running.workspace)
    assert report["VIDEOPROC_BASE_DIR"] == str(tmp_path)


def reported(checkout: Checkout, folder: Path, **environ: str) -> dict[str, Any]:
    """What a job saw that was submitted from `folder` with a config file of there."""
    (folder / "job.yaml").write_text("data: d\n" if not environ else "data: s3://b/d\n")
    words = ["--config", "job.yaml", "--data", "s3://b/d" if environ else "d"]
    result = checkout.run("submit", "report", *words, cwd=folder, environ=environ)
    assert result.returncode == 0, result.stdout + result.stderr
    line = next(line for line in result.stdout.splitlines() if "REPORT" in line)
    return dict(json.loads(line[6:]))


@pytest.mark.slow
def test_a_job_for_a_cluster_elsewhere_takes_its_config_along_and_no_path_of_here(
    running: Checkout, checkout: Checkout, tmp_path: Path
) -> None:
    lines = running.run("env").stdout.splitlines()
    environ = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    report = reported(checkout, tmp_path, **environ)
    assert report["gcs"] == running.state()["gcs_address"]
    assert report["config"] == "data: s3://b/d\n"
    assert report["VIDEOPROC_WORKSPACE"] == str(running.workspace), "what the nodes have"
    assert report["VIDEOPROC_BASE_DIR"] is None
    told = reported(checkout, tmp_path, **environ, VIDEOPROC_CLUSTER_WORKSPACE="/elsewhere")
    assert told["VIDEOPROC_WORKSPACE"] == "/elsewhere"


@pytest.mark.slow
def test_a_head_that_is_killed_ends_its_clients_in_one_line(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert checkout.run("up", "--cpus", "1").returncode == 0
    monkeypatch.setattr(submit_module, "GONE_S", 2.0)
    target = submit_module.find_target(checkout.workspace, {})
    client, shown = submit_module.connect(target), list[str]()
    command = "echo the job begins; sleep 600"
    job = submit_module.Submission(entrypoint=command, env_vars={}, configs={})
    job_id = submit_module.send(client, job)

    def has_begun() -> bool:
        shown.append(capfd.readouterr().out)
        return LINE in "".join(shown)

    def kill() -> None:
        wait_for(has_begun)
        for process in nodes.processes_of(checkout.workspace):
            process.kill()

    killing = threading.Thread(target=kill)
    killing.start()
    with pytest.raises(submit_module.ClusterError) as lost:
        asyncio.run(submit_module.follow(client, job_id))
    killing.join()
    assert target.address in str(lost.value)
    assert "\n" not in str(lost.value)
    assert "submit it again" in str(lost.value)
    assert "".join([*shown, capfd.readouterr().out]).count(LINE) == 1


@pytest.mark.slow
def test_a_failed_jobs_log_and_exit_code_come_through(running: Checkout) -> None:
    result = running.run("submit", "fail", "3")
    assert result.returncode == 3
    assert result.stdout.count("error: the corpus is empty\n") == 1
    assert "failed with exit code 3" in result.stderr


@pytest.mark.slow
def test_the_environment_that_env_prints_reaches_the_node(running: Checkout) -> None:
    lines = running.run("env").stdout.splitlines()
    environ = dict(shlex.split(line)[1].split("=", 1) for line in lines)
    code = "import ray; ray.init(); print(ray.cluster_resources()['CPU'])"
    connected = subprocess.run(
        [sys.executable, "-c", code], env=running.environ(environ), capture_output=True, text=True
    )
    assert connected.stdout == "2.0\n", connected.stderr
    assert running.run("submit", "fail", "0", environ=environ).returncode == 0


@pytest.mark.slow
def test_up_again_keeps_the_node(running: Checkout) -> None:
    before = running.state()
    result = running.run("up")
    assert result.returncode == 0
    assert result.stdout.startswith("already up")
    assert running.state() == before


@pytest.mark.slow
def test_down_ends_all_of_its_own_and_nothing_of_another_cluster(
    running: Checkout, checkout: Checkout
) -> None:
    result = checkout.run("up", "--cpus", "1")
    assert result.returncode == 0, result.stderr
    temp_dir = Path(checkout.state()["temp_dir"])
    pid_file = checkout.workspace / "pid"
    client = subprocess.Popen(
        checkout.command("submit", "hang", str(pid_file)),
        cwd=checkout.root,
        env=checkout.environ(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(pid_file.exists)
    others = {process.pid for process in nodes.processes_of(running.workspace)}
    assert checkout.run("down").returncode == 0
    client.kill()
    client.wait()
    assert not nodes.processes_of(checkout.workspace)
    assert not Path(f"/proc/{pid_file.read_text()}").exists()
    assert not temp_dir.exists()
    assert others <= {process.pid for process in nodes.processes_of(running.workspace)}
    assert running.run("submit", "fail", "0").returncode == 0


@pytest.mark.slow
def test_a_node_that_was_killed_is_replaced_whole(checkout: Checkout) -> None:
    assert checkout.run("up", "--cpus", "1").returncode == 0
    lost = {process.pid for process in nodes.processes_of(checkout.workspace)}
    os.kill(int(checkout.state()["pid"]), signal.SIGKILL)
    assert checkout.run("status").returncode == 1
    assert checkout.run("up", "--cpus", "1").returncode == 0
    assert not lost & {process.pid for process in nodes.processes_of(checkout.workspace)}
    assert checkout.run("submit", "fail", "0").returncode == 0


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
