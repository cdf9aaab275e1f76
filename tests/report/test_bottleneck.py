from __future__ import annotations

import dataclasses

import pytest

from pipelines.extract import ExtractConfig
from videoproc.report.bottleneck import REMEDIES, bottleneck


def said(
    seconds: dict[str, float], *, idle_s: float = 0.0, phases: dict[str, float] | None = None
) -> str:
    return bottleneck(seconds, idle_s=idle_s, cores=4, phases=phases or {})


@pytest.mark.parametrize("step", ["decode", "transfer", "features", "write", "commit"])
def test_the_longest_step_is_named_with_its_share_and_a_setting(step: str) -> None:
    text = said({step: 60.0, "augment": 20.0}, idle_s=20.0)
    assert text.startswith(f"The bottleneck was {step}: 60% of 100 core seconds (4 cores); ")
    assert REMEDIES[step] in text


def test_cores_without_work_are_a_bottleneck_too() -> None:
    assert said({"decode": 10.0}, idle_s=30.0).startswith("Cores were idle for 75%")


def test_a_night_that_mostly_trained_names_the_model_that_took_longest() -> None:
    text = said({"decode": 9.0}, phases={"extract": 10.0, "train cnn": 20.0, "train cnn_gru": 30.0})
    assert text.startswith("Training took 83% of the night, cnn_gru the longest (30 s)")


def test_a_night_without_work_says_so() -> None:
    assert said({}) == "No video had to be worked on."


def test_a_step_that_has_no_remedy_is_named_all_the_same() -> None:
    assert said({"new": 4.0}) == "The bottleneck was new: 100% of 4 core seconds (4 cores)."


def test_the_settings_that_remedies_name_are_extracts_own() -> None:
    known = {field.name for field in dataclasses.fields(ExtractConfig)}
    assert "commit_every_s" in known
    assert {"sampling", "size", "features", "augmentation"} <= known
