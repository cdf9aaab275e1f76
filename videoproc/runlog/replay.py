"""Sending what waits in the journal to the server, each run once.

Everything is looked for before it is made: killed in the middle and begun again, or told twice,
gives the same run.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote, urlparse

import mlflow
from mlflow.entities import LoggedModel, LoggedModelOutput, LoggedModelStatus, Metric, Param, RunTag
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.protos.databricks_pb2 import RESOURCE_DOES_NOT_EXIST

from videoproc.masking import masked
from videoproc.runlog import journal, store
from videoproc.runlog.journal import Entry
from videoproc.runlog.run import MAX_BATCH
from videoproc.runlog.store import JOURNAL_ID

NIGHT = "night"
PARENT = "mlflow.parentRunId"
LINKS = (PARENT, NIGHT)
"""Tags that hold the id of another run."""

MODEL_OF_JOURNAL = "journal_model_id"
MAX_METRICS = 1000
MAX_BROKEN = 2  # runs that a server answers with errors of its own: one may be the run's fault


def replay(workspace: Path) -> int:
    """Send the runs that wait in the workspace to the server, if there is one and it answers.

    Returns how many were sent. Runs whose jobs are at work stay, as does what the server refuses.
    """
    waiting, server = journal.waiting(workspace), store.connect(workspace)
    uri = server.tracking_uri
    if not (waiting and store.is_server(uri) and store.answers(uri)):
        return 0
    with journal.replaying(workspace) as alone:
        sent = _send_all(server, workspace, waiting) if alone else 0
    if sent:
        _say(f"{sent} run{'s' if sent > 1 else ''} replayed to {masked(uri)}")
    return sent


def _send_all(server: mlflow.MlflowClient, workspace: Path, waiting: list[str]) -> int:
    own, sent, broken = journal.client(workspace), 0, 0
    for run_id in waiting:
        with journal.entry_of(workspace, run_id, alone=True) as entry:
            if entry is None:
                continue
            try:
                _send(server, own, entry)
            except (*store.FAILURES, *store.S3_FAILURES) as error:
                if store.is_absence(error):
                    broken += 1
                    if broken == MAX_BROKEN or not store.answers(server.tracking_uri):
                        return sent
                _say(
                    f"run {run_id} stays in {journal.folder(workspace)}: "
                    f"{masked(server.tracking_uri)} does not take it: "
                    f"{store.one_line(error)}"
                )
                continue
            _clear(own, entry)
            journal.drop(workspace, entry)
            sent += 1
    return sent


def _send(server: mlflow.MlflowClient, own: mlflow.MlflowClient, entry: Entry) -> None:
    run = own.get_run(entry.local_id)
    target = _target(server, own, entry, run)
    run_id = target.info.run_id
    params = [Param(key, value) for key, value in run.data.params.items()]
    for start in range(0, len(params), MAX_BATCH):
        server.log_batch(run_id, params=params[start : start + MAX_BATCH])
    # A server keeps a value of the same step and time once.
    metrics = [
        Metric(point.key, point.value, point.timestamp, point.step)
        for key in run.data.metrics
        for point in own.get_metric_history(entry.local_id, key)
    ]
    for start in range(0, len(metrics), MAX_METRICS):
        server.log_batch(run_id, metrics=metrics[start : start + MAX_METRICS])
    tags = [RunTag(key, value) for key, value in _tags(server, run).items()]
    for start in range(0, len(tags), MAX_BATCH):
        server.log_batch(run_id, tags=tags[start : start + MAX_BATCH])
    if run.inputs is not None and run.inputs.dataset_inputs:
        server.log_inputs(run_id, datasets=run.inputs.dataset_inputs)
    artifacts = _path(run.info.artifact_uri)
    if artifacts.is_dir():
        server.log_artifacts(run_id, str(artifacts))
    for model in _models(own, run):
        _send_model(server, model, target)
    if run.info.status != "RUNNING":
        server.set_terminated(run_id, run.info.status, run.info.end_time)
    if run_id != entry.run_id:
        _link_to(server, entry.run_id, run_id)


def _target(
    server: mlflow.MlflowClient, own: mlflow.MlflowClient, entry: Entry, run: MlflowRun
) -> MlflowRun:
    """The server's run that takes an entry: there already, or made."""
    found = store.run_of(server, entry.run_id)
    if found is not None:
        return found
    if not entry.whole:
        raise MlflowException("the run is not there", RESOURCE_DOES_NOT_EXIST)
    name = own.get_experiment(run.info.experiment_id).name
    return server.create_run(
        store.experiment(server, name, None),
        start_time=run.info.start_time,
        tags=_tags(server, run) | {JOURNAL_ID: entry.run_id},
        run_name=run.info.run_name,
    )


def _tags(server: mlflow.MlflowClient, run: MlflowRun) -> dict[str, str]:
    """The tags of an entry's run, with the server's own ids of the runs that they name."""
    tags = {k: v for k, v in run.data.tags.items() if k not in ("mlflow.runName", JOURNAL_ID)}
    return tags | {link: store.id_in(server, tags[link]) for link in LINKS if link in tags}


def _link_to(server: mlflow.MlflowClient, journal_id: str, run_id: str) -> None:
    """Give the runs that came to the server before the one that they name its id there."""
    experiments = store.all_experiments(server)
    for link in LINKS:
        for run in list(store.search(server, experiments, f"tags.`{link}` = '{journal_id}'")):
            server.set_tag(run.info.run_id, link, run_id)


def _models(client: mlflow.MlflowClient, run: MlflowRun) -> list[LoggedModel]:
    return list(
        client.search_logged_models(
            [run.info.experiment_id], f"source_run_id = '{run.info.run_id}'"
        )
    )


def _send_model(server: mlflow.MlflowClient, model: LoggedModel, run: MlflowRun) -> None:
    """Copy a logged model; one that the server was left with before its files came takes them."""
    run_id, files = run.info.run_id, _path(model.artifact_location)
    if model.status != LoggedModelStatus.READY or not files.is_dir():
        return
    there = _models(server, run)
    taken = [one for one in there if one.tags.get(MODEL_OF_JOURNAL) == model.model_id]
    empty = [one for one in there if one.name == model.name and one.status != "READY"]
    target = next(iter(taken + empty), None) or server.create_logged_model(
        run.info.experiment_id,
        model.name,
        source_run_id=run_id,
        tags={MODEL_OF_JOURNAL: model.model_id},
        params=model.params,
        model_type=model.model_type or None,
    )
    described = Model.load(str(files))
    described.run_id, described.artifact_path = run_id, target.artifact_location
    described.model_id = described.model_uuid = target.model_id
    described.save(str(files / "MLmodel"))
    server.log_model_artifacts(target.model_id, str(files))
    server.finalize_logged_model(target.model_id, LoggedModelStatus.READY)
    outputs = server.get_run(run_id).outputs
    if target.model_id not in {one.model_id for one in (outputs.model_outputs if outputs else [])}:
        server.log_outputs(run_id, [LoggedModelOutput(target.model_id, step=0)])


def _clear(own: mlflow.MlflowClient, entry: Entry) -> None:
    """Remove the files of a run that was sent."""
    run = own.get_run(entry.local_id)
    for model in _models(own, run):
        shutil.rmtree(_path(model.artifact_location).parent, ignore_errors=True)
    shutil.rmtree(_path(run.info.artifact_uri).parent, ignore_errors=True)


def _path(uri: str) -> Path:
    return Path(unquote(urlparse(uri).path))


def _say(text: str) -> None:
    print(f"{'runlog':<10} {text}", flush=True)
