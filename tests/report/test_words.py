from __future__ import annotations

import pytest

from videoproc.report.words import duration, number, plural


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.5, "0.5 s"), (45, "45 s"), (720, "12 min"), (12_240, "3.4 h")]
)
def test_durations_are_for_people(seconds, said):
    assert duration(seconds) == said


@pytest.mark.parametrize(("value", "said"), [(24.0, "24"), (0.16667, "0.1667"), (1.0, "1")])
def test_numbers_are_for_people(value: float, said: str) -> None:
    assert number(value) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 clips"), (1, "1 clip"), (12_000, "12,000 clips")]
)
def test_things_are_counted_as_people_do(count: int, said: str) -> None:
    assert plural(count, "clip") == said
