"""What every job shares: flags and YAML from its dataclass, absolute paths, exit codes.

Exit code 0: done. 1: the job failed (a bug keeps its traceback). 2: wrong input, in one line.
130: stopped.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse

from videoproc import storage
from videoproc.masking import masked
from videoproc.storage import Anywhere
from videoproc.types import UserError

Config = TypeVar("Config")

SUBMITTED_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a submitted job's process, whose working folder is a temporary copy."""

BASE_DIR = "VIDEOPROC_BASE_DIR"
"""Where the person stood who submitted the job, if the cluster sees the same folders."""


class JobError(RuntimeError):
    """The job ran and did not reach its end: the message says why, in one line."""


class OverBudgetError(JobError):
    """More videos have failed than may. done: what the job did all the same."""

    def __init__(self, message: str, done: Any) -> None:
        super().__init__(message)
        self.done = done


REFUSALS = {
    errno.ENOSPC: "no space left|disk is full",
    errno.EDQUOT: "quota exceeded",
    errno.EROFS: "read-only file ?system|readonly database",
    errno.EACCES: "permission denied",
    errno.EIO: "input/output error",
    errno.EMFILE: "too many open files",
}
"""What a disk or a system refuses, by errno and by what libraries make of it. Nobody's bug, and no
traceback mends it."""

STORE_SAID = rf"{storage.STORE_REFUSES}|AWS Error|Generic (S3|GCS) error"
MAX_CHARS = 400
STOPPED = "stopped by Ctrl-C or SIGTERM"


def main(job: Callable[[Config], Any], config_class: type[Config]) -> None:
    """Run `job` with the config that the command line and `--config` files give."""
    signal.signal(signal.SIGTERM, _stop)
    sys.excepthook = _show_bug
    try:
        job(parse(config_class, sys.argv[1:], doc=job.__doc__ or ""))
    except KeyboardInterrupt:
        sys.exit(
            _say(JobError(f"{STOPPED}: what was committed is whole; run it again to go on"), 130)
        )
    except UserError as error:
        sys.exit(_say(error, 2))
    except JobError as error:
        sys.exit(_say(error, 1))
    except Exception as error:
        if isinstance(from_worker(error), UserError):
            sys.exit(_say(error, 2))
        if (refused := refusal(error)) is None:
            raise
        sys.exit(_say(refused, 1))


def _show_bug(*error: Any) -> None:
    """A bug keeps its traceback, without secrets."""
    print(masked("".join(traceback.format_exception(*error))), end="", file=sys.stderr, flush=True)


def _stop(*_: object) -> None:
    """SIGTERM ends a job as Ctrl-C does: with its run closed and its report written."""
    raise KeyboardInterrupt


def refusal(error: BaseException) -> JobError | None:
    """What a full or read-only disk, or a store that is away, means for the user, also where it was
    met in a worker, or by a library that has words of its own; None for any other error."""
    causes = [*_causes(error), *_causes(from_worker(error))]
    # Ray's own error is of its cause's class too, and has the worker's traceback for a message.
    for cause in reversed(causes):
        if isinstance(cause, OSError) and re.search(STORE_SAID, said := in_one_line(cause)):
            return JobError(
                f"{said[:MAX_CHARS]}; see that the bucket is there, and that AWS_ENDPOINT_URL and "
                "the credentials in the environment are right, and run the job again"
            )
        if isinstance(cause, storage.StoreAwayError):
            return JobError(
                f"{in_one_line(cause)[:MAX_CHARS]}; what was committed before is whole: run the "
                "job again when the store is back, and it goes on where it stopped; if it never "
                "answered, see that AWS_ENDPOINT_URL is right"
            )
    for cause in causes:
        number = getattr(cause, "errno", None)
        for known, said in REFUSALS.items():
            if number == known or (number is None and re.search(said, str(cause), re.IGNORECASE)):
                place = getattr(cause, "filename", None)
                at = f" at {str(place)!r}" if place else ""
                return JobError(
                    f"the system refuses: {os.strerror(known)}{at}; what was committed before is "
                    "whole: mend that and run the job again, which goes on where it stopped"
                )
    return None


def from_worker(error: BaseException) -> BaseException:
    """What a worker has raised, out of what Ray Data and Ray Train make of it."""
    while True:
        failures = list(getattr(error, "worker_failures", {}).values())
        wrapped = (getattr(error, "cause", None), *failures, getattr(error, "_base_exc", None))
        inner = next((one for one in wrapped if isinstance(one, BaseException)), None)
        if inner is None:
            return error
        error = inner


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error, then what it came from; Ray keeps that in `cause`."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        cause = getattr(error, "cause", None)
        error = cause if isinstance(cause, BaseException) else error.__cause__ or error.__context__


def parse(config_class: type[Config], arguments: list[str], *, doc: str = "") -> Config:
    """The config that `arguments` give; what does not fit raises a UserError."""
    parser = _parser(config_class, doc)
    spelled = [_spelled(argument, parser) for argument in arguments]
    return _instance(config_class, parser, lambda: parser.parse_args(spelled))


