"""docs/adding-a-task.md, run as written there, in a copy of the project."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

PROJECT = Path(__file__).parents[2]
DOCUMENT = (PROJECT / "docs" / "adding-a-task.md").read_text()
BLOCK = re.compile(r"```(python|sh)\n(.*?)```", re.DOTALL)
ENTRY = re.compile(r'    "(\w+)": (\w+)(?:\.\w+)?,\n')


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the document's files and table lines in it."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("videoproc", "pipelines"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    tables = iter(
        (
            ("videoproc/models/__init__.py", "MODELS", "from videoproc.models import (\n    "),
            ("videoproc/tasks/__init__.py", "TASKS", "from videoproc.tasks import "),
        )
    )
    for language, text in BLOCK.findall(DOCUMENT):
        if language != "python":
            continue
        if path := re.match(r"# (\S+\.py)\n", text):
            file = copy / path[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        elif entry := ENTRY.fullmatch(text):
            _add_line(copy, *next(tables), line=text, module=entry[2])
    assert next(tables, None) is None, "the document must give a line for each table"
    return copy


def _add_line(copy: Path, path: str, table: str, imports: str, *, line: str, module: str) -> None:
    text = (copy / path).read_text()
    head = re.search(rf"^{table}: .* = {{\n", text, re.MULTILINE)
    assert head is not None, f"{path} has no {table}"
    text = text[: head.end()] + line + text[head.end() :]
    assert imports in text
    (copy / path).write_text(text.replace(imports, f"{imports}{module}, ", 1))


def _commands(**values: str) -> list[list[str]]:
    (shell,) = [text for language, text in BLOCK.findall(DOCUMENT) if language == "sh"]
    for name, value in values.items():
        shell = shell.replace(f" {name}", f" {value}")
    return [line.split()[1:] for line in shell.splitlines()]


def _run(project: Path, arguments: list[str], workspace: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(project), "VIDEOPROC_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_documents_lines_are_about_sixty() -> None:
    code = [
        line
        for language, text in BLOCK.findall(DOCUMENT)
        if language == "python"
        for line in text.splitlines()
        if line.strip() and not line.lstrip().startswith(("#", '"""', "import", "from"))
    ]
    assert len(code) <= 60


@pytest.mark.slow
def test_a_second_task_goes_through_train_evaluate_and_predict(
    project: Path, extracted: Path, workspace: Path
) -> None:
    train, *_ = _commands(DIR=str(extracted))
    said = _run(project, [*train, "--loop.epochs", "2", "--workers", "1"], workspace)
    run_id = re.search(r"run (\w{32})", said)
    assert run_id is not None

    _, evaluate, predict = _commands(DIR=str(extracted), RUN=run_id[1])
    said = _run(project, evaluate, workspace)
    assert "test/psnr_db" in said

    _run(project, predict, workspace)
    table = extracted / "predictions" / "reconstruction"
    log = (table / "_delta_log").glob("*.json")
    adds = [json.loads(line) for file in log for line in file.read_text().splitlines()]
    rows = [
        row
        for add in adds
        if "add" in add
        for row in pq.read_table(table / add["add"]["path"]).to_pylist()
    ]
    assert len(rows) == 37, "36 short videos and the long one have a prediction each"
    assert all(len(row["mean_colour"]) == 3 for row in rows)
