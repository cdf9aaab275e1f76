"""Jobs submitted to the cluster of this machine, or to one elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import logging
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.exceptions import AuthenticationError
from ray.job_submission import JobStatus, JobSubmissionClient

from cluster.local import auth_headers, require_cluster
from cluster.nodes import ROOT
from videoproc import version
from videoproc.masking import masked
from videoproc.types import UserError

# Only the code is sent to a cluster: a data folder in the checkout would be hashed and sent too.
# "/??*" is every name in the root; "/*" would match the root itself, and nothing would be sent.
NOT_UPLOADED = ["/??*", "!/pipelines", "!/pipelines/**", "!/videoproc", "!/videoproc/**"]

PASSED_ON = (
    "MLFLOW_TRACKING_URI",
    "VIDEOPROC_ARTIFACTS",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
)
"""Where things are. Keys are not passed on: whoever sees a job sees its environment, so a cluster
has credentials of its own, by its role or from the environment that it was started in."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a job goes: the job server, the interpreter there, and how to be let in."""

    address: str
    python: str
    headers: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What `ray job submit` would be given: a shell line and a runtime environment."""

    entrypoint: str
    runtime_env: dict[str, Any]


def find_target(workspace: Path, environ: Mapping[str, str]) -> Target:
    """The cluster that the environment names, else the workspace's own."""
    address = environ.get("RAY_API_SERVER_ADDRESS") or environ.get("RAY_ADDRESS", "")
    if address.startswith(("http://", "https://")):
        python = environ.get("VIDEOPROC_CLUSTER_PYTHON", "python")
        return Target(address=address, python=python, headers={})  # Ray's client reads RAY_AUTH_*
    if address not in ("", "auto", "local"):
        raise UserError(
            f"RAY_ADDRESS is {address!r}, and jobs are submitted over HTTP: set "
            "RAY_API_SERVER_ADDRESS to that cluster's http://...:8265, or unset RAY_ADDRESS"
        )
    cluster = require_cluster(workspace)
    headers = auth_headers(workspace / "cluster" / "token")
    return Target(address=cluster.dashboard_url, python=cluster.python, headers=headers)


def find_jobs() -> list[str]:
    """The modules in pipelines/ that can be run."""
    files = sorted((ROOT / "pipelines").glob("*.py"))
    return [file.stem for file in files if '__name__ == "__main__"' in file.read_text()]


def require_job(job: str) -> None:
    if job not in find_jobs():
        raise UserError(f"there is no job {job!r}; the jobs are: {', '.join(find_jobs())}")


def submission(
    job: str,
    arguments: Sequence[str],
    *,
    python: str,
    workspace: Path,
    base_dir: Path,
    environ: Mapping[str, str],
) -> Submission:
    """How `python -m pipelines.JOB arguments`, said in `base_dir`, reads on a cluster."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path)
    known, flags = parser.parse_known_args(arguments)
    for word in flags:
        if masked(word) != word:
            raise UserError(
                f"{masked(word)!r} is given with a secret, and whoever sees a job sees its command "
                "line: give it in a file, with --config"
            )
    command = [python, "-m", f"pipelines.{job}"]
    if known.config:
        config = base_dir / known.config
        if not config.is_file():
            raise UserError(f"there is no config file {str(config)!r}")
        command += ["--config", str(config)]
    env_vars = {
        "VIDEOPROC_WORKSPACE": str(workspace),
        "VIDEOPROC_BASE_DIR": str(base_dir),
        version.SUBMITTED: version.code_version(),
    }
    env_vars |= {name: environ[name] for name in PASSED_ON if environ.get(name)}
    if masked(uri := environ.get("MLFLOW_TRACKING_URI", "")) != uri:
        raise UserError(
            f"MLFLOW_TRACKING_URI, {masked(uri)}, is given with a password, and whoever sees a job "
            "sees its environment: leave the password out, and set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD where the cluster is started"
        )
    return Submission(
        entrypoint=shlex.join([*command, *flags]),
        runtime_env={
            "working_dir": str(ROOT),
            "excludes": NOT_UPLOADED,
            "env_vars": env_vars,
        },
    )


def run_job(target: Target, job: Submission) -> int:
    """Submit, show the job's log as it comes, and return the job's own exit code."""
    logging.disable(logging.WARNING)  # Ray's client writes five lines about the upload
    try:
        client = JobSubmissionClient(target.address, headers=target.headers)
    except ConnectionError as error:
        raise UserError(f"no job server answers at {target.address}") from error
    except AuthenticationError as error:
        raise UserError(
            f"{target.address} refuses the token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error
    job_id = client.submit_job(entrypoint=job.entrypoint, runtime_env=job.runtime_env)
    print(f"{job_id} submitted to {target.address}", flush=True)
    try:
        asyncio.run(show_log(client, job_id))
    except KeyboardInterrupt:
        print(f"\n{job_id} goes on; its log, and its end: `ray job logs|stop {job_id}`")
        return 130
    info = client.get_job_info(job_id)
    if info.status == JobStatus.SUCCEEDED:
        print(f"{job_id} succeeded")
        return 0
    if info.driver_exit_code is None:  # stopped, or it never started
        print(f"{job_id} {info.status.lower()}: {info.message}", file=sys.stderr)
        return 1
    print(f"{job_id} failed with exit code {info.driver_exit_code}", file=sys.stderr)
    return info.driver_exit_code


async def show_log(client: JobSubmissionClient, job_id: str) -> None:
    async for text in client.tail_job_logs(job_id):
        print(text, end="", flush=True)
