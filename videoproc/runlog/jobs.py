"""The runs of jobs: opened for the length of a job, opened again, found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any

import mlflow

from videoproc.masking import masked
from videoproc.runlog import journal, store
from videoproc.runlog.replay import NIGHT, PARENT, replay
from videoproc.runlog.run import Run, Work, found_run, library_version, say_away
from videoproc.runlog.store import Away, ask
from videoproc.storage import Anywhere
from videoproc.types import UserError
from videoproc.version import code_version

LIBRARIES = ("ray", "torch", "av", "pyarrow", "deltalake", "mlflow", "numpy")
MIN_PREFIX_CHARS = 6
RUN_NAME = "mlflow.runName"
COMPARED = ("train", "evaluate", "cross_validate", "fold", "ensemble")
"""The jobs whose runs are compared; the others make the data."""

_night: ContextVar[Run | None] = ContextVar("night", default=None)


@contextmanager
def night(run: Run) -> Iterator[None]:
    """For the length of a `with`, runs of jobs belong to this nightly run: those that make data
    as its children, those that are compared (in another experiment) by their tag `night`."""
    token = _night.set(run)
    try:
        yield
    finally:
        _night.reset(token)


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
    Where the server does not answer, the run is kept in the journal; what waits there from
    earlier jobs is sent first.
    """
    client = store.connect(workspace)
    with ExitStack() as hold:
        try:
            replay(workspace)
            if resume is None:
                tags = _tags(client, job, data, parent) | {RUN_NAME: name or job}
                run = _create(client, workspace, data, tags, hold)
            else:
                run = _resume(resume, workspace, job, hold)
        except store.FAILURES as error:
            raise UserError(
                f"MLflow opens no run at {masked(client.tracking_uri)}: {store.one_line(error)}"
            ) from error
        try:
            if resume is None:
                run.log_params(config)
            yield run
        except BaseException:
            run.end("FAILED")
            raise
        else:
            run.end("FINISHED")
        finally:
            run.work = None


def _create(
    client: mlflow.MlflowClient,
    workspace: Path,
    data: Anywhere,
    tags: dict[str, str],
    hold: ExitStack,
) -> Run:
    job = tags["job"]
    experiment = store.experiments_of(data.name)[job not in COMPARED]
    location = store.artifact_location(workspace, experiment)

    def create(client: mlflow.MlflowClient, experiment: str) -> str:
        into = store.experiment(client, experiment, location)
        return str(client.create_run(into, tags=tags).info.run_id)

    try:
        run_id = ask(client, create, experiment)
    except Away:
        say_away(job, client.tracking_uri, workspace)
        run_id = journal.enter(workspace, experiment, tags=tags, hold=hold).run_id
        client = journal.client(workspace)
    work = Work(job=job, experiment=experiment, tags=tags, hold=hold)
    return Run(run_id=run_id, stored_id=run_id, client=client, workspace=workspace, work=work)


def _resume(run_id: str, workspace: Path, job: str, hold: ExitStack) -> Run:
    hold.enter_context(journal.entry_of(workspace, run_id))
    run = open_run(run_id, workspace=workspace)
    # The server has what it held before: the journal needs only what is new.
    run.work = Work(job=job, experiment=journal.PARTS, tags={}, hold=hold)
    run.begin_again()
    return run


def _tags(
    client: mlflow.MlflowClient, job: str, data: Anywhere, parent: str | None
) -> dict[str, str]:
    links = {PARENT: parent} if parent else {}
    nightly = _night.get()
    if nightly is not None and job != "nightly":
        links = {NIGHT if job in COMPARED else PARENT: nightly.run_id} | links
    with suppress(Away):  # else the replay finds what they are there
        links = {link: ask(client, store.id_in, run_id) for link, run_id in links.items()}
    return {
        "job": job,
        "mlflow.source.name": f"pipelines.{job}",
        "data": masked(str(data)),
        "code_version": code_version(),
        **{f"version.{library}": library_version(library) for library in LIBRARIES},
        **links,
        **({"ray_job": os.environ["RAY_JOB_ID"]} if "RAY_JOB_ID" in os.environ else {}),
    }


def open_run(run_id: str, *, workspace: Path) -> Run:
    """A run that exists, in the store or the journal; a UserError where there is none of this id.

    A run that began in the journal is found by the id that it had there too.
    """
    with journal.entry_of(workspace, run_id) as entry:
        if entry is not None and entry.whole:
            return Run(
                run_id=run_id,
                stored_id=entry.local_id,
                client=journal.client(workspace),
                workspace=workspace,
            )
    client = store.connect(workspace)
    return _as_run(found_run(client, run_id), client, workspace)


def resolve_run(prefix: str, *, workspace: Path) -> Run:
    """The only run whose id begins with `prefix`; a UserError where there is none or several."""
    if len(prefix) < MIN_PREFIX_CHARS or not prefix.isalnum():
        raise UserError(
            f"run {prefix!r} is no run id: give {MIN_PREFIX_CHARS} characters of one or more "
            "(`make mlflow` lists the runs there are)"
        )

    def beginning(client: mlflow.MlflowClient, prefix: str) -> set[str]:
        experiments, found = store.all_experiments(client), set[str]()
        for where in ("attributes.run_id", f"tags.{store.JOURNAL_ID}"):
            runs = store.search(client, experiments, f"{where} LIKE '{prefix}%'", page=2)
            found |= {store.known_id(run) for run in islice(runs, 2)}
        return found

    ids = {run_id for run_id in journal.waiting(workspace) if run_id.startswith(prefix)}
    with suppress(Away):
        ids |= ask(store.connect(workspace), beginning, prefix)
    if len(ids) > 1:
        raise UserError(f"run {prefix!r} begins several run ids: give more characters of one")
    return open_run(next(iter(ids), prefix), workspace=workspace)


def find_run(
    *, data: Anywhere, workspace: Path, tags: Mapping[str, str], finished: bool = True
) -> Run | None:
    """The newest finished run of a dataset's comparisons with these tags; without `finished` the
    newest of those that are under way, have failed, or whose driver was killed.

    Where the server does not answer, among the runs in the journal.
    """
    kept = {key: masked(value) for key, value in tags.items()}
    condition = f"attributes.status {'=' if finished else '!='} 'FINISHED'"

    def newest(client: mlflow.MlflowClient, name: str) -> mlflow.entities.Run | None:
        experiments = store.named_experiments(client, (name,))
        return store.with_tags(client, experiments, kept, condition)

    client, found = store.connect(workspace), None
    with suppress(Away):
        found = ask(client, newest, data.name)
    if journal.waiting(workspace):
        own = journal.client(workspace)
        waits = newest(own, data.name)
        if waits and (not found or waits.info.start_time >= found.info.start_time):
            return open_run(store.known_id(waits), workspace=workspace)
    return _as_run(found, client, workspace) if found else None


def _as_run(found: mlflow.entities.Run, client: mlflow.MlflowClient, workspace: Path) -> Run:
    return Run(
        run_id=store.known_id(found),
        stored_id=found.info.run_id,
        client=client,
        workspace=workspace,
    )
