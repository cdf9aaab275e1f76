"""How many requests a night makes of an object store, by what it asks for.

    python -m benchmarks.pipeline.requests --data FIGHTS --work FOLDER [--videos 200]

Corpus and dataset lie in a bucket of moto's server on this machine, which writes down every
request. Three nights of so many new videos each, `index` and `extract`; then one with nothing new.
Counted is by the place (the corpus, a table's log, a table's shards, the rest) and the method.
Seconds are not looked at: the server is one process, and near.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError

from benchmarks.pipeline.copies import write_copies
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "pipeline_requests.json"
BUCKET = "bench"
REQUEST = re.compile(r'"(?:\x1b\[\d+m)*(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP')  # moto colours some
NIGHTS = 3
FRAMES = ("--sampling.num_frames", "16", "--size.height", "112", "--size.width", "112")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="a folder to make, for its files")
    parser.add_argument("--videos", type=int, default=200, help="new ones a night")
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"--work {arguments.work} is there already: name a folder to make")
    started, code = time.monotonic(), code_version()
    try:
        nights = measure(arguments)
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)
    record = {
        "record": "pipeline_requests",
        "version": 1,
        "command": "python -m benchmarks.pipeline.requests --data FIGHTS --work FOLDER",
        "settings": {"videos": arguments.videos},
        "code_version": code,
        "nights": nights,
        "elapsed_s": time.monotonic() - started,
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{record['elapsed_s']:.0f} s")


def measure(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    work = arguments.work.absolute()
    paths = write_copies(arguments.data, work / "videos", count=NIGHTS * arguments.videos)
    nights: list[dict[str, Any]] = []
    with server(work) as (environ, log):
        for night in range(NIGHTS + 1):
            for path in paths[night * arguments.videos : (night + 1) * arguments.videos]:
                _store(environ).upload_file(str(path), BUCKET, f"corpus/{path.name}")
            one: dict[str, Any] = {"videos": min(night + 1, NIGHTS) * arguments.videos}
            for job, flags in (("index", ("--source", "corpus")), ("extract", FRAMES)):
                before = log.stat().st_size
                _run(job, flags, environ)
                one[job] = dict(sorted(_counted(log, before).items()))
                print(f"night {night + 1}: {job}: {one[job]}", flush=True)
            nights.append(one)
    return nights


def _run(job: str, flags: tuple[str, ...], environ: dict[str, str]) -> None:
    words = [f"s3://{BUCKET}/corpus" if flag == "corpus" else flag for flag in flags]
    command = [sys.executable, "-m", f"pipelines.{job}", "--data", f"s3://{BUCKET}/data", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environ)


def _counted(log: Path, since: int) -> Counter[str]:
    with log.open("rb") as lines:
        lines.seek(since)
        found = REQUEST.findall(lines.read().decode(errors="replace"))
    return Counter(f"{_place(address)} {method}" for method, address in found)


def _place(address: str) -> str:
    """What a request is for; of lists, what they list."""
    path, _, query = address.partition("?")
    if "list-type" in query:
        path = path + "/" + re.sub(r".*prefix=([^&]*).*", r"\1", query).replace("%2F", "/")
        kind = "lists"
    else:
        kind = ""
    parts = path.strip("/").split("/")[1:]
    if parts[:1] == ["corpus"]:
        return f"corpus {kind}".strip()
    if "_delta_log" in parts:
        return f"logs {kind}".strip()
    return f"shards {kind}".strip() if path.endswith(".parquet") else f"else {kind}".strip()


def _store(environ: dict[str, str]) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=environ["AWS_ENDPOINT_URL"],
        aws_access_key_id=environ["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environ["AWS_SECRET_ACCESS_KEY"],
        region_name=environ["AWS_DEFAULT_REGION"],
    )


@contextmanager
def server(work: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """A store on loopback: the environment of jobs that use it, and its log."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_", "AWS_"))}
    environ = plain | {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "VIDEOPROC_WORKSPACE": str(work / "workspace"),
    }
    log = work / "requests.log"
    with log.open("wb") as lines:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=lines,
            stderr=lines,
        )
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    _store(environ).create_bucket(Bucket=BUCKET)
                    break
                except BotoCoreError:  # it is not up yet
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(0.2)
            yield environ, log
        finally:
            process.terminate()
            process.wait()


if __name__ == "__main__":
    main()
