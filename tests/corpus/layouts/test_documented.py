"""The lists that docs/corpora.md shows can be read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from videoproc.corpus.layouts import LAYOUTS

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "corpora.md"


@pytest.mark.parametrize(
    ("layout", "labels", "splits"),
    [
        ("csv", [("walk",), ("run",), ()], ["train", "test", None]),
        ("jsonl", [("walk",), ("indoor", "run")], ["train", None]),
    ],
)
def test_a_list_as_the_page_shows_it_is_read(tmp_path, layout, labels, splits):
    blocks = rf"^```{layout}\n(.*?)^```$"
    (text,) = re.findall(blocks, DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "list").write_text(text)
    entries = LAYOUTS[layout](tmp_path / "list")
    assert [entry.labels for entry in entries] == labels
    assert [entry.split for entry in entries] == splits


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_on_the_page(layout):
    assert f"**`{layout}`**" in DOCUMENT.read_text()
