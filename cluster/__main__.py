"""
python -m cluster up [--nodes N] [--cpus N] | down | status | env
python -m cluster submit JOB [--config FILE] [the job's own flags]
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.local import environment, find_workspace, status, stop_cluster, up
from cluster.submit import ClusterError, find_target, require_job, run_job, submission
from videoproc.masking import masked
from videoproc.types import UserError


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m cluster", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("up")
    start.add_argument("--nodes", type=int, help="on this machine, the head included; by default 1")
    start.add_argument("--cpus", type=int, help="of each node; by default the machine's are shared")
    for name in ("down", "status", "env"):
        commands.add_parser(name)
    submit = commands.add_parser("submit")
    submit.add_argument("job")
    submit.add_argument("arguments", nargs=argparse.REMAINDER)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options, workspace = parse(arguments), find_workspace()
    try:
        match options.command:
            case "up":
                up(workspace, nodes=options.nodes, cpus=options.cpus)
            case "down":
                print(f"ended {stop_cluster(workspace)} processes of {workspace}")
            case "status":
                return 0 if status(workspace) else 1
            case "env":
                for name, value in environment(workspace).items():
                    print(f"export {name}={shlex.quote(value)}")
            case "submit":
                require_job(options.job)
                target = find_target(workspace, os.environ)
                job = submission(
                    options.job,
                    options.arguments,
                    target=target,
                    workspace=workspace,
                    base_dir=Path.cwd(),
                    environ=os.environ,
                )
                return run_job(target, job)
    except UserError as error:
        print(f"error: {masked(str(error))}", file=sys.stderr)
        return 2
    except ClusterError as error:
        print(f"error: {masked(str(error))}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
