"""Wrong input ends every job in one line that can be acted on, with exit code 2."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pipelines import cli, extract, index, synthesize
from pipelines.extract import ExtractConfig
from videoproc.types import UserError


@pytest.fixture
def complaint(run_job):
    """The one line that a job says about wrong input."""

    def run(*arguments):
        code, out, errors = run_job(*arguments)
        assert (code, out) == (2, "")
        (line,) = errors.splitlines()
        assert line.startswith("error: ")
        return line.removeprefix("error: ")

    return run


def test_a_corpus_folder_that_is_not_there(complaint):
    assert "is not a folder; give" in complaint(index, "--source", "/nowhere", "--data", "d")


def test_an_empty_corpus(complaint, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no video" in complaint(index, "--source", "empty", "--data", "d")


def test_a_corpus_list_that_is_not_there(complaint):
    said = complaint(index, "--source", "no.csv", "--layout", "csv", "--data", "d")
    assert "no.csv' is not a file; give" in said


def test_a_dataset_that_is_a_file(complaint, corpus, tmp_path):
    (tmp_path / "d").touch()
    assert "is a file: name a folder" in complaint(index, "--source", str(corpus), "--data", "d")


def test_a_dataset_without_manifest(complaint):
    said = complaint(extract, "--data", "/nowhere")
    assert "dataset /nowhere has no manifest: run `python -m pipelines.index" in said


def test_an_unknown_flag(complaint):
    assert "--speed" in complaint(extract, "--data", "d", "--speed", "9")


def test_a_missing_setting(complaint):
    assert "required: data" in complaint(extract)


def test_an_unknown_key_in_a_file(complaint, tmp_path):
    (tmp_path / "c.yaml").write_text("data: d\nspeed: 9\n")
    assert "speed" in complaint(extract, "--config", "c.yaml")


def test_an_unknown_nested_key_in_a_file(complaint, tmp_path):
    (tmp_path / "c.yaml").write_text("data: d\nsampling:\n  speed: 9\n")
    assert "speed" in complaint(extract, "--config", "c.yaml")


def test_a_config_file_that_is_not_there(complaint):
    assert "no.yaml" in complaint(extract, "--config", "no.yaml")


def test_a_config_file_that_is_no_yaml(complaint, tmp_path):
    (tmp_path / "c.yaml").write_text("data: [\n")
    assert "parsing" in complaint(extract, "--config", "c.yaml")


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("sampling.num_frames", "0", "num_frames is 0: give 1 or more"),
        ("sampling.burst_frames", "3", "burst_frames is 3: give a divisor of num_frames (16)"),
        ("size.height", "-4", "height is -4: give 1 pixel or more"),
        ("augmentation.views", "0", "augmentation.views is 0: use 1 or more"),
        ("limits.timeout_s", "0", "timeout_s is 0.0: give seconds above 0"),
        ("max_failed_share", "2", "max_failed_share is 2.0: use a share from 0 to 1"),
        ("commit_every_s", "-1", "commit_every_s is -1.0: use seconds, 0 or more"),
        ("features", "[depth]", "no feature 'depth'; there are colour, motion"),
    ],
)
def test_a_wrong_value_is_named_with_its_field_and_remedy(complaint, flag, value, said):
    assert said in complaint(extract, "--data", "d", f"--{flag}", value)


def test_a_value_of_the_wrong_type_is_named_with_its_field(complaint):
    said = complaint(extract, "--data", "d", "--sampling.num_frames", "many")
    assert "sampling.num_frames" in said
    assert "many" in said


def test_a_wrong_value_from_a_file(complaint, tmp_path):
    (tmp_path / "c.yaml").write_text("data: d\nsize:\n  width: 0\n")
    assert "width is 0: give 1 pixel or more" in complaint(extract, "--config", "c.yaml")


def test_a_wrong_number_of_processes(complaint, corpus):
    said = complaint(index, "--source", str(corpus), "--data", "d", "--processes", "0")
    assert "processes is 0: use 1 or more" in said


def test_a_synthetic_corpus_that_cannot_be_made(complaint):
    said = complaint(synthesize, "--output", "c", "--videos", "3")
    assert "videos is 3, too few" in said


def test_a_folder_of_something_else_is_not_written_into(complaint, tmp_path):
    (tmp_path / "thesis.txt").touch()
    said = complaint(synthesize, "--output", str(tmp_path))
    assert "is not empty and holds no synthetic corpus; choose an empty folder" in said


def test_a_relative_path_in_a_submitted_job(complaint, monkeypatch):
    monkeypatch.setenv(cli.SUBMITTED_JOB, "{}")
    said = complaint(extract, "--data", "demo")
    assert "path 'demo' is relative, and a submitted job runs in a temporary folder: give" in said


def test_a_cluster_that_names_no_workspace_says_so(monkeypatch):
    monkeypatch.setenv(cli.SUBMITTED_JOB, "{}")
    monkeypatch.delenv("VIDEOPROC_WORKSPACE")
    with pytest.raises(UserError, match="VIDEOPROC_WORKSPACE is not set on this cluster"):
        cli.workspace()


def test_a_relative_path_is_taken_from_where_the_job_was_submitted(monkeypatch, tmp_path):
    monkeypatch.setenv(cli.SUBMITTED_JOB, "{}")
    monkeypatch.setenv("VIDEOPROC_BASE_DIR", str(tmp_path / "home"))
    assert cli.absolute("demo") == tmp_path / "home" / "demo"


def test_an_absolute_path_is_left_alone_in_a_submitted_job(monkeypatch, tmp_path):
    monkeypatch.setenv(cli.SUBMITTED_JOB, "{}")
    assert cli.absolute(tmp_path) == tmp_path


def test_a_flag_wins_over_the_file(tmp_path):
    (tmp_path / "c.yaml").write_text("data: d\nsize:\n  width: 20\n  height: 10\n")
    arguments = ["--config", "c.yaml", "--size.width", "30"]
    size = cli.parse(ExtractConfig, arguments).size
    assert (size.height, size.width) == (10, 30)


def test_a_printed_config_gives_the_same_config(run_job, tmp_path):
    flags = ["--data", "d", "--sampling.clip_s", "2.5", "--augmentation.views", "3"]
    flags += ["--features", "[motion]", "--limits.timeout_s", "7"]
    code, printed, errors = run_job(extract, *flags, "--print_config")
    assert (code, errors) == (0, "")
    (tmp_path / "c.yaml").write_text(printed)
    assert cli.parse(ExtractConfig, ["--config", "c.yaml"]) == cli.parse(ExtractConfig, flags)


def test_help_says_what_every_setting_is_for(run_job):
    code, out, errors = run_job(extract, "--help")
    assert (code, errors) == (0, "")
    assert "share of the corpus" in out


def test_a_bug_keeps_its_traceback(monkeypatch):
    def broken(_: ExtractConfig) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sys, "argv", ["extract", "--data", "d"])
    with pytest.raises(ZeroDivisionError):
        cli.main(broken, ExtractConfig)


def in_a_process(*arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | environment,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_a_process_that_is_given_wrong_input_says_one_line():
    code, out, errors = in_a_process("pipelines.extract", "--data", "/nowhere")
    assert (code, out, len(errors)) == (2, "", 1)
    assert errors[0].startswith("error: dataset /nowhere has no manifest")


def test_a_process_that_is_asked_for_help_gives_it():
    code, out, errors = in_a_process("pipelines.index", "--help")
    assert (code, errors) == (0, [])
    assert "--source" in out
