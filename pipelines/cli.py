"""What every job shares: flags and YAML from its dataclass, absolute paths, exit codes.

Exit code 0: done. 1: the job failed (a bug keeps its traceback). 2: wrong input, in one line.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jsonargparse

from videoproc.types import UserError

Config = TypeVar("Config")

SUBMITTED_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray in a submitted job's process, whose working folder is a temporary copy."""


class JobError(RuntimeError):
    """The job ran and did not reach its end: the message says why, in one line."""


def main(job: Callable[[Config], Any], config_class: type[Config]) -> None:
    """Run `job` with the config that the command line and `--config` files give."""
    try:
        job(parse(config_class, sys.argv[1:], doc=job.__doc__ or ""))
    except UserError as error:
        sys.exit(_say(error, 2))
    except JobError as error:
        sys.exit(_say(error, 1))


def parse(config_class: type[Config], arguments: list[str], *, doc: str = "") -> Config:
    """The config that `arguments` give; what does not fit raises a UserError."""
    parser = jsonargparse.ArgumentParser(
        description=doc.strip().splitlines()[0] if doc else "", exit_on_error=False
    )
    parser.add_argument("--config", action="config", help="a YAML file with any of these settings")
    # Fields before a dataclass's KW_ONLY are positional here too.
    parser.add_class_arguments(config_class, None, as_positional=True)
    for action in parser._actions:
        if getattr(action, "_typehint", None) is bool:
            action.nargs, action.const = "?", True  # `--check` is `--check true`
    try:
        values = vars(parser.instantiate(parser.parse_args(arguments)))
        del values["config"]
        return config_class(**values)
    except (jsonargparse.ArgumentError, ValueError) as error:
        raise UserError(_one_line(error)) from error


def absolute(path: Path | str) -> Path:
    """`path` from the folder where the caller stands, also in a job that was submitted from it."""
    path = Path(path).expanduser()
    if path.is_absolute():
        return path
    base = os.environ.get("VIDEOPROC_BASE_DIR")
    if base is None and SUBMITTED_JOB in os.environ:
        raise UserError(
            f"path {str(path)!r} is relative, and a submitted job runs in a temporary folder: "
            "give an absolute path, or submit with `make submit`"
        )
    return (Path(base) if base else Path.cwd()) / path


def workspace() -> Path:
    """The folder of MLflow's store and of checkpoints: VIDEOPROC_WORKSPACE, or ./workspace."""
    return absolute(os.environ.get("VIDEOPROC_WORKSPACE", "workspace"))


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _say(error: BaseException, code: int) -> int:
    print(f"error: {_one_line(error)}", file=sys.stderr, flush=True)
    return code