def _spelled(argument: str, parser: jsonargparse.ArgumentParser) -> str:
    """`--init-from` as `--init_from`, where only that is an option."""
    name, equals, value = argument.partition("=")
    known, other = parser._option_string_actions, f"--{name[2:].replace('-', '_')}"
    is_other = name.startswith("--") and name not in known and other in known
    return other + equals + value if is_other else argument


def stored(config: Any) -> str:
    """A config as text that `restored` makes it from again."""
    return json.dumps(asdict(config), indent=2, sort_keys=True)


def restored(config_class: type[Config], text: str) -> Config:
    """The config that `stored` has written; settings that are gone since are an error."""
    parser = _parser(config_class, "")
    return _instance(config_class, parser, lambda: parser.parse_object(json.loads(text)))


def _parser(config_class: type[Config], doc: str) -> jsonargparse.ArgumentParser:
    parser = jsonargparse.ArgumentParser(
        description=doc.strip().splitlines()[0] if doc else "", exit_on_error=False
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of these settings")
    # Fields before a dataclass's KW_ONLY are positional here too.
    parser.add_class_arguments(config_class, None, as_positional=True)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:
            action.nargs, action.const = "?", True  # `--check` is `--check true`
    return parser


def _instance(
    config_class: type[Config],
    parser: jsonargparse.ArgumentParser,
    read: Callable[[], jsonargparse.Namespace],
) -> Config:
    try:
        values = vars(parser.instantiate(read()))
        values.pop("config", None)
        return config_class(**values)
    except (jsonargparse.ArgumentError, ValueError) as error:
        raise UserError(in_one_line(error)) from error


def absolute(place: Path | str) -> Anywhere:
    """`place` from the folder where the caller stands, also in a job that was submitted from it;
    a place in an object store (s3://) as it is."""
    path = storage.at(place)
    if not isinstance(path, Path) or path.expanduser().is_absolute():
        return path.expanduser() if isinstance(path, Path) else path
    base = os.environ.get(BASE_DIR)
    if base is None and SUBMITTED_JOB in os.environ:
        raise UserError(
            f"path {str(path)!r} is relative, and a submitted job runs in a temporary folder: "
            "give an absolute path or s3://..., or submit to this machine's own cluster with "
            "`make submit`"
        )
    return (Path(base) if base else Path.cwd()) / path


def local(place: Path | str, *, setting: str) -> Path:
    """As `absolute`, for what must be a folder of this machine."""
    path = absolute(place)
    if not isinstance(path, Path):
        raise UserError(f"{setting} is {str(path)!r}: name a folder of this machine")
    return path


def workspace() -> Path:
    """The folder of MLflow's own store and of checkpoints: VIDEOPROC_WORKSPACE, or ./workspace."""
    if SUBMITTED_JOB in os.environ and not {"VIDEOPROC_WORKSPACE", BASE_DIR} & set(os.environ):
        raise UserError(
            "VIDEOPROC_WORKSPACE is not set on this cluster: set it where its nodes are started, "
            "or VIDEOPROC_CLUSTER_WORKSPACE for `make submit`, to an absolute path there"
        )
    return local(os.environ.get("VIDEOPROC_WORKSPACE", "workspace"), setting="VIDEOPROC_WORKSPACE")


def cores_here() -> int:
    """The cores of this machine, or those that its container may use (Linux, cgroup v2)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        allowed = int(quota) // int(period)
    except (OSError, ValueError):  # no container, an older one, or "max": all of them
        return cores or 1
    return max(1, min(cores or 1, allowed))


def check_share(value: float, *, setting: str) -> None:
    """ValueError where a setting that is a share is none."""
    if not 0 <= value <= 1:
        raise ValueError(f"{setting} is {value}: use a share from 0 to 1")


def check_budget(
    reasons: Counter[str],
    total: int,
    *,
    max_share: float,
    max_count: int | None,
    where: str,
    done: Any = None,
) -> None:
    """OverBudgetError, with the reasons counted, where more videos have failed than may.

    reasons: failed videos by class of error, of `total` videos. where: what holds the details.
    done: what goes with the error.
    """
    failed = reasons.total()
    if max_count is not None and failed > max_count:
        limit = f"max_failed {max_count}"
    elif total and failed / total > max_share:
        limit = f"max_failed_share {max_share}"
    else:
        return
    counted = ", ".join(f"{count} x {name}" for name, count in reasons.most_common())
    raise OverBudgetError(
        f"{failed} of {total} videos have failed, more than {limit}: {counted} "
        f"(details in {where})",
        done,
    )


def in_one_line(error: BaseException) -> str:
    """An error's message without line breaks and secrets, or its class where it has none."""
    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    told = from_worker(error)
    error = told if isinstance(told, UserError) else error
    return masked(storage.in_one_line(error)) or type(error).__name__


def _say(error: BaseException, code: int) -> int:
    print(f"error: {in_one_line(error)}", file=sys.stderr, flush=True)
    return code
