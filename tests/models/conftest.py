"""Tiny networks compute in one thread."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    # More threads than idle cores slow steps of a millisecond down thirtyfold.
    torch.set_num_threads(1)
