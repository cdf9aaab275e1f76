"""Jobs submitted to the cluster of this machine, or to one elsewhere."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import re
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import ray
import requests
import yaml
from packaging.version import parse as parse_version
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient

from cluster.local import auth_headers, find_cluster, require_cluster
from cluster.nodes import ROOT
from videoproc import version
from videoproc.masking import masked, masked_uri
from videoproc.types import UserError

UPLOADED = ("pipelines", "videoproc")
"""Of the checkout, beside the job's config files: only the code is sent to a cluster."""

PASSED_ON = (
    "MLFLOW_TRACKING_URI",
    "VIDEOPROC_ARTIFACTS",
    "AWS_ENDPOINT_URL",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "VIDEOPROC_STORE_PATIENCE_S",
)
"""Where things are, and how long to wait for a store. Keys are not passed on: whoever sees a job
sees its environment, so a cluster has credentials of its own, by its role or from the environment
that it was started in."""


PLACES = ("source", "data", "roots", "checkpoints", "output", "results")
"""The settings of jobs that name places; a test holds them against the jobs."""

NOT_GIVEN = ("", "null")  # as flags say it

OLDEST_RAY = "2.60"  # of a cluster; as pyproject.toml has it
REQUEST_S = 30.0  # that any one request may take
LOOK_EVERY_S = 5.0  # how the job is, while its log is shown
RETRY_S = 1.0
MAX_CHARS = 300  # of what Ray says
GONE_S = 60.0  # without an answer: a network or a proxy comes back, a head that was lost does not
PENDING_S = 30.0
REST_S = 10.0  # for the end of the log of a job that has ended

AWAY = (RuntimeError, OSError, aiohttp.ClientError)
"""What Ray's client raises where nobody answers, the connection breaks, or the answer is no 200."""


class ClusterError(RuntimeError):
    """The cluster fails, and no other command line mends it: one line, and exit code 1."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a job goes: the job server, the interpreter there, and how to be let in.

    is_here: it is the workspace's own cluster on this machine, which sees the same folders.
    """

    address: str
    python: str
    headers: dict[str, str]
    is_here: bool

    @property
    def shown(self) -> str:
        """The address as people may see it."""
        return masked_uri(self.address)


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What `ray job submit` would be given. configs: files that travel, by their names there."""

    entrypoint: str
    env_vars: dict[str, str]
    configs: dict[str, Path]


class Client(JobSubmissionClient):
    """Ray's own, of which no request takes for ever."""

    def _do_request(self, method: str, endpoint: str, **options: Any) -> requests.Response:
        return super()._do_request(method, endpoint, timeout=REQUEST_S, **options)

    @property
    def shown(self) -> str:
        return masked_uri(self.get_address())

    @property
    def server_ray(self) -> str:
        return str(self._server_ray_version)


