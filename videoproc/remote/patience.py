"""How long a store that does not answer is waited for: one rule for all that reads or writes one.

Videos, shards, logs and commits, in object stores and behind web addresses, are tried again with
growing waits for `VIDEOPROC_STORE_PATIENCE_S` seconds (60 where it is not set) after the first
failure. What a store refuses, because it is not there or forbidden, is never asked for again.
"""

from __future__ import annotations

import math
import os
import random
import re
import time
from collections.abc import Callable
from typing import TypeVar

from videoproc.types import UserError

SETTING = "VIDEOPROC_STORE_PATIENCE_S"
PATIENCE_S = 60.0
FIRST_WAIT_S = 0.2  # before the second try; twice that before the next, and so on
LONGEST_WAIT_S = 5.0
TIMEOUTS_S = (10.0, 30.0)  # of one try: to connect; between two bytes of an answer

# What those say who talk to stores by themselves: pyarrow, deltalake, Google's client. Keys, which
# strangers name, are in it too. A name that is not known passes: so it is while a container starts.
PASSING = re.compile(
    r"AWS Error (NETWORK_CONNECTION|INTERNAL_FAILURE|SERVICE_UNAVAILABLE|THROTTLING|SLOW_DOWN"
    r"|REQUEST_TIMEOUT)|AWS Error \w+ \(HTTP status (429|50[0234])\)"
    r"|non-2xx status code: (429|50[0234])\b|HTTP error: |: error sending request"
    r"|Status\(UNAVAILABLE: "
)
LASTING = re.compile(  # wrong settings: a certificate, https where http is spoken, no address
    r"curlCode: (51|58|60|77|83|90),|wrong version number"
    r"|: invalid peer certificate|: received corrupt message|: builder error"
)
DELTAS_ARROW = re.compile(r"\s*\x1b\[\d+m↳\x1b\[0m\s*")  # between an error and its cause, in red

_given_up: set[str] = set()
"""Stores that have not answered for so long, and not since: nobody waits for them again."""

T = TypeVar("T")


class StoreAwayError(RuntimeError):
    """An object store has not answered for as long as it is waited for. It is no fault of a file
    that was to be read there, so it ends the job."""


class TryAgainError(Exception):
    """A failure that may pass: a busy server, a cut connection.

    wait_s: as the server asks. limit_s: for how long it is tried again at most; where that is less
    than for ever, it says nothing of the store as a whole.
    """

    def __init__(self, reason: str, *, wait_s: float = 0.0, limit_s: float = math.inf) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
        self.limit_s = limit_s


def patience_s() -> float:
    """For how many seconds a store is tried again."""
    text = os.environ.get(SETTING) or str(PATIENCE_S)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise UserError(f"{SETTING} is {text!r}: give seconds, 0 or more")
    return seconds


def patiently(attempt: Callable[[], T], *, store: str, give_up: Callable[[str], Exception]) -> T:
    """What `attempt` returns, the first time that it does not end in a TryAgainError.

    store: what is waited for; one that was given up is tried once, until it answers again.
    give_up: makes the error to raise of the last reason.
    """
    limit_s = 0.0 if store in _given_up else patience_s()
    tries, wait_s = 0, FIRST_WAIT_S
    first_failed_s = dict[float, float]()  # by limit: a bad file may come after an outage
    while True:
        tries += 1
        try:
            made = attempt()
        except TryAgainError as error:
            now_s = time.monotonic()
            since_s = first_failed_s.setdefault(error.limit_s, now_s)
            left_s = min(limit_s, error.limit_s) - (now_s - since_s)
            if left_s <= 0:
                if error.limit_s == math.inf:
                    _given_up.add(store)
                raise give_up(f"{error} ({tries} tries)") from None
            # Many workers wait: they should not all come back at the same moment.
            asked_s = max(wait_s * random.uniform(0.5, 1.0), error.wait_s)
            time.sleep(min(asked_s, left_s))
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)
        else:
            _given_up.discard(store)
            return made


def in_object_store(place: object, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, which talks to the object store of `place` through boto3, pyarrow or
    deltalake; patiently.

    Raises StoreAwayError where the store does not answer, and what the store says as it is.
    """

    def once() -> T:
        try:
            return attempt()
        except Exception as error:
            if not may_pass(error):
                raise
            raise TryAgainError(in_one_line(error)) from error

    return patiently(once, store=store_of(place), give_up=lambda why: away(place, why))


def may_pass(error: Exception) -> bool:
    """Whether a library's error says that a store did not answer, or was too busy."""
    said = in_one_line(error)
    return PASSING.search(said) is not None and LASTING.search(said) is None


def in_one_line(error: BaseException) -> str:
    """A library's message without line breaks and colours."""
    return " ".join(DELTAS_ARROW.sub(": ", str(error)).split())


def away(place: object, why: str) -> StoreAwayError:
    return StoreAwayError(f"the object store does not answer for {place}: {why}")


def store_of(place: object) -> str:
    """The store of s3://bucket/file and the like, which is one for all buckets."""
    return str(place).partition("://")[0] + " " + os.environ.get("AWS_ENDPOINT_URL", "")
