"""A run: what a job writes to it and reads from it, wherever it is kept."""

from __future__ import annotations

import importlib.metadata
import io
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

import mlflow
import pyarrow as pa
import pyarrow.parquet as pq
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from videoproc import schema
from videoproc.masking import masked
from videoproc.runlog import journal, store
from videoproc.runlog.store import Away, ask, demand
from videoproc.types import UserError

if TYPE_CHECKING:
    import numpy as np
    import torch
    from matplotlib.figure import Figure

MAX_PARAM_CHARS = 500
MAX_BATCH = 100
MAX_DIGEST_CHARS = 36
CONTEXTS = ("training", "validation", "test")
NOTE = "mlflow.note.content"

Answer = TypeVar("Answer")
Call = Callable[[mlflow.MlflowClient, str], Answer]
"""What is asked of a store: of its client, about the run that has this id there."""


@dataclass(kw_only=True)
class Work:
    """What a job at work knows of its run, to go on in the journal when the server goes away.

    experiment, tags: what the journal's run begins with. hold: open as long as the job.
    written: all that was written so far, so that the journal's run holds it too.
    """

    job: str
    experiment: str
    tags: Mapping[str, str]
    hold: ExitStack
    written: list[Call[Any]] = field(default_factory=list)


@dataclass(kw_only=True)
class Run:
    """A run. run_id: as jobs, tables and folders know it, for ever.

    client, stored_id: the store that it is in and its id there. The two ids differ where the run
    began in the journal and was sent to the server later.
    """

    run_id: str
    stored_id: str
    client: mlflow.MlflowClient
    workspace: Path
    work: Work | None = None

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Numbers at a step (the epoch, in training)."""
        now = mlflow.utils.time.get_current_time_millis()
        values = [Metric(_name(k), float(v), now, step) for k, v in metrics.items()]
        self._write(lambda client, run_id: client.log_batch(run_id, metrics=values))

    def log_params(self, config: Mapping[str, Any]) -> None:
        """Nested settings as flat parameters."""
        params = [
            Param(key, masked(str(value))[:MAX_PARAM_CHARS])
            for key, value in flatten(config).items()
        ]

        def write(client: mlflow.MlflowClient, run_id: str) -> None:
            for start in range(0, len(params), MAX_BATCH):
                client.log_batch(run_id, params=params[start : start + MAX_BATCH])

        self._write(write)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        values = [RunTag(key, masked(str(value))) for key, value in tags.items()]
        self._write(lambda client, run_id: client.log_batch(run_id, tags=values))

    def set_note(self, text: str) -> None:
        """The run's description in the UI, as Markdown."""
        self.set_tags({NOTE: text})

    def log_figure(self, figure: Figure, name: str) -> None:
        """A picture, as an artifact of the kind that the name's suffix says."""
        picture = io.BytesIO()
        figure.savefig(picture, format=PurePosixPath(name).suffix.removeprefix("."))
        self.log_bytes(picture.getvalue(), name)

    def log_json(self, values: Any, name: str) -> None:
        """Numbers behind a picture, as a JSON artifact."""
        self.log_text(json.dumps(values, indent=2), name)

    def log_text(self, text: str, name: str) -> None:
        """Text, as an artifact: a page, a report."""
        self.log_bytes(text.encode(), name)

    def log_bytes(self, data: bytes, name: str) -> None:
        """A file's content, as an artifact."""
        path = PurePosixPath(name)
        parent = str(path.parent) if len(path.parts) > 1 else None

        def write(client: mlflow.MlflowClient, run_id: str) -> None:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / path.name
                file.write_bytes(data)
                client.log_artifact(run_id, str(file), parent)

        self._write(write)

    def log_table(self, table: pa.Table, name: str) -> None:
        """Rows, as a Parquet artifact."""
        content = io.BytesIO()
        pq.write_table(table, content)
        self.log_bytes(content.getvalue(), name)

    def log_folder(self, folder: Path, name: str) -> None:
        """A folder's files as artifacts below `name`."""
        if not folder.is_dir():
            raise FileNotFoundError(folder)

        def write(client: mlflow.MlflowClient, run_id: str) -> None:
            if folder.is_dir():  # else it was written once, and is gone since
                client.log_artifacts(run_id, str(folder), name)

        self._write(write)

    def log_dataset(
        self,
        *,
        name: str,
        digest: str,
        source: str,
        version: int,
        context: str,
        profile: Mapping[str, Any],
    ) -> None:
        """A table of which the run has used a version, for training, validation or test.

        The UI shows name and digest (its first 36 characters, which is MLflow's limit) beside the
        run; the source is the table's URI and version.
        """
        if context not in CONTEXTS:
            raise ValueError(f"context is {context!r}: use one of {', '.join(CONTEXTS)}")
        given = DatasetInput(
            Dataset(
                name=name,
                digest=digest[:MAX_DIGEST_CHARS],
                source_type="delta_table",
                source=json.dumps({"path": masked(source), "delta_table_version": version}),
                profile=json.dumps(dict(profile)),
            ),
            [InputTag("mlflow.data.context", context)],
        )
        self._write(lambda client, run_id: client.log_inputs(run_id, datasets=[given]))

    def log_model(self, model: torch.nn.Module, *, example: np.ndarray) -> None:
        """The model as an exported program: loading it needs torch and MLflow, none of our code."""

        def write(client: mlflow.MlflowClient, run_id: str) -> None:
            import mlflow.pytorch

            run = client.get_run(run_id)
            made = client.create_logged_model(
                run.info.experiment_id, "model", source_run_id=run_id, params=run.data.params
            )
            with (
                _deleted_if_it_fails(client, made.model_id),
                _fluent(client.tracking_uri),
                warnings.catch_warnings(),
            ):
                # torch's own recurrent layers swap their list of weights while they are exported.
                warnings.filterwarnings(
                    "ignore", message=r".*_flat_weights.* assigned during export"
                )
                mlflow.pytorch.log_model(
                    model.cpu().eval(),
                    name="model",
                    model_id=made.model_id,
                    run_id=run_id,
                    input_example=example,
                    pip_requirements=[
                        f"{lib}=={library_version(lib)}" for lib in ("torch", "mlflow", "numpy")
                    ],
                )

        self._write(write, keep=False)

    def begin_again(self) -> None:
        self._write(lambda client, run_id: client.update_run(run_id, status="RUNNING"))

    def end(self, status: str) -> None:
        """Finished, failed."""
        now = mlflow.utils.time.get_current_time_millis()
        self._write(lambda client, run_id: client.set_terminated(run_id, status, now))

    def checkpoint_folder(self, workspace: Path) -> Path:
        """The files of the run's best checkpoint, fetched where MLflow keeps them elsewhere."""
        if not self._read(lambda client, run_id: client.list_artifacts(run_id, "checkpoint")):
            raise UserError(
                f"run {self.run_id!r} has no checkpoint (it is of job {self.tags.get('job')}): "
                "give the id of a training that ended well (`make mlflow` lists them)"
            )
        target = workspace / "fetched" / self.run_id
        target.mkdir(parents=True, exist_ok=True)
        return Path(
            self._read(
                lambda client, run_id: client.download_artifacts(run_id, "checkpoint", str(target))
            )
        )

    def history(self, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a metric, in the order of steps; the last value of each step."""
        found = self._read(lambda client, run_id: client.get_metric_history(run_id, metric))
        by_step = {m.step: m.value for m in sorted(found, key=lambda m: m.timestamp)}
        return sorted(by_step.items())

    def has(self, name: str) -> bool:
        """Whether there is an artifact of this name."""
        folder = str(PurePosixPath(name).parent) if "/" in name else None
        found = self._read(lambda client, run_id: client.list_artifacts(run_id, folder))
        return any(file.path == name for file in found)

    def read_json(self, name: str) -> Any:
        """What `log_json` has put into an artifact."""
        return json.loads(self.read_bytes(name))

    def read_bytes(self, name: str) -> bytes:
        """An artifact's content; a UserError where there is none."""
        content = self._read(lambda client, run_id: store.artifact(client, run_id, name))
        if content is None:
            raise UserError(f"run {self.run_id!r} has no artifact {name!r}")
        return content

    def read_table(self, name: str) -> pa.Table:
        """What `log_table` has put into an artifact."""
        content, where = self.read_bytes(name), f"artifact {name!r} of run {self.run_id!r}"
        with schema.reading(where):
            rows = pq.read_table(pa.BufferReader(content))
        schema.check_plain(rows.schema, where=where)
        return rows

    @property
    def duration_s(self) -> float:
        """Seconds from the start of a run to its end."""
        info = self._stored().info
        return (info.end_time - info.start_time) / 1000

    @property
    def charts(self) -> str:
        """The page of MLflow's server that charts this run beside the others of its experiment.

        The page itself says that models were trained: by default MLflow opens it as for agents.
        """
        settings = "workflowType=machine_learning&compareRunsMode=CHART"
        return f"#/experiments/{self._stored().info.experiment_id}/runs?{settings}"

    @property
    def metrics(self) -> dict[str, float]:
        return dict(self._stored().data.metrics)

    @property
    def status(self) -> str:
        """RUNNING, FINISHED or FAILED."""
        return str(self._stored().info.status)

    @property
    def params(self) -> dict[str, str]:
        """The flattened config."""
        return dict(self._stored().data.params)

    @property
    def tags(self) -> dict[str, str]:
        return dict(self._stored().data.tags)

    def _stored(self) -> mlflow.entities.Run:
        return self._read(lambda client, run_id: client.get_run(run_id))

    def _read(self, call: Call[Answer]) -> Answer:
        if self.work is not None:
            try:
                return ask(self.client, call, self.stored_id)
            except Away:
                self._go_on_in_journal(self.work)
                return call(self.client, self.stored_id)
        with journal.entry_of(self.workspace, self.run_id) as entry:
            if entry is not None and entry.whole:
                return call(journal.client(self.workspace), entry.local_id)
        self._return_to_store()
        return demand(self.client, call, self.stored_id, what=f"run {self.run_id!r}")

    def _write(self, call: Call[Any], *, keep: bool = True) -> None:
        if self.work is None:
            self._write_later(call)
            return
        try:
            ask(self.client, call, self.stored_id)
        except Away:
            self._go_on_in_journal(self.work)
            call(self.client, self.stored_id)
        if keep and store.is_server(self.client.tracking_uri):
            self.work.written.append(call)

    def _write_later(self, call: Call[Any]) -> None:
        """Write to a run whose job is not at work: also while another process may send it."""
        with ExitStack() as hold:
            entry = hold.enter_context(journal.entry_of(self.workspace, self.run_id))
            if entry is None:
                self._return_to_store()
                try:
                    return ask(self.client, call, self.stored_id)
                except Away:
                    say_away("runlog", self.client.tracking_uri, self.workspace)
                entry = journal.enter(self.workspace, journal.PARTS, run_id=self.run_id, hold=hold)
            return call(journal.client(self.workspace), entry.local_id)

    def _return_to_store(self) -> None:
        """A run that was opened in the journal is in the store itself when it was sent."""
        if journal.is_own(self.workspace, self.client):
            client = store.connect(self.workspace)
            self.client, self.stored_id = client, found_run(client, self.run_id).info.run_id

    def _go_on_in_journal(self, work: Work) -> None:
        """Go on there with all that was written so far."""
        say_away(work.job, self.client.tracking_uri, self.workspace)
        entry = journal.enter(
            self.workspace,
            work.experiment,
            run_id=self.run_id,
            tags=work.tags,
            hold=work.hold,
        )
        self.client, self.stored_id = journal.client(self.workspace), entry.local_id
        for call in work.written:
            call(self.client, self.stored_id)
        work.written.clear()


def found_run(client: mlflow.MlflowClient, run_id: str) -> mlflow.entities.Run:
    """A run of the store, also by the id that it had in the journal; else a UserError."""
    found = demand(client, store.run_of, run_id, what=f"run {run_id!r}")
    if found is None:
        raise UserError(
            f"run {run_id!r} does not exist in {masked(client.tracking_uri)}: `make mlflow` "
            "lists the runs there are"
        )
    return found


def say_away(job: str, uri: str, workspace: Path) -> None:
    print(
        f"{job:<10} MLflow does not answer at {masked(uri)}: the run is kept in "
        f"{journal.folder(workspace)} and is sent when it answers again",
        flush=True,
    )


@contextmanager
def _deleted_if_it_fails(client: mlflow.MlflowClient, model_id: str) -> Iterator[None]:
    """MLflow takes no model twice: the next try makes another, and this one would stay empty."""
    try:
        yield
    except Exception:
        with suppress(*store.FAILURES):  # the store itself may be what is away
            client.delete_logged_model(model_id)
        raise


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


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, keys joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def library_version(library: str) -> str:
    return importlib.metadata.version(library)


def _name(metric: str) -> str:
    # MLflow allows letters, digits and a few signs, and no path that means another; labels may
    # hold anything.
    allowed = "".join(c if c.isalnum() or c in "_-./ " else "_" for c in metric)
    return "/".join("_" if part in ("", ".", "..") else part for part in allowed.split("/"))
