"""What the docstrings of the public face show is so."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["decode", "probe"])
def test_examples_are_true(name):
    tried = doctest.testmod(importlib.import_module(f"videoproc.media.{name}"))
    assert tried.attempted > 0
    assert tried.failed == 0
