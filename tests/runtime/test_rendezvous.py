from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("imported", "without"),
    [
        # What Ray Train's controller unpickles before it starts a worker.
        (
            "videoproc.runtime.rendezvous, videoproc.runtime.failures, videoproc.runtime.news",
            {"torch"},
        ),
        # What each worker unpickles before its first step.
        ("videoproc.runtime.trainer", {"sklearn", "matplotlib", "mlflow"}),
    ],
)
def test_training_starts_without_waiting_for_imports_that_it_has_no_use_for(
    imported: str, without: set[str]
) -> None:
    code = f"import sys, {imported}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    assert not without & set(loaded)
