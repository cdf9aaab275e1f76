"""MLflow's stores: where runs are kept, whether a server answers, and what an error of it means."""

from __future__ import annotations

import logging
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
# MLflow's own settings of these let a dead server hold up every call for four minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
# The address that MLflow prints at a run's end holds the password that the user's may hold.
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")

import mlflow
import requests
from mlflow.entities import Run as MlflowRun
from mlflow.exceptions import InvalidUrlException, MlflowException, RestException
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request
from sqlalchemy.exc import SQLAlchemyError

from videoproc.types import UserError

try:  # a store on S3 is a choice of the user's
    from botocore.exceptions import ConnectionError as S3ConnectionError
    from botocore.exceptions import HTTPClientError as S3ClientError

    S3_AWAY: tuple[type[Exception], ...] = (S3ConnectionError, S3ClientError)
except ImportError:
    S3_AWAY = ()

FAILURES: tuple[type[Exception], ...] = (MlflowException, requests.RequestException, *S3_AWAY)
"""What a call to MLflow may raise."""

ARTIFACTS = "VIDEOPROC_ARTIFACTS"
"""The URI below which a local store's new experiments keep their artifacts."""

MODEL_TRAINING_VIEW = {"mlflow.experimentKind": "custom_model_development"}
NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
PROBE_S = 5  # twice at most, so 10 s in all
AWAY_S = 60.0  # a server that has not answered is not asked again for so long
PAGE = 500

for noisy in ("alembic", "mlflow.store.db.utils", "mlflow"):
    logging.getLogger(noisy).setLevel(logging.ERROR)

_away: dict[str, float] = {}
"""When each server was found not to answer, on the monotonic clock."""


def tracking_uri(workspace: Path) -> str:
    """MLFLOW_TRACKING_URI, or SQLite in the workspace."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace / 'mlflow.db'}"


def is_server(uri: str) -> bool:
    """Whether a store may be away and come again."""
    return uri.startswith(("http://", "https://"))


def connect(workspace: Path) -> mlflow.MlflowClient:
    """The client of the store that the runs of a workspace go to; a server is not asked yet."""
    workspace.mkdir(parents=True, exist_ok=True)
    return client_of(tracking_uri(workspace))


def client_of(uri: str) -> mlflow.MlflowClient:
    try:
        return mlflow.MlflowClient(uri)
    except (MlflowException, SQLAlchemyError) as error:
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
        note_away(uri)
        return False
    if response.status_code >= 500:
        note_away(uri)
        return False
    return True


def _unusable(uri: str, error: Exception) -> UserError:
    setting = " (MLFLOW_TRACKING_URI)" if uri == os.environ.get("MLFLOW_TRACKING_URI") else ""
    return UserError(f"MLflow cannot use {redact(uri)!r}{setting}: {one_line(error)}")


def note_away(uri: str) -> None:
    _away[uri] = time.monotonic()


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
    return True


def away_error(uri: str, what: str) -> UserError:
    return UserError(
        f"MLflow does not answer at {redact(uri)}: {what} is needed from there; start the server "
        "and try again"
    )


def redact(text: str) -> str:
    """`text` without the `user:password@` of the URIs in it."""
    return re.sub(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)[^/\s?#]*@", r"\1", text)


def one_line(error: Exception) -> str:
    return redact(" ".join(str(error).split()))


def experiment(client: mlflow.MlflowClient, name: str, location: str | None) -> str:
    """The id of an experiment; made where there is none yet."""
    found = client.get_experiment_by_name(name)
    if found is not None:
        return found.experiment_id
    try:
        return client.create_experiment(name, artifact_location=location, tags=MODEL_TRAINING_VIEW)
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


def experiments_of(data_name: str) -> tuple[str, str]:
    """A dataset's experiments: what is compared, and the jobs that made the data."""
    return data_name, f"{data_name}-processing"


def all_experiments(client: mlflow.MlflowClient) -> list[str]:
    ids, token = [], None
    while True:
        page = client.search_experiments(max_results=PAGE, page_token=token)
        ids += [found.experiment_id for found in page]
        token = page.token
        if not token:
            return ids


def search(
    client: mlflow.MlflowClient, experiments: list[str], filter_string: str = "", page: int = PAGE
) -> Iterator[MlflowRun]:
    """All runs of some experiments that match, the newest first, fetched by the page."""
    token = None
    while experiments:
        found = client.search_runs(
            experiments,
            filter_string,
            order_by=["attributes.start_time DESC"],
            max_results=page,
            page_token=token,
        )
        yield from found
        token = found.token
        if not token:
            return


def named_experiments(client: mlflow.MlflowClient, names: tuple[str, ...]) -> list[str]:
    """The ids of those of the named experiments that there are."""
    found = [client.get_experiment_by_name(name) for name in names]
    return [one.experiment_id for one in found if one is not None]
