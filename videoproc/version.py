"""Which code runs."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import subprocess
from pathlib import Path

SUBMITTED = "VIDEOPROC_CODE_VERSION"
"""Set for a submitted job, which runs a copy of the code that is no git checkout."""


@functools.cache
def code_version() -> str:
    """The commit that runs, `-dirty` where files differ from it; else the package's version."""
    if SUBMITTED in os.environ:
        return os.environ[SUBMITTED]
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return importlib.metadata.version("videoproc")
    return described.stdout.strip() or importlib.metadata.version("videoproc")