def find_target(workspace: Path, environ: Mapping[str, str]) -> Target:
    """The cluster that the environment names, else the workspace's own."""
    address = environ.get("RAY_API_SERVER_ADDRESS") or environ.get("RAY_ADDRESS", "")
    if address.startswith(("http://", "https://")):
        here = find_cluster(workspace)
        return Target(
            address=address,
            python=environ.get("VIDEOPROC_CLUSTER_PYTHON", "python"),
            headers={},  # Ray's client reads RAY_AUTH_*
            is_here=here is not None and here.dashboard_url == address.rstrip("/"),
        )
    if address not in ("", "auto", "local"):
        raise UserError(
            f"RAY_ADDRESS is {address!r}, and jobs are submitted over HTTP: set "
            "RAY_API_SERVER_ADDRESS to that cluster's http://...:8265, or unset RAY_ADDRESS"
        )
    cluster = require_cluster(workspace)
    headers = auth_headers(workspace / "cluster" / "token")
    return Target(
        address=cluster.dashboard_url, python=cluster.python, headers=headers, is_here=True
    )


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
    target: Target,
    workspace: Path,
    base_dir: Path,
    environ: Mapping[str, str],
) -> Submission:
    """How `python -m pipelines.JOB arguments`, said in `base_dir`, reads on a cluster."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", type=Path, action="append", default=[])
    known, flags = parser.parse_known_args(arguments)
    for word in flags:
        if (shown := _shown(word)) != word:
            raise UserError(
                f"{shown!r} is given with a password, a key or a query, and whoever sees a "
                "job sees its command line: give it in a file, with --config"
            )
    configs = {f"config/{i}/{file.name}": base_dir / file for i, file in enumerate(known.config)}
    for config in configs.values():
        if not config.is_file():
            raise UserError(f"there is no config file {str(config)!r}")
    command = [target.python, "-m", f"pipelines.{job}"]
    for name in configs:
        command += ["--config", name]
    env_vars = {version.SUBMITTED: version.code_version()}
    if target.is_here:
        env_vars |= {
            "VIDEOPROC_WORKSPACE": str(workspace),
            "VIDEOPROC_BASE_DIR": str(base_dir),
        }
    else:
        _check_places(flags, configs.values(), target)
        env_vars |= _workspace_there(environ)
    for name in PASSED_ON:
        if value := environ.get(name):
            _check_no_secret(name, value)
            env_vars[name] = value
    return Submission(entrypoint=shlex.join([*command, *flags]), env_vars=env_vars, configs=configs)


def _shown(word: str) -> str:
    """A word of the command line without secrets: itself, where it has none."""
    flag, is_joined, value = word.partition("=")
    if is_joined and flag.startswith("--"):
        return masked(f"{flag}={masked_uri(value)}")
    return masked_uri(word)


def _check_no_secret(name: str, value: str) -> None:
    if (shown := masked_uri(value)) == value:
        return
    keys = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    if name == "MLFLOW_TRACKING_URI":
        keys = "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
    raise UserError(
        f"{name}, {shown}, is given with a password or a query, and whoever sees a job sees its "
        f"environment: leave that out, and set {keys} where the cluster is started"
    )


def _workspace_there(environ: Mapping[str, str]) -> dict[str, str]:
    """Its pods and containers know theirs; ours, which VIDEOPROC_WORKSPACE names, is not there."""
    place = environ.get("VIDEOPROC_CLUSTER_WORKSPACE", "")
    if place and not Path(place).is_absolute():
        raise UserError(
            f"VIDEOPROC_CLUSTER_WORKSPACE is {place!r}: give an absolute path on the cluster"
        )
    return {"VIDEOPROC_WORKSPACE": place} if place else {}


def _check_places(flags: Sequence[str], configs: Iterable[Path], target: Target) -> None:
    """UserError where a setting names a folder from where the user stands: it is not there."""
    for setting, place in [*_of_flags(flags), *_of_files(configs)]:
        if setting not in PLACES or place in NOT_GIVEN:
            continue
        if not (place.startswith(("/", "~")) or "://" in place):
            raise UserError(
                f"{setting} is {place!r}, a path from this folder, and the job runs on the cluster "
                f"at {target.shown}: give s3://..., or an absolute path there"
            )


def _of_flags(flags: Sequence[str]) -> Iterator[tuple[str, str]]:
    for flag, following in zip(flags, [*flags, ""][1:], strict=True):
        name, is_joined, value = flag.partition("=")
        if name.startswith("--"):
            yield from _each(name.removeprefix("--"), value if is_joined else following)


def _of_files(configs: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for config in configs:
        with suppress(yaml.YAMLError, UnicodeDecodeError):  # the job says what is wrong with it
            settings = yaml.safe_load(config.read_text())
            for setting, value in settings.items() if isinstance(settings, dict) else ():
                yield from _each(setting, value)


def _each(setting: str, value: object) -> Iterator[tuple[str, str]]:
    """A setting's places: of a list, which a flag writes as [a, b], each."""
    if isinstance(value, str) and value.startswith("["):
        with suppress(yaml.YAMLError):
            value = yaml.safe_load(value)
    for place in value if isinstance(value, list) else [value]:
        if isinstance(place, str):
            yield setting, place


def run_job(target: Target, job: Submission) -> int:
    """Submit, show the job's log as it comes, and return the job's own exit code."""
    logging.disable(logging.WARNING)  # Ray's client writes five lines about the upload
    client = connect(target)
    job_id = send(client, job)
    print(f"{job_id} submitted to {target.shown}", flush=True)
    try:
        info = asyncio.run(follow(client, job_id))
    except KeyboardInterrupt:
        print(f"\n{job_id} goes on; its log, and its end: `ray job logs|stop {job_id}`")
        return 130
    if info.status == JobStatus.SUCCEEDED:
        print(f"{job_id} succeeded")
        return 0
    if info.driver_exit_code is None:  # stopped, or it never started
        said = masked(" ".join(str(info.message).split()))
        print(f"{job_id} {info.status.lower()}: {said}", file=sys.stderr)
        return 1
    print(f"{job_id} failed with exit code {info.driver_exit_code}", file=sys.stderr)
    return info.driver_exit_code


def connect(target: Target) -> Client:
    """Errors: UserError where no job server of Ray's answers, or none that runs our jobs."""
    try:
        client = Client(target.address, headers=target.headers)
    except AuthenticationError as error:
        raise UserError(
            f"{target.shown} refuses the token: set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH"
        ) from error
    except (ConnectionError, requests.Timeout) as error:
        raise UserError(f"no job server answers at {target.shown}") from error
    except (*AWAY, KeyError) as error:
        raise UserError(
            f"what answers at {target.shown} is no job server of Ray's: {_last_line(error)}"
        ) from error
    if parse_version(client.server_ray) < parse_version(OLDEST_RAY):
        raise UserError(
            f"the cluster at {target.shown} runs Ray {client.server_ray}, and jobs need "
            f"{OLDEST_RAY} or newer: bring its image or packages up to date"
        )
    return client


