"""MLflow's stores: where runs are kept, whether a server answers, and what an error of it means."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# MLflow's own settings of these let a dead server hold up every call for four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
# The address that MLflow prints at a run's end holds the password that the user's may hold.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
import requests
from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as S3ConnectionError
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import InvalidUrlException, MlflowException, RestException
from mlflow.store.entities import PagedList
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.exc import SQLAlchemyError

from videoproc.masking import masked
from videoproc.remote.patience import TryAgainError, patiently
from videoproc.types import UserError

S3_AWAY = (S3ConnectionError, HTTPClientError)
S3_FAILURES = (BotoCoreError, ClientError, Boto3Error)
FAILURES = (MlflowException, requests.RequestException, *S3_AWAY)
"""What a call to MLflow may raise of the place that it reached for."""

ARTIFACTS = "VIDEOPROC_ARTIFACTS"
"""The URI below which a local store's new experiments keep their artifacts."""

JOURNAL_ID = "journal_id"
"""The tag of a run that holds its id as jobs know it, where its store has given it another."""

MODEL_TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
PROBE_S = 5  # twice at most, so 10 s in all
AWAY_S = 60.0  # a server that has not answered is not asked again for so long
PAGE = 500

for noisy in ("alembic", "mlflow.store.db.utils", "mlflow"):
    logging.getLogger(noisy).setLevel(logging.ERROR)

_away: dict[str, float] = {}
"""When each server was found not to answer, on the monotonic clock."""

Answer = TypeVar("Answer")


class Away(Exception):  # noqa: N818 - no fault, a state
    """The server does not answer."""


def tracking_uri(workspace: Path) -> str:
    """MLFLOW_TRACKING_URI, or SQLite in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace / 'mlflow.db'}"


def shown_uri(workspace: Path) -> str:
    """The same for people: without a password."""
    return masked(tracking_uri(workspace))


def is_server(uri: str) -> bool:
    """Whether a store may be away and come again."""
    return uri.startswith(("http://", "https://"))


def connect(workspace: Path) -> mlflow.MlflowClient:
    """The client of the store that the runs of a workspace go to; a server is not asked yet."""
    return client_of(tracking_uri(workspace), folder=workspace)


def client_of(uri: str, *, folder: Path) -> mlflow.MlflowClient:
    """The client of a store. Of jobs that begin at once one makes the tables: MLflow itself lets
    them disturb each other and leave a broken file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            return mlflow.MlflowClient(uri)
        # A database's driver may be missing.
        except (MlflowException, SQLAlchemyError, OSError, ImportError) as error:
            raise _unusable(uri, error) from error


def answers(uri: str) -> bool:
    """Whether a store can be written to now: a local one always, a server when it answers.

    Each call asks: MLflow itself would wait for minutes where a network swallows its packets.
    """
    if not is_server(uri):
        return True
    if uri in _away and time.monotonic() - _away[uri] < AWAY_S:
        return False
    try:
        response = http_request(
            get_default_host_creds(uri),
            "/health",
            "GET",
            max_retries=1,
            timeout=PROBE_S,
            raise_on_status=False,
        )
    except InvalidUrlException as error:
        raise _unusable(uri, error) from error
    except MlflowException:
        broken = True
    else:
        broken = response.status_code >= 500
    if broken:
        _away[uri] = time.monotonic()
    return not broken


def ask(
    client: mlflow.MlflowClient, call: Callable[[mlflow.MlflowClient, Any], Answer], about: Any
) -> Answer:
    """The answer to `call(client, about)`; Away where there is a server and it does not answer.

    An object store that has the artifacts of a local store is waited for as any other is.
    """
    uri = client.tracking_uri
    if not answers(uri):
        raise Away

    def attempt() -> Answer:
        try:
            return call(client, about)
        except S3_AWAY as error:
            if is_server(uri):
                raise
            raise TryAgainError(one_line(error)) from error

    try:
        return patiently(attempt, store=ARTIFACTS, give_up=_no_artifacts)
    except (*FAILURES, *S3_FAILURES) as error:
        if is_server(uri) and is_absence(error):
            _away[uri] = time.monotonic()
            raise Away from error
        if isinstance(error, S3_FAILURES):
            raise _no_artifacts(one_line(error)) from error
        raise


def _no_artifacts(why: str) -> UserError:
    return UserError(
        f"a run's artifacts cannot be reached: {why}: check {ARTIFACTS}, AWS_ENDPOINT_URL and the "
        "credentials"
    )


def demand(
    client: mlflow.MlflowClient,
    call: Callable[[mlflow.MlflowClient, Any], Answer],
    about: Any,
    *,
    what: str,
) -> Answer:
    """The answer to `call(client, about)`, without which nothing can be done: a UserError where
    there is none, which says that `what` is needed."""
    uri = masked(client.tracking_uri)
    try:
        return ask(client, call, about)
    except Away as away:
        raise UserError(
            f"MLflow does not answer at {uri}: {what} is needed from there; start the server and "
            "try again"
        ) from away
    except FAILURES as error:
        raise UserError(f"MLflow does not give {what} at {uri}: {one_line(error)}") from error


