"""S3 through boto3: its client, its errors as those that files have, and objects read by ranges."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from videoproc.remote.patience import TIMEOUTS_S, TryAgainError
from videoproc.remote.source import CHUNK_BYTES, CUT, Answer, Source

STORE_REFUSES = "the object store refuses"
BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException"})


class S3Source(Source):
    """An object of a bucket."""

    def __init__(self, bucket: str, key: str) -> None:
        super().__init__(f"s3://{bucket}/{key}")
        self._bucket = bucket
        self._key = key

    @contextmanager
    def _ask(self, start: int, stop: int) -> Iterator[Answer]:
        from botocore.exceptions import ClientError

        wanted = {"Bucket": self._bucket, "Key": self._key}
        self.num_requests += 1
        with boto_errors(self.name):
            try:
                found = boto_client().get_object(**wanted, Range=f"bytes={start}-{stop - 1}")
            except ClientError as error:
                if error.response["ResponseMetadata"]["HTTPStatusCode"] != 416:
                    raise
                # No such range: the object is empty, or has become so.
                found = boto_client().head_object(**wanted)
                yield Answer(total_bytes=found["ContentLength"], tag=found["ETag"], chunks=iter(()))
                return
        with closing(found["Body"]) as body:
            content_range = found.get("ContentRange", "")
            total = content_range.rpartition("/")[2] or found["ContentLength"]
            yield Answer(
                total_bytes=int(total),
                tag=found["ETag"],
                chunks=_chunks(body),
                is_whole=not content_range,
            )


def _chunks(body: Any) -> Iterator[bytes]:
    from botocore.exceptions import BotoCoreError
    from urllib3.exceptions import HTTPError

    try:
        yield from body.iter_chunks(CHUNK_BYTES)
    except (BotoCoreError, HTTPError, OSError):
        raise TryAgainError(CUT) from None


@contextmanager
def boto_errors(place: object) -> Iterator[None]:
    """boto3's errors as those that files have; TryAgainError for what may pass."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, SSLError
    from botocore.exceptions import ConnectionError as NoConnectionError

    try:
        yield
    except ClientError as error:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        if status == 404:
            raise FileNotFoundError(f"{STORE_REFUSES} {place}: {error}") from error
        if status == 429 or status >= 500 or error.response["Error"].get("Code") in BUSY:
            raise TryAgainError(str(error)) from error
        raise OSError(f"{STORE_REFUSES} {place}: {error}") from error
    except BotoCoreError as error:
        is_away = isinstance(error, NoConnectionError | HTTPClientError)
        if is_away and not isinstance(error, SSLError):
            raise TryAgainError(str(error)) from error
        raise OSError(f"{STORE_REFUSES} {place}: {error}") from error


def boto_client() -> Any:
    return _make_boto_client(os.environ.get("AWS_ENDPOINT_URL"))


@functools.cache
def _make_boto_client(_: str | None) -> Any:
    import boto3  # half a second, which a night on a disk saves
    from botocore.config import Config

    connect_s, read_s = TIMEOUTS_S
    # Whoever calls it is patient: videoproc.remote.patience.
    once = Config(connect_timeout=connect_s, read_timeout=read_s, retries={"max_attempts": 0})
    return boto3.client("s3", config=once)  # made anew it takes 20 ms; threads may share it