def send(client: Client, job: Submission) -> str:
    """Upload the code and the config files, and submit; the job's id.

    The id is chosen here: with it a job whose answer is lost can be asked for.
    """
    job_id = f"raysubmit_{secrets.token_hex(8)}"
    with tempfile.TemporaryDirectory(prefix="videoproc-") as folder:
        for name in UPLOADED:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, Path(folder, name), ignore=ignored)
        for name, config in job.configs.items():
            Path(folder, name).parent.mkdir(parents=True)
            shutil.copyfile(config, Path(folder, name))
        runtime_env = {"working_dir": folder, "env_vars": job.env_vars}
        try:
            return client.submit_job(
                entrypoint=job.entrypoint, runtime_env=runtime_env, submission_id=job_id
            )
        except AWAY as error:
            if _is_lost(error):
                raise ClusterError(
                    f"the cluster at {client.shown} has not answered and may have taken the job "
                    f"({_last_line(error)}): before you submit it again see "
                    f"`ray job status {job_id}`"
                ) from error
            raise ClusterError(
                f"the cluster at {client.shown}, with Ray {client.server_ray} (here "
                f"{ray.__version__}), takes no job: {_last_line(error)}"
            ) from error


def _is_lost(error: Exception) -> bool:
    """Whether a request may have come through without its answer; also through a proxy."""
    lost = (requests.Timeout, requests.ConnectionError)
    return isinstance(error, lost) or bool(re.search(r"status code 50[234]\b", str(error)))


@dataclass(kw_only=True)
class Log:
    """A job's log, of which nothing is shown twice. shown: characters from its beginning on."""

    client: Client
    job_id: str
    shown: int = 0

    async def tail(self) -> None:
        """Show what comes until the job or the connection ends; each tail begins at the top."""
        at = 0
        async for text in self.client.tail_job_logs(self.job_id):
            self._show(text, at=at)
            at += len(text)

    def rest(self) -> None:
        self._show(self.client.get_job_logs(self.job_id), at=0)

    def _show(self, text: str, *, at: int) -> None:
        try:
            print(text[max(0, self.shown - at) :], end="", flush=True)
        except BrokenPipeError:  # `| head` has read enough; the exit code is still of use
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        self.shown = max(self.shown, at + len(text))


@dataclass(kw_only=True)
class Watch:
    """How a job is, and since when the cluster has not said."""

    client: Client
    job_id: str
    began: float = field(default_factory=time.monotonic)
    answered: float = field(default_factory=time.monotonic)
    has_told: bool = False

    async def look(self) -> JobDetails:
        info = await asyncio.to_thread(self.client.get_job_info, self.job_id)
        self.answered = time.monotonic()
        waited_s = self.answered - self.began
        if info.status == JobStatus.PENDING and waited_s > PENDING_S and not self.has_told:
            self.has_told = True
            why = masked(str(info.message))
            said = f"{self.job_id} has not started in {waited_s:.0f} s: {why}"
            print(said, file=sys.stderr, flush=True)
        return info

    def check(self, error: BaseException) -> None:
        """ClusterError where it is of no use to ask again."""
        address, again = self.client.shown, "submit it again, and it goes on from there"
        if f"{self.job_id} does not exist" in str(error):
            raise ClusterError(
                f"{self.job_id} is lost, since the cluster at {address} has begun anew: {again}"
            ) from error
        if isinstance(error, AuthenticationError):
            raise ClusterError(
                f"{self.job_id} is lost from sight: {address} refuses the token by now"
            ) from error
        if time.monotonic() - self.answered > GONE_S:
            raise ClusterError(
                f"the cluster at {address} has not answered for {GONE_S:.0f} s, {self.job_id} may "
                f"be lost with it ({_last_line(error)}): when it is up, {again}"
            ) from error


async def follow(client: Client, job_id: str) -> JobDetails:
    """Show a job's log until it has ended, also over a connection that breaks and comes back; what
    became of the job. Errors: ClusterError where the cluster is gone."""
    log, watch = Log(client=client, job_id=job_id), Watch(client=client, job_id=job_id)
    while True:
        tail = asyncio.create_task(log.tail())
        try:
            while True:
                await asyncio.wait({tail}, timeout=LOOK_EVERY_S)
                info = await watch.look()
                if info.status.is_terminal():
                    await asyncio.wait({tail}, timeout=REST_S)
                    await _end(tail)
                    with suppress(*AWAY):  # of a node that is gone
                        await asyncio.to_thread(log.rest)
                    return info
                if tail.done():
                    break
        except (*AWAY, AuthenticationError) as error:
            watch.check(error)
        finally:
            await _end(tail)
        await asyncio.sleep(RETRY_S)


async def _end(tail: asyncio.Task[None]) -> None:
    tail.cancel()
    (error,) = await asyncio.gather(tail, return_exceptions=True)
    if isinstance(error, Exception) and not isinstance(error, AWAY):
        raise error


def _last_line(error: BaseException) -> str:
    """Ray's errors may end in the server's traceback, of which the last line says why."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return masked(lines[-1])[:MAX_CHARS] if lines else type(error).__name__
