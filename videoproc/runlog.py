"""Runs in MLflow: the only place that knows it. Only a job's driver calls it.

A dataset has two experiments: `<dataset>` holds what is compared (train and evaluate runs),
`<dataset>-processing` the jobs that made the data (index, extract, predict).
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
import mlflow.pytorch
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from matplotlib.figure import Figure
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException

from videoproc.storage import Anywhere
from videoproc.types import UserError
from videoproc.version import code_version

MODEL_TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
LIBRARIES = ("ray", "torch", "av", "pyarrow", "deltalake", "mlflow", "numpy")
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
LEARNED_FROM = "learned_from.json"
"""The artifact of a training run that lists the videos and groups of its splits."""
MIN_PREFIX_CHARS = 6
MAX_PARAM_CHARS = 500
MAX_PARAMS = 100

for noisy in ("alembic", "mlflow.store.db.utils", "mlflow"):
    logging.getLogger(noisy).setLevel(logging.ERROR)


@dataclass(frozen=True, kw_only=True)
class Run:
    """An open run."""

    run_id: str
    client: mlflow.MlflowClient

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Numbers at a step (the epoch, in training)."""
        now = mlflow.utils.time.get_current_time_millis()
        values = [Metric(_name(k), float(v), now, step) for k, v in metrics.items()]
        self.client.log_batch(self.run_id, metrics=values)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        self.client.log_batch(self.run_id, tags=[RunTag(k, str(v)) for k, v in tags.items()])

    def log_figure(self, figure: Figure, name: str) -> None:
        """A picture, as a PNG artifact."""
        self.client.log_figure(self.run_id, figure, name)

    def log_json(self, values: Any, name: str) -> None:
        """Numbers behind a picture, as a JSON artifact."""
        self.client.log_text(self.run_id, json.dumps(values, indent=2), name)

    def log_table(self, table: pa.Table, name: str) -> None:
        """Rows, as a Parquet artifact."""
        where, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            pq.write_table(table, path)
            self.client.log_artifact(self.run_id, str(path), where or None)

    def log_folder(self, folder: Path, name: str) -> None:
        """A folder's files as artifacts below `name`."""
        self.client.log_artifacts(self.run_id, str(folder), name)

    def log_model(self, model: torch.nn.Module, *, example: np.ndarray) -> None:
        """The model as an exported program: loading it needs torch and MLflow, none of our code."""
        with (
            _fluent(self.client.tracking_uri),
            mlflow.start_run(run_id=self.run_id),
            warnings.catch_warnings(),
        ):
            # torch's own recurrent layers swap their list of weights while they are exported.
            warnings.filterwarnings("ignore", message=r".*_flat_weights.* assigned during export")
            mlflow.pytorch.log_model(
                model.cpu().eval(),
                name="model",
                input_example=example,
                pip_requirements=[
                    f"{lib}=={_version(lib)}" for lib in ("torch", "mlflow", "numpy")
                ],
            )

    def checkpoint_folder(self, workspace: Path) -> Path:
        """The files of the run's best checkpoint, fetched where MLflow keeps them elsewhere."""
        if not self.client.list_artifacts(self.run_id, "checkpoint"):
            raise UserError(
                f"run {self.run_id!r} has no checkpoint: give the id of a training run that ended "
                "well (`make mlflow` lists them)"
            )
        target = workspace / "fetched" / self.run_id
        target.mkdir(parents=True, exist_ok=True)
        return Path(self.client.download_artifacts(self.run_id, "checkpoint", str(target)))

    def history(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a metric, in the order of steps; the last value of each step."""
        found = self.client.get_metric_history(self.run_id, metric)
        by_step = {m.step: m.value for m in sorted(found, key=lambda m: m.timestamp)}
        return sorted(by_step.items())

    def read_json(self, name: str) -> Any:
        """What `log_json` has put into an artifact."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(self.client.download_artifacts(self.run_id, name, folder))
            return json.loads(path.read_text())

    def read_table(self, name: str) -> pa.Table:
        """What `log_table` has put into an artifact; a UserError where there is none."""
        with tempfile.TemporaryDirectory() as folder:
            try:
                path = self.client.download_artifacts(self.run_id, name, folder)
            except (MlflowException, OSError) as error:
                raise UserError(f"run {self.run_id!r} has no artifact {name!r}") from error
            return pq.read_table(path, memory_map=False)

    @property
    def duration_s(self) -> float:
        """Seconds from the start of a run to its end."""
        info = self.client.get_run(self.run_id).info
        return (info.end_time - info.start_time) / 1000

    @property
    def charts(self) -> str:
        """The page of MLflow's server that charts this run beside the others of its experiment.

        The page itself says that models were trained: by default MLflow opens it as for agents.
        """
        experiment_id = self.client.get_run(self.run_id).info.experiment_id
        settings = "workflowType=machine_learning&compareRunsMode=CHART"
        return f"#/experiments/{experiment_id}/runs?{settings}"

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self.client.get_run(self.run_id).data.metrics)

    @property
    def params(self) -> dict[str, str]:
        """The flattened config."""
        return dict(self.client.get_run(self.run_id).data.params)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.client.get_run(self.run_id).data.tags)


