"""The runs of jobs: opened for the length of a job, opened again, found."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from itertools import islice
from pathlib import Path
from typing import Any

import mlflow

from videoproc.runlog import journal, store
from videoproc.runlog.replay import NIGHT, PARENT, replay
from videoproc.runlog.run import (
    Away,
    Run,
    Work,
    ask,
    library_version,
    no_such_run,
    on_server,
    say_away,
)
from videoproc.storage import Anywhere
from videoproc.types import UserError
from videoproc.version import code_version

LIBRARIES = ("ray", "torch", "av", "pyarrow", "deltalake", "mlflow", "numpy")
MIN_PREFIX_CHARS = 6
COMPARED = ("train", "evaluate")
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
            work = Work(
                job=job,
                experiment=store.experiments_of(data.name)[job not in COMPARED],
                name=name or job,
                tags=_tags(client, job, data, parent) if resume is None else {},
                resumed=resume is not None,
                hold=hold,
            )
            run = (
                _create(client, workspace, work)
                if resume is None
                else _resume(resume, workspace, work)
            )
        except store.FAILURES as error:
            raise UserError(
                f"MLflow opens no run at {store.redact(client.tracking_uri)}: "
                f"{store.one_line(error)}"
            ) from error
        if resume is None:
            run.log_params(config)
        try:
            yield run
        except BaseException:
            run.end("FAILED")
            raise
        else:
            run.end("FINISHED")
        finally:
            run.work = None


def open_run(run_id: str, *, workspace: Path) -> Run:
    """A run that exists, in the store or the journal; a UserError where there is none of this id.

    A run that began in the journal is found by the id that it had there too.
    """
    kept = _kept(run_id, workspace)
    if kept is not None:
        return kept
    client = store.connect(workspace)
    try:
        found = ask(client, on_server, run_id)
    except Away as away:
        raise store.away_error(client.tracking_uri, f"run {run_id!r}") from away
    except store.FAILURES as error:
        raise UserError(
            f"MLflow opens no run at {store.redact(client.tracking_uri)}: {store.one_line(error)}"
        ) from error
    if found is None:
        raise no_such_run(run_id, client.tracking_uri)
    return _as_run(found, client, workspace)


def resolve_run(prefix: str, *, workspace: Path) -> Run:
    """The only run whose id begins with `prefix`; a UserError where there is none or several."""
    if len(prefix) < MIN_PREFIX_CHARS or not prefix.isalnum():
        raise UserError(
            f"run {prefix!r} is no run id: give {MIN_PREFIX_CHARS} characters of one or more "
            "(`make mlflow` lists the runs there are)"
        )
    client = store.connect(workspace)

    def beginning(client: mlflow.MlflowClient, prefix: str) -> list[mlflow.entities.Run]:
        experiments = store.all_experiments(client)
        named = f"attributes.run_id LIKE '{prefix}%'"
        return list(islice(store.search(client, experiments, named, page=2), 2))

    try:
        found = ask(client, beginning, prefix)
    except Away:
        found = []
    if len(found) > 1:
        raise UserError(f"run {prefix!r} begins several run ids: give more characters of one")
    return open_run(found[0].info.run_id if found else prefix, workspace=workspace)


def find_run(*, data: Anywhere, workspace: Path, tags: Mapping[str, str]) -> Run | None:
    """The newest finished run of a dataset's comparisons with these tags.

    Where the server does not answer, among the runs in the journal.
    """
    client = store.connect(workspace)
    conditions = [f"tags.`{key}` = '{value}'" for key, value in tags.items()]
    wanted = " and ".join([*conditions, "attributes.status = 'FINISHED'"])

    def newest(client: mlflow.MlflowClient, name: str) -> list[mlflow.entities.Run]:
        experiments = store.named_experiments(client, (name,))
        return list(islice(store.search(client, experiments, wanted, page=1), 1))

    try:
        found = ask(client, newest, data.name)
    except Away:
        found = []
    kept = [
        run
        for run_id in journal.waiting(workspace)
        if (run := _kept(run_id, workspace)) is not None
    ]
    if kept:
        local = {run.stored_id: run for run in kept}
        own = journal.client(workspace)
        experiments = store.named_experiments(own, (data.name,))
        for one in store.search(own, experiments, wanted):
            if one.info.run_id in local and (
                not found or one.info.start_time >= found[0].info.start_time
            ):
                return local[one.info.run_id]
    return _as_run(found[0], client, workspace) if found else None


def _kept(run_id: str, workspace: Path) -> Run | None:
    """A run that waits in the journal with all that it holds."""
    with journal.shared(workspace, run_id) as entry:
        if entry is None or not entry.whole:
            return None
        own = journal.client(workspace)
        return Run(run_id=run_id, stored_id=entry.local_id, client=own, workspace=workspace)


def _as_run(found: mlflow.entities.Run, client: mlflow.MlflowClient, workspace: Path) -> Run:
    stored_id = found.info.run_id
    run_id = found.data.tags.get(journal.JOURNAL_ID, stored_id)
    return Run(run_id=run_id, stored_id=stored_id, client=client, workspace=workspace)


def _create(client: mlflow.MlflowClient, workspace: Path, work: Work) -> Run:
    location = store.artifact_location(workspace, work.experiment)

    def create(client: mlflow.MlflowClient, experiment: str) -> str:
        made = client.create_run(
            store.experiment(client, experiment, location), tags=work.tags, run_name=work.name
        )
        return made.info.run_id

    try:
        run_id = ask(client, create, work.experiment)
    except Away:
        say_away(work.job, client.tracking_uri, workspace)
        entry = journal.begin(
            workspace, work.experiment, tags=work.tags, name=work.name, hold=work.hold
        )
        assert entry is not None  # its id is new
        run_id, client = entry.run_id, journal.client(workspace)
    return Run(run_id=run_id, stored_id=run_id, client=client, workspace=workspace, work=work)


def _resume(run_id: str, workspace: Path, work: Work) -> Run:
    with ExitStack() as opening:
        entry = opening.enter_context(journal.shared(workspace, run_id))
        run = open_run(run_id, workspace=workspace)
        if entry is not None and entry.whole:
            work.hold.push(opening.pop_all())
    run.work = work
    run.begin_again()
    return run


def _tags(
    client: mlflow.MlflowClient, job: str, data: Anywhere, parent: str | None
) -> dict[str, str]:
    links = {PARENT: parent} if parent else {}
    nightly = _night.get()
    if nightly is not None and job != "nightly":
        links = {NIGHT if job in COMPARED else PARENT: nightly.run_id} | links
    return {
        "job": job,
        "mlflow.source.name": f"pipelines.{job}",
        "data": store.redact(str(data)),
        "code_version": code_version(),
        **{f"version.{library}": library_version(library) for library in LIBRARIES},
        **{link: _stored_id(client, run_id) for link, run_id in links.items()},
        **({"ray_job": os.environ["RAY_JOB_ID"]} if "RAY_JOB_ID" in os.environ else {}),
    }


def _stored_id(client: mlflow.MlflowClient, run_id: str) -> str:
    """A run's id in the store where it differs, having begun in the journal."""
    if not store.is_server(client.tracking_uri):
        return run_id
    try:
        found = ask(client, on_server, run_id)
    except Away:
        return run_id
    return run_id if found is None else found.info.run_id
