"""One process at a time in a folder of state."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from videoproc.runtime.shared_folder import held

HOLD = """
import sys, time
from pathlib import Path
from videoproc.runtime.shared_folder import held
with held(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_held_until_its_holder_dies(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "part")]
    root = str(Path(__file__).resolve().parents[2])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), held(tmp_path / "part", wait=False):
            pass
        other.kill()
        with held(tmp_path / "part", wait=True):
            pass