@contextmanager
def job_run(
    job: str,
    *,
    data: Anywhere,
    workspace: Path,
    config: Mapping[str, Any],
    name: str | None = None,
    resume: str | None = None,
    parent: str | None = None,
) -> Iterator[Run]:
    """The run of one job, open for the length of a `with`; FAILED when the job raises.

    config becomes flat parameters; `resume` opens an earlier run again instead of a new one.
    """
    client = _client(workspace)
    if resume is None:
        try:
            run_id = _create(client, job, data, workspace, name=name, parent=parent)
        except MlflowException as error:
            raise UserError(f"MLflow opens no run at {client.tracking_uri}: {error}") from error
        _log_params(client, run_id, config)
    else:
        run_id = open_run(resume, workspace=workspace).run_id
        client.update_run(run_id, status="RUNNING")
    try:
        yield Run(run_id=run_id, client=client)
    except BaseException:
        client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id)


def open_run(run_id: str, *, workspace: Path) -> Run:
    """A run that exists; a UserError where there is none of this id."""
    client = _client(workspace)
    try:
        client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in NO_SUCH_RUN:
            raise UserError(f"MLflow does not answer at {client.tracking_uri}: {error}") from error
        raise UserError(
            f"run {run_id!r} does not exist in {client.tracking_uri}: `make mlflow` lists "
            "the runs there are"
        ) from error
    return Run(run_id=run_id, client=client)


def resolve_run(prefix: str, *, workspace: Path) -> Run:
    """The only run whose id begins with `prefix`; a UserError where there is none or several."""
    if len(prefix) < MIN_PREFIX_CHARS or not prefix.isalnum():
        raise UserError(
            f"run {prefix!r} is no run id: give {MIN_PREFIX_CHARS} characters of one or more "
            "(`make mlflow` lists the runs there are)"
        )
    client = _client(workspace)
    found = client.search_runs(
        [experiment.experiment_id for experiment in client.search_experiments()],
        filter_string=f"attributes.run_id LIKE '{prefix}%'",
        max_results=2,
    )
    if len(found) > 1:
        raise UserError(f"run {prefix!r} begins several run ids: give more characters of one")
    return open_run(found[0].info.run_id if found else prefix, workspace=workspace)


def find_run(*, data: Anywhere, workspace: Path, tags: Mapping[str, str]) -> Run | None:
    """The newest finished run of a dataset's comparisons with these tags."""
    client = _client(workspace)
    experiment = client.get_experiment_by_name(data.name)
    if experiment is None:
        return None
    conditions = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    found = client.search_runs(
        [experiment.experiment_id],
        filter_string=" and ".join([*conditions, "attributes.status = 'FINISHED'"]),
        order_by=["attributes.start_time DESC"],
        max_results=1,
    )
    return Run(run_id=found[0].info.run_id, client=client) if found else None


def tracking_uri(workspace: Path) -> str:
    """MLFLOW_TRACKING_URI, or SQLite in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace / 'mlflow.db'}"


def _client(workspace: Path) -> mlflow.MlflowClient:
    workspace.mkdir(parents=True, exist_ok=True)
    uri = tracking_uri(workspace)
    try:
        return mlflow.MlflowClient(uri)
    except MlflowException as error:
        raise UserError(f"MLflow cannot use {uri!r} (MLFLOW_TRACKING_URI): {error}") from error


@contextmanager
def _fluent(uri: str) -> Iterator[None]:
    """MLflow's global store for the length of a `with`: setting it also sets the environment,
    where it would read as the user's own wish from then on."""
    before = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)  # type: ignore[arg-type]  # None unsets it


def _create(
    client: mlflow.MlflowClient,
    job: str,
    data: Anywhere,
    workspace: Path,
    *,
    name: str | None,
    parent: str | None,
) -> str:
    experiment = data.name if job in ("train", "evaluate") else f"{data.name}-processing"
    tags = {
        "job": job,
        "mlflow.source.name": f"pipelines.{job}",
        "data": str(data),
        "code_version": code_version(),
        **{f"version.{library}": _version(library) for library in LIBRARIES},
        **({"mlflow.parentRunId": parent} if parent else {}),
        **({"ray_job": os.environ["RAY_JOB_ID"]} if "RAY_JOB_ID" in os.environ else {}),
    }
    run = client.create_run(
        _experiment(client, experiment, workspace), tags=tags, run_name=name or job
    )
    return run.info.run_id


def _experiment(client: mlflow.MlflowClient, name: str, workspace: Path) -> str:
    experiment = client.get_experiment_by_name(name)
    if experiment is not None:
        return experiment.experiment_id
    own_store = not os.environ.get("MLFLOW_TRACKING_URI")
    location = (workspace / "mlartifacts" / name).as_uri() if own_store else None
    try:
        return client.create_experiment(name, artifact_location=location, tags=MODEL_TRAINING_VIEW)
    except MlflowException:  # another job was faster
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            raise
        return experiment.experiment_id


def _log_params(client: mlflow.MlflowClient, run_id: str, config: Mapping[str, Any]) -> None:
    params = [Param(k, str(v)[:MAX_PARAM_CHARS]) for k, v in flatten(config).items()]
    for start in range(0, len(params), MAX_PARAMS):
        client.log_batch(run_id, params=params[start : start + MAX_PARAMS])


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _version(library: str) -> str:
    return importlib.metadata.version(library)


def _name(metric: str) -> str:
    # MLflow allows letters, digits and a few signs, and no path that means another; labels may
    # hold anything.
    allowed = "".join(c if c.isalnum() or c in "_-./ " else "_" for c in metric)
    return "/".join("_" if part in ("", ".", "..") else part for part in allowed.split("/"))
