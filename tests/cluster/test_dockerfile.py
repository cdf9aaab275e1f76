"""The image. Rules of the usual linters that bear on a pinned, small image without rights; the
linters themselves are under the GPL, or no longer kept."""

from __future__ import annotations

import fnmatch
import json
import re
from pathlib import PurePosixPath
from typing import NamedTuple

import pytest

from tests.cluster.reading import CLUSTER, ROOT, VERSION, pinned_version

KNOWN = {"ARG", "FROM", "ENV", "WORKDIR", "COPY", "RUN", "LABEL", "USER", "CMD"}


class Line(NamedTuple):
    """An instruction of the file and what follows it, in one line."""

    instruction: str
    value: str


def parse(text: str) -> list[Line]:
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", code)
    return [Line(*line.split(None, 1)) for line in joined.splitlines() if line.strip()]


LINES = parse((CLUSTER / "Dockerfile").read_text())
STARTS = [number for number, line in enumerate(LINES) if line.instruction == "FROM"]
FINAL = LINES[STARTS[-1] :]


def values(instruction: str, lines: list[Line] = LINES) -> list[str]:
    return [line.value for line in lines if line.instruction == instruction]


def test_it_has_instructions_that_it_needs_only() -> None:
    assert {line.instruction for line in LINES} <= KNOWN  # no ADD, no SHELL, no VOLUME, no EXPOSE


def test_both_stages_start_from_one_base_of_one_version_with_the_python_that_we_need() -> None:
    arguments = dict(value.split("=", 1) for value in values("ARG", LINES[: STARTS[0]]))
    assert re.fullmatch(r"python:3\.11\.\d+-slim-[a-z]+", arguments["BASE"])
    assert values("FROM") == ["${BASE} AS build", "${BASE}"]


def test_it_ends_as_a_person_by_number() -> None:
    assert values("USER") == ["1000:1000"]
    after = FINAL[FINAL.index(Line("USER", "1000:1000")) + 1 :]
    assert [line.instruction for line in after] == ["CMD"]


def test_what_it_starts_is_no_shell() -> None:
    (command,) = values("CMD")
    assert json.loads(command)[:2] == ["python", "-m"]


def test_every_package_is_of_the_version_that_constraints_say() -> None:
    installs = re.findall(r"pip install ([^;&\n]+)", "\n".join(values("RUN")))
    assert len(installs) == 4
    for given in installs:
        # The one without is torch for CPUs, by its pin alone.
        assert "-c constraints.txt" in given or "--no-deps" in given
        assert f'"torch=={pinned_version("torch")}"' in given or given.rstrip().endswith(" .")
        for name in re.findall(r'"([^"]+)"', given):
            assert re.fullmatch(r"[\w-]+==[\d.]+", name)
    assert "PIP_NO_CACHE_DIR=1" in values("ENV")[0]


def test_cpu_and_gpu_differ_by_one_argument_and_another_value_is_refused() -> None:
    assert "DEVICE=cpu" in values("ARG")
    (script,) = [value for value in values("RUN") if "${DEVICE}" in value]
    assert re.findall(r"(\w+|\*)\) ", script) == ["cpu", "cuda", "*"]
    assert "exit 2" in script


def test_packages_of_the_system_leave_nothing_behind() -> None:
    (script,) = [value for value in values("RUN") if "apt-get" in value]
    assert script.startswith("apt-get update ")
    assert "--no-install-recommends" in script
    assert "rm -rf /var/lib/apt/lists/*" in script
    assert "upgrade" not in script
    assert "sudo" not in script


def test_a_failing_step_ends_the_build() -> None:
    for script in values("RUN"):
        assert " | " not in script  # only the last of a pipe would count
        assert "; " not in re.sub(r'case .* esac|"[^"]*"', "", script)


def test_no_secret_is_baked_in() -> None:
    for value in [*values("ARG"), *values("ENV")]:
        assert not re.search(r"PASSWORD|SECRET|_TOKEN|ACCESS_KEY", value)


def test_token_authentication_is_on() -> None:
    assert "RAY_AUTH_MODE=token" in " ".join(values("ENV", FINAL)).split()


def test_it_says_which_version_it_is() -> None:
    assert f"VERSION={VERSION}" in values("ARG", FINAL)
    (labels,) = values("LABEL", FINAL)
    for name in ("title", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in labels


def test_arguments_are_declared_in_the_stage_that_uses_them() -> None:
    for start, end in zip(STARTS, [*STARTS[1:], len(LINES)], strict=True):
        stage = LINES[start + 1 : end]
        declared = {value.partition("=")[0] for value in values("ARG", stage)}
        for line in stage:
            assert set(re.findall(r"\$\{(\w+)\}", line.value)) <= declared


def _sent(path: str) -> bool:
    """Whether a file of the repository reaches the build: the last line that fits decides."""
    sent = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if not pattern or pattern.startswith("#"):
            continue
        parents = [path, *(str(parent) for parent in PurePosixPath(path).parents)]
        names = [pattern, pattern.removeprefix("**/")]
        if any(fnmatch.fnmatchcase(p, n) for p in parents[:-1] or parents for n in names):
            sent = line.startswith("!")
    return sent


def test_what_it_copies_is_there_and_is_sent() -> None:
    sources = [
        source
        for value in values("COPY")
        if not value.startswith("--from=")
        for source in value.split()[:-1]
    ]
    assert {"videoproc", "pipelines", "cluster", "constraints.txt"} <= set(sources)
    for source in sources:
        assert source not in (".", "/")
        assert (ROOT / source).exists()
        assert _sent(source)


@pytest.mark.parametrize(
    "path",
    [
        *("workspace/mlflow.db", ".git/config", ".venv/bin/python", "tests/conftest.py"),
        *("cluster/secrets/database_password", "cluster/.env", "cluster/data/store/1.dat"),
        "videoproc/__pycache__/types.cpython-311.pyc",
    ],
)
def test_data_keys_and_history_are_not_sent(path: str) -> None:
    assert not _sent(path)