def is_absence(error: Exception) -> bool:
    """Whether a failed call met no server, or one that is broken, rather than a fault of ours."""
    if isinstance(error, RestException):
        return error.get_http_status_code() >= 500
    if isinstance(error, MlflowException):
        # The only marks of what MLflow makes of a connection that fails and of a bare 5xx.
        return error.message.startswith("API request to http") or bool(
            re.search(r"failed with error code 5\d\d", error.message)
        )
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code >= 500
    return isinstance(error, (requests.RequestException, *S3_AWAY))


def _unusable(uri: str, error: Exception) -> UserError:
    setting = " (MLFLOW_TRACKING_URI)" if uri == os.environ.get("MLFLOW_TRACKING_URI") else ""
    return UserError(f"MLflow cannot use {masked(uri)!r}{setting}: {one_line(error)}")


def one_line(error: Exception) -> str:
    return masked(" ".join(str(error).split()))


def experiments_of(data_name: str) -> tuple[str, str]:
    """A dataset's experiments: what is compared, and the jobs that made the data."""
    return data_name, f"{data_name}-processing"


def experiment(client: mlflow.MlflowClient, name: str, location: str | None) -> str:
    """The id of an experiment; made where there is none yet."""
    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            return client.create_experiment(name, location, tags=MODEL_TRAINING_VIEW)
        except MlflowException:  # another job was faster
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    return found.experiment_id


def artifact_location(workspace: Path, name: str) -> str | None:
    """Where a new experiment keeps its artifacts; None leaves it to the server."""
    if os.environ.get("MLFLOW_TRACKING_URI"):
        return None
    root = os.environ.get(ARTIFACTS)
    if not root:
        return (workspace / "mlartifacts" / name).as_uri()
    if "://" not in root:
        raise UserError(f"{ARTIFACTS} is {root!r}: give a URI, as in s3://bucket/folder")
    return f"{root.rstrip('/')}/{name}"


def all_experiments(client: mlflow.MlflowClient) -> list[str]:
    found = _pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
    return [one.experiment_id for one in found]


def named_experiments(client: mlflow.MlflowClient, names: tuple[str, ...]) -> list[str]:
    """The ids of those of the named experiments that there are."""
    found = [client.get_experiment_by_name(name) for name in names]
    return [one.experiment_id for one in found if one is not None]


def search(
    client: mlflow.MlflowClient, experiments: list[str], condition: str = "", *, page: int = PAGE
) -> Iterator[MlflowRun]:
    """All runs of some experiments that match, the newest first, fetched by the page."""
    if not experiments:
        return iter(())
    order = ["attributes.start_time DESC"]
    return _pages(
        lambda token: client.search_runs(
            experiments, condition, max_results=page, order_by=order, page_token=token
        )
    )


def _pages(fetch: Callable[[str | None], PagedList[Answer]]) -> Iterator[Answer]:
    token = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return


def with_tags(
    client: mlflow.MlflowClient, experiments: list[str], tags: dict[str, str], condition: str
) -> MlflowRun | None:
    """The newest run of some experiments with these tags that matches."""
    # MLflow's conditions cannot say every value.
    sayable = [f"tags.`{key}` = '{value}'" for key, value in tags.items() if "'" not in value]
    found = search(client, experiments, " and ".join([*sayable, condition]), page=10)
    return next((run for run in found if tags.items() <= run.data.tags.items()), None)


def run_of(client: mlflow.MlflowClient, run_id: str) -> MlflowRun | None:
    """A run of the store, also by the id that it had in the journal."""
    try:
        return client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in NO_SUCH_RUN:
            raise
    if not run_id.isalnum():  # no id of ours, and no text for a condition
        return None
    return next(search(client, all_experiments(client), f"tags.{JOURNAL_ID} = '{run_id}'"), None)


def artifact(client: mlflow.MlflowClient, run_id: str, name: str) -> bytes | None:
    """The content of a run's artifact; None where there is none of this name."""
    path = PurePosixPath(name)
    folder = str(path.parent) if len(path.parts) > 1 else None
    if all(file.path != str(path) for file in client.list_artifacts(run_id, folder)):
        return None
    with tempfile.TemporaryDirectory() as target:
        return Path(client.download_artifacts(run_id, name, target)).read_bytes()


def known_id(run: MlflowRun) -> str:
    """A run's id as jobs know it."""
    return str(run.data.tags.get(JOURNAL_ID, run.info.run_id))


def id_in(client: mlflow.MlflowClient, run_id: str) -> str:
    """A run's id in the store: another one where it began in the journal."""
    found = run_of(client, run_id)
    return run_id if found is None else found.info.run_id
